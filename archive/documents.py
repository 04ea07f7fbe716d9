"""The data set of one instance without its pixels, for what is shown of objects that are no images."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.conf import settings

from archive.corrections import corrected_text
from archive.errors import NotFound, NotRenderable
from archive.locate import Located
from archive.payload import Payload, in_memory
from archive.retrieve import open_bulk_value
from dicom.errors import DicomError
from dicom.json_items import Item, inline, without
from dicom.json_items import whole as whole_number
from dicom.part10 import parse

_ENCAPSULATED_DOCUMENT, _ENCAPSULATED_DOCUMENT_LENGTH = "00420011", "00420015"


@dataclass(frozen=True, slots=True)
class Document:
    """An instance and its data set as DICOM JSON, without the attributes ``hidden``, which the caller may not see."""

    instance: Located
    text: bytes
    hidden: frozenset[str]

    @property
    def item(self) -> Item:
        """The data set."""
        loaded: dict[str, Any] = orjson.loads(self.text)
        return loaded

    def value(self, path: str, inside: Item) -> Payload:
        """The bytes at ``path`` (``54000100/1/54001010``), whose last attribute is one of ``inside``, little endian.

        Raises ``NotRenderable`` where there are none.
        """
        if not self.hidden.isdisjoint(path.split("/")):
            raise NotRenderable("this document is not shown")
        here = inline(inside, path.rpartition("/")[2])
        if here is not None:
            return in_memory(here)
        try:
            return open_bulk_value(self.instance, path)
        except NotFound as error:
            raise NotRenderable("the instance has nothing in it that could be drawn") from error


def read_document(instance: Located, hidden: frozenset[str] = frozenset()) -> Document:
    """Raises ``NotRenderable`` for a header that is too long or damaged, ``ArchiveUnavailable``."""
    most = settings.PACS.limits.picture_header_bytes
    try:
        stored = parse(instance.source).json_text
    except DicomError as error:
        raise NotRenderable(str(error)) from error
    text = corrected_text(stored, instance.correction)
    if len(text) > most:
        raise NotRenderable(f"a header of more than {most} bytes is not read for a picture")
    return Document(instance, orjson.dumps(without(orjson.loads(text), hidden)) if hidden else text, hidden)


def pdf_of(document: Document) -> Payload:
    """The encapsulated PDF, byte for byte, without the byte that makes its length even. Raises ``NotRenderable``."""
    item = document.item
    payload = document.value(_ENCAPSULATED_DOCUMENT, item)
    length = whole_number(item, _ENCAPSULATED_DOCUMENT_LENGTH)
    return Payload(length, payload.part) if 0 < length < payload.length else payload


def whole(payload: Payload) -> bytes:
    """All of it in memory, if that is no more than a header for a picture may be. Raises ``NotRenderable``."""
    return part(payload, 0, payload.length)


def part(payload: Payload, offset: int, length: int) -> bytes:
    """``length`` bytes from ``offset``, fewer where it ends before. Raises ``NotRenderable`` for too many."""
    most = settings.PACS.limits.picture_header_bytes
    length = max(0, min(length, payload.length - offset))
    if length > most:
        raise NotRenderable(f"more than {most} bytes are not read for a picture")
    pieces: Iterator[bytes] = payload.part(offset, length) if length else iter(())
    return b"".join(pieces)
