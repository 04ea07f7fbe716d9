"""Files and links in observations (OBX-2 ED and RP): taken for what their bytes are, whatever the sender calls them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hl7.errors import Condition, Refused
from hl7.message import Segment
from reports.facts import Attachment

PDF: Final = "application/pdf"
MOST: Final = 20
_UNKNOWN: Final = "application/octet-stream"
# A PDF's header stands in its first kilobyte (ISO 32000-2, annex I).
_HEAD: Final = 1024
_KINDS: Final[Sequence[tuple[re.Pattern[bytes], str]]] = (
    (re.compile(rb"(?s).*%PDF-\d"), PDF),
    (re.compile(rb"(?s)(\xef\xbb\xbf)?\s*<(\?xml|ClinicalDocument|[\w.-]+:ClinicalDocument)\b"), "text/xml"),
    (re.compile(rb"(?is)\s*(<!doctype html|<html)\b"), "text/html"),
    (re.compile(rb"\{\\rtf"), "application/rtf"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"II\*\0|MM\0\*"), "image/tiff"),
    (re.compile(rb"(?s).{128}DICM"), "application/dicom"),
    (re.compile(rb"PK\x03\x04"), "application/zip"),
)


def _base64(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)


# ED-4, table 0299.
_ENCODINGS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "base64": _base64,
    "hex": lambda text: bytes.fromhex("".join(text.split())),
    "a": lambda text: text.encode(),
    "": lambda text: text.encode(),
}


def media_type_of(data: bytes) -> str:
    """By the first bytes; ``application/octet-stream`` for what isn't known."""
    head = data[:_HEAD]
    return next((media_type for pattern, media_type in _KINDS if pattern.match(head)), _UNKNOWN)


def files(observations: Sequence[Segment]) -> tuple[bytes | None, tuple[Attachment, ...]]:
    """The first PDF of a report, and everything else in the order of the message.

    Raises Refused (102): an encoding that isn't known or isn't kept to, a PDF that is none, more than ``MOST`` files.
    """
    pdf: bytes | None = None
    others: list[Attachment] = []
    for each in observations:
        found = _READERS.get((each.get(2) or "").upper(), _nothing)(each)
        if found is None:
            continue
        if pdf is None and found.media_type == PDF:
            pdf = found.data
        else:
            others.append(found)
        if len(others) > MOST:
            raise Refused(Condition.DATA_TYPE, each.place(5), f"a report has at most {MOST} files")
    return pdf, tuple(others)


def _encapsulated(segment: Segment) -> Attachment | None:
    """ED: ``^application^pdf^Base64^...``; empty data is none."""
    text = segment.get(5, 5)
    if not text:
        return None
    decode = _ENCODINGS.get((segment.get(5, 4) or "").lower())
    if decode is None:
        raise Refused(Condition.DATA_TYPE, segment.place(5, 4), "an encoding that isn't known")
    try:
        data = decode(text)
    except (binascii.Error, ValueError):
        raise Refused(Condition.DATA_TYPE, segment.place(5, 5), "not in the encoding that it names") from None
    media_type = media_type_of(data)
    if media_type != PDF and "pdf" in (segment.get(5, 3) or "").lower():
        raise Refused(Condition.DATA_TYPE, segment.place(5, 5), "no PDF")
    return Attachment(media_type, _title(segment), data)


def _pointer(segment: Segment) -> Attachment | None:
    """RP: where something is. It is kept as it stands and never fetched."""
    # Its own text as a whole: nobody escapes what separates the parts of a query.
    field = segment.field(5)
    link = field.syntax.text(field.raw.partition(field.syntax.component)[0])
    if not link:
        return None
    named = "/".join(filter(None, ((segment.get(5, 3) or "").lower(), (segment.get(5, 4) or "").lower())))
    return Attachment(named if "/" in named else _UNKNOWN, _title(segment), link=link)


def _nothing(segment: Segment) -> None:
    return None


_READERS: Final[Mapping[str, Callable[[Segment], Attachment | None]]] = {"ED": _encapsulated, "RP": _pointer}


def _title(segment: Segment) -> str:
    return segment.get(3, 2) or segment.get(3) or ""
