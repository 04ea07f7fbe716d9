"""Store of metadata with bulk data beside it: the parts become Part 10 objects (PS3.18 10.5.1, 8.6.1.2.2).

The metadata come first, as DICOM JSON arrays or one XML document a part; every other part is bulk data, named by its
Content-Location. Bulk data wait in one temporary file, so that memory doesn't grow with them.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import IO, Any, Final
from urllib.parse import urljoin

import orjson
from django.conf import settings

from archive.errors import UnreadableObject
from dicom.bulk_parts import BulkPart
from dicom.compose import Coercion, compose
from dicom.errors import DicomError
from dicom.xml import from_xml
from dicomweb.errors import BadRequest
from dicomweb.multipart import MultipartReader, Part, parse_content_type

JSON_TYPE: Final = "application/dicom+json"
XML_TYPE: Final = "application/dicom+xml"
METADATA: Final = (JSON_TYPE, XML_TYPE)
_PIECE: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20
_BASE: Final = "http://body.invalid/"  # what relative references in one body are relative to; never fetched
_SOP_CLASS_UID, _SOP_INSTANCE_UID = "00080016", "00080018"


@dataclass(frozen=True, slots=True)
class _Slice:
    """One part's payload within the temporary file."""

    file: IO[bytes]
    offset: int
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self.file.fileno(), max(0, min(length, self.size - offset)), self.offset + offset)


def composed_objects(
    reader: MultipartReader, root_type: str, coercions: dict[str, tuple[Coercion, ...]]
) -> Iterator[Iterable[bytes]]:
    """The Part 10 object of each data set in the body; ``coercions`` collects what was filled in, by SOP Instance UID.

    An object that can't be composed is refused alone (``UnreadableObject`` with its reason). Raises ``BadRequest`` for
    metadata that are no metadata, ``MultipartError`` for a broken envelope.
    """
    with TemporaryFile() as spool:
        data_sets, bulk = _read(reader, root_type, spool)
        for attributes in data_sets:
            yield _pieces(attributes, bulk, coercions)


def _read(
    reader: MultipartReader, root_type: str, spool: IO[bytes]
) -> tuple[list[dict[str, Any]], Mapping[str, BulkPart]]:
    data_sets: list[dict[str, Any]] = []
    sources: dict[str, list[_Slice]] = defaultdict(list)
    types: dict[str, tuple[str, str | None]] = {}
    total = 0
    for part in reader:
        media_type = parse_content_type(part.headers.get("content-type") or root_type)
        if media_type.type in METADATA or media_type.type == "application/json":
            text = _metadata_text(part, total)
            total += len(text)
            data_sets += _data_sets(text, media_type.type, part.number)
        else:
            location = urljoin(_BASE, part.headers.get("content-location", ""))
            # The frames of an image may come one by one, each under its own name.
            uri = location.rpartition("/frames/")[0] or location
            sources[uri].append(_spooled(part, spool))
            types.setdefault(uri, (media_type.type, media_type.parameters.get("transfer-syntax")))
    return data_sets, {uri: BulkPart(*types[uri], tuple(slices)) for uri, slices in sources.items()}


def _metadata_text(part: Part, before: int) -> bytes:
    text, most = bytearray(), settings.PACS.limits.store_metadata_bytes
    for piece in part.chunks():
        text += piece
        if before + len(text) > most:
            raise BadRequest(f"the metadata of one request may have {most} bytes")
    return bytes(text)


def _data_sets(text: bytes, media_type: str, number: int) -> list[dict[str, Any]]:
    try:
        found = [from_xml(text)] if media_type == XML_TYPE else orjson.loads(text)
    except (DicomError, orjson.JSONDecodeError) as error:
        raise BadRequest(f"part {number}: {media_type} can't be read: {error}") from error
    found = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in found):
        raise BadRequest(f"part {number}: expected an array of DICOM JSON objects (PS3.18 F.2)")
    return found


def _spooled(part: Part, spool: IO[bytes]) -> _Slice:
    start, most = spool.tell(), settings.PACS.limits.store_part_bytes
    for piece in part.chunks():
        spool.write(piece)
        if spool.tell() - start > most:
            raise BadRequest(f"part {part.number}: bulk data may have {most} bytes")
    spool.flush()
    return _Slice(spool, start, spool.tell() - start)


def _pieces(
    attributes: dict[str, Any], bulk: Mapping[str, BulkPart], coercions: dict[str, tuple[Coercion, ...]]
) -> Iterator[bytes]:
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        try:
            composed = compose(attributes, lambda uri: bulk.get(urljoin(_BASE, uri)), file)
        except DicomError as error:
            raise UnreadableObject(
                str(error),
                failure_reason=error.failure_reason,
                sop_class_uid=_uid(attributes, _SOP_CLASS_UID),
                sop_instance_uid=_uid(attributes, _SOP_INSTANCE_UID),
            ) from error
        if composed.coercions:
            coercions[composed.sop_instance_uid] = composed.coercions
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _uid(attributes: dict[str, Any], tag: str) -> str:
    """A UID as the sender gave it, for the answer only; "" where there is none that looks like one."""
    attribute = attributes.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    text = values[0] if isinstance(values, list) and values and isinstance(values[0], str) else ""
    return text if len(text) <= 64 and text.replace(".", "").isdigit() and text.isascii() else ""
