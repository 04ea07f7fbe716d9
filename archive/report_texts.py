"""Structured reports as text/html and text/plain (PS3.18 8.7.4)."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from archive.documents import read_document
from archive.errors import NotRenderable
from archive.locate import Located
from dicom.page_picture import Line
from dicom.report import has_content, report_lines
from dicom.report_text import as_html, as_plain_text

WRITERS: Mapping[str, Callable[[Sequence[Line]], bytes]] = MappingProxyType(
    {"text/html": as_html, "text/plain": as_plain_text}
)


def report_text(instance: Located, media_type: str, hidden: frozenset[str]) -> bytes:
    """The report in one of the media types of ``WRITERS``, UTF-8, without the attributes ``hidden``.

    Raises ``NotRenderable`` where there is no content.
    """
    document = read_document(instance, hidden).item
    if not has_content(document):
        raise NotRenderable("the report has no content that could be shown")
    return WRITERS[media_type](report_lines(document))
