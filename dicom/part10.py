"""One scan of a Part 10 object (PS3.10 7): everything the archive keeps about it, without its pixels."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from traceback import format_tb
from typing import Any

import orjson
from pydicom._uid_dict import UID_dictionary

from dicom import json
from dicom.attributes import ATTRIBUTES, PLACES
from dicom.coding import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from dicom.elements import IDENTIFIERS, PIXEL_DATA, UTF8, Scan
from dicom.errors import (
    DATA_SET_DOES_NOT_MATCH,
    DicomError,
    InvalidIdentifier,
    UnsupportedSOPClass,
    UnsupportedTransferSyntax,
)
from dicom.frame_tables import encapsulated_frames, native_frames
from dicom.frames import FrameTable
from dicom.image_pixel import describe_pixels, extended_offsets, number_of_frames, vr_of
from dicom.inflate import inflate_from
from dicom.instance import BULKDATA_ROOT, BulkValue, ParsedInstance, Warning_
from dicom.pixels import PixelDescription
from dicom.preamble import FileMeta, scan_meta
from dicom.source import ByteSource, Window
from dicom.transfer_syntaxes import BY_UID, TransferSyntax
from dicom.uids import is_uid
from dicom.vrs import describe

__all__ = ["BULKDATA_ROOT", "BulkValue", "ByteSource", "ParsedInstance", "Warning_", "parse"]

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
IMAGE_STORAGE = frozenset(
    uid for uid, entry in UID_dictionary.items() if entry[1] == "SOP Class" and "Image Storage" in entry[0]
)
AVAILABLE_TRANSFER_SYNTAX_UID = 0x00083002
SPECIFIC_CHARACTER_SET = 0x00080005
PATIENT_ID = 0x00100020
REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
# What QIDO returns of each item (PS3.18 Table 10.6.3-4)
REQUEST_KEYS = ("00080050", "00400009", "00401001")

log = logging.getLogger("dicom.part10")

_COLUMNS = (
    *((attribute.keyword, int(attribute.tag, 16)) for attribute in ATTRIBUTES),
    *((keyword, int(tag, 16)) for keyword, tag in PLACES.items()),
)
# An instance answers a handful of requests: the JSON of more is not even read
_MAX_REQUEST_ATTRIBUTES = 1024 * 1024
# What only a mistake of ours raises; what the source of the bytes raises is its own and goes through
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parse(source: ByteSource) -> ParsedInstance:
    """Read an object once.

    Raises a `DicomError` with its failure reason for what must not be kept. Memory is bounded whatever the lengths in
    the object claim, pixel data is never loaded, and what is merely odd becomes a warning. A mistake of this scanner is
    logged, without any value of the object, and refuses that object alone.
    """
    try:
        return scan_object(source)
    except DicomError:
        raise
    except (*_MISTAKES, struct.error) as mistake:
        kind = type(mistake).__name__
        # no message, which might quote a value; the places tell where to look
        log.error("the scanner failed with %s\n%s", kind, "".join(format_tb(mistake.__traceback__)))
        raise DicomError(f"processing failure ({kind}) while reading the object") from mistake


def scan_object(source: ByteSource) -> ParsedInstance:
    """As `parse`, which also catches what this may raise by mistake."""
    window = Window(source)
    meta = scan_meta(window)
    if meta.media_storage_sop_class_uid == MEDIA_STORAGE_DIRECTORY:
        raise UnsupportedSOPClass("a DICOMDIR (Media Storage Directory) is an index of instances and none itself")
    syntax = BY_UID.get(meta.transfer_syntax_uid)
    if syntax is None:
        raise UnsupportedTransferSyntax(f"(0002,0010) TransferSyntaxUID: {_shown(meta.transfer_syntax_uid)} is unknown")
    with _data_set(window, meta, syntax) as (data, start):
        return _read(data, start, meta, syntax, source.size)


@contextmanager
def _data_set(window: Window, meta: FileMeta, syntax: TransferSyntax) -> Iterator[tuple[Window, int]]:
    if not syntax.deflated:
        yield window, meta.data_set_offset
        return
    with inflate_from(window.source, meta.data_set_offset) as inflated:
        yield Window(inflated), 0


def _read(window: Window, start: int, meta: FileMeta, syntax: TransferSyntax, object_size: int) -> ParsedInstance:
    coding = EXPLICIT_LITTLE if syntax.little_endian else EXPLICIT_BIG
    scan = Scan(window, start, IMPLICIT_LITTLE if syntax.implicit_vr else coding, object_size)
    scan.run()
    elements = scan.elements
    values = {keyword: elements[tag][1] if tag in elements else "" for keyword, tag in _COLUMNS}
    _check_identifiers(scan, values, meta)
    pixels, frames = _pixels(scan, values, syntax)
    pixel_value = scan.pixel_value
    bulk = scan.bulk
    if frames is not None and frames.count == 0:  # its bytes stay reachable as bulk data
        frames = None
    if pixel_value is not None and pixel_value.length and frames is None:
        bulk[f"{pixel_value.tag:08X}"] = BulkValue(pixel_value.vr, pixel_value.offset, pixel_value.length)
    header_length = object_size if pixel_value is None or syntax.deflated else pixel_value.offset
    return ParsedInstance(
        study_instance_uid=values["StudyInstanceUID"],
        series_instance_uid=values["SeriesInstanceUID"],
        sop_instance_uid=values["SOPInstanceUID"],
        sop_class_uid=values["SOPClassUID"],
        transfer_syntax_uid=syntax.uid,
        values=values,
        request_attributes=_request_attributes(scan),
        json_text=_json_text(scan, values, syntax),
        bulk=bulk,
        pixels=pixels,
        frames=frames,
        warnings=tuple(Warning_(DATA_SET_DOES_NOT_MATCH, text) for text in scan.warnings),
        header_length=header_length,
    )


def _check_identifiers(scan: Scan, values: Mapping[str, str], meta: FileMeta) -> None:
    for keyword, tag in _COLUMNS:
        if tag not in IDENTIFIERS or tag == PATIENT_ID:
            continue
        uid = values[keyword]
        if not uid:
            state = "is empty" if tag in scan.elements else "is missing"
            raise InvalidIdentifier(f"{describe(tag)} {state}")
        if not is_uid(uid):
            raise InvalidIdentifier(f"{describe(tag)} is no UID: 1 to 64 digits with single dots between were expected")
    if meta.media_storage_sop_class_uid not in ("", values["SOPClassUID"]):
        raise InvalidIdentifier("(0002,0002) MediaStorageSOPClassUID is not the SOPClassUID of the data set")
    if meta.media_storage_sop_instance_uid not in ("", values["SOPInstanceUID"]):
        # common where an object was edited or anonymised; the data set is what everybody else reads
        scan.warn("(0002,0003) MediaStorageSOPInstanceUID is not the SOPInstanceUID of the data set, which is used")
    if not values["PatientID"]:
        scan.warn(f"{describe(PATIENT_ID)} is missing or empty")


def _pixels(
    scan: Scan, values: Mapping[str, str], syntax: TransferSyntax
) -> tuple[PixelDescription | None, FrameTable | None]:
    value = scan.pixel_value
    if value is None or not value.length:
        if values["SOPClassUID"] in IMAGE_STORAGE:
            scan.warn("an image without pixel data")
        return None, None
    pixels = describe_pixels(scan, value)
    if value.fragments is not None and syntax.encapsulated:
        number, offsets = number_of_frames(scan), extended_offsets(scan)
        frames = encapsulated_frames(scan.window.source, value.fragments, number, syntax.uid, offsets, scan.warn)
        return pixels, frames
    if value.fragments is not None or syntax.encapsulated:
        scan.warn(f"{PIXEL_DATA[value.tag]} is not encoded as the transfer syntax says")
        return pixels, None
    if pixels is None:
        scan.warn("pixel data without a description of its shape (Rows, Columns, Bits Allocated)")
        return None, None
    return pixels, native_frames(pixels, value.offset, value.length, scan.warn)


def _request_attributes(scan: Scan) -> str:
    entry = scan.elements.get(REQUEST_ATTRIBUTES_SEQUENCE)
    if entry is None:
        return ""
    if vr_of(entry) != "SQ" or len(entry[0]) > _MAX_REQUEST_ATTRIBUTES:
        scan.warn(f"{describe(REQUEST_ATTRIBUTES_SEQUENCE)} is no sequence, or a very long one, and counts as absent")
        return ""
    attribute = orjson.loads(b"{%b}" % entry[0].replace(json.INSTANCE, b""))[f"{REQUEST_ATTRIBUTES_SEQUENCE:08X}"]
    if "Value" in attribute:
        attribute["Value"] = [_request_keys(item) for item in attribute["Value"]]
    return orjson.dumps(attribute).decode()


def _request_keys(item: dict[str, Any]) -> dict[str, Any]:
    return {tag: item[tag] for tag in REQUEST_KEYS if item.get(tag, {}).get("vr") in ("SH", "LO")}


def _json_text(scan: Scan, values: Mapping[str, str], syntax: TransferSyntax) -> bytes:
    scan.elements[SPECIFIC_CHARACTER_SET] = UTF8
    available = b'"00083002":{"vr":"UI","Value":["%b"]}' % syntax.uid.encode()
    scan.elements[AVAILABLE_TRANSFER_SYNTAX_UID] = (available, "")
    text = scan.top.json()
    if json.INSTANCE not in text:
        return text
    place = (
        f"{BULKDATA_ROOT}/studies/{values['StudyInstanceUID']}/series/{values['SeriesInstanceUID']}"
        f"/instances/{values['SOPInstanceUID']}"
    )
    return text.replace(json.INSTANCE, place.encode())


def _shown(uid: str) -> str:
    return uid if is_uid(uid) else "a value that is no UID"
