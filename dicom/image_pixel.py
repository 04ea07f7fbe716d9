"""The Image Pixel Module (PS3.3 C.7.6.3) and the offset table out of a scanned data set, believed as far as it can be.

An attribute of another VR than its own, or out of its range, counts as absent, with a warning.
"""

from __future__ import annotations

from base64 import b64decode
from struct import unpack_from

import orjson

from dicom.elements import PIXEL_DATA, PixelValue, Scan
from dicom.limits import in_force
from dicom.memo import Entry
from dicom.pixels import PixelDescription
from dicom.vrs import describe

SAMPLES_PER_PIXEL, PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION = 0x00280002, 0x00280004, 0x00280006
NUMBER_OF_FRAMES, ROWS, COLUMNS = 0x00280008, 0x00280010, 0x00280011
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103
EXTENDED_OFFSET_TABLE = 0x7FE00001

_LARGEST = 0xFFFF  # of a US, which is what all of the numbers are
_LONGEST_CODE = 16  # PS3.5 6.2: CS
_MAX_FRAMES = 2**31 - 1
_UNSIGNED = frozenset(("US", "UL"))
_BYTES = frozenset(("OV", "OB", "OW", "OL", "UN"))


def vr_of(entry: Entry) -> str:
    """The VR that an element was written with."""
    return entry[0][18:20].decode()  # behind "GGGGEEEE":{"vr":"


def describe_pixels(scan: Scan, value: PixelValue) -> PixelDescription | None:
    """Shape and layout of the frames of `value`; None without Rows, Columns and Bits Allocated."""
    rows, columns, allocated = (_number(scan, tag, -1) for tag in (ROWS, COLUMNS, BITS_ALLOCATED))
    if min(rows, columns, allocated) < 0:
        return None
    stored = _number(scan, BITS_STORED, allocated)
    return PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=_number(scan, SAMPLES_PER_PIXEL, 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=_number(scan, HIGH_BIT, stored - 1),
        pixel_representation=_number(scan, PIXEL_REPRESENTATION, 0),
        photometric_interpretation=_code(scan, PHOTOMETRIC_INTERPRETATION),
        planar_configuration=_number(scan, PLANAR_CONFIGURATION, 0),
        number_of_frames=number_of_frames(scan),
        keyword=PIXEL_DATA[value.tag],
        value_representation=value.vr,
    )


def _number(scan: Scan, tag: int, otherwise: int) -> int:
    entry = scan.elements.get(tag)
    if entry is None or not entry[1]:
        return otherwise
    if vr_of(entry) in _UNSIGNED:  # short decimal numbers, by construction
        number = int(entry[1].split("\\", 1)[0])
        if number <= _LARGEST:
            return number
    scan.warn(f"{describe(tag)} is no US of 0 to {_LARGEST} and counts as absent")
    return otherwise


def _code(scan: Scan, tag: int) -> str:
    entry = scan.elements.get(tag)
    if entry is None or not entry[1]:
        return ""
    if vr_of(entry) == "CS" and len(entry[1]) <= _LONGEST_CODE:
        return entry[1]
    scan.warn(f"{describe(tag)} is no CS of at most {_LONGEST_CODE} characters and counts as absent")
    return ""


def number_of_frames(scan: Scan) -> int:
    """NumberOfFrames, 1 where there is none."""
    entry = scan.elements.get(NUMBER_OF_FRAMES)
    if entry is None or not entry[1]:
        return 1
    digits = entry[1].removeprefix("+")
    if digits.isascii() and digits.isdigit() and len(digits) <= 10 and 1 <= int(digits) <= _MAX_FRAMES:
        return int(digits)
    scan.warn(f"{describe(NUMBER_OF_FRAMES)} is no positive number; one frame is assumed")
    return 1


def extended_offsets(scan: Scan) -> tuple[int, ...]:
    """The Extended Offset Table (PS3.3 C.7.6.3.1.8), which becomes bulk data as soon as it is long."""
    entry = scan.elements.get(EXTENDED_OFFSET_TABLE)
    if entry is None:
        return ()
    if vr_of(entry) not in _BYTES:
        scan.warn(f"{describe(EXTENDED_OFFSET_TABLE)} is no OV and counts as absent")
        return ()
    bulk = scan.bulk.get(f"{EXTENDED_OFFSET_TABLE:08X}")
    if bulk is None:
        inline = orjson.loads(b"{%b}" % entry[0])[f"{EXTENDED_OFFSET_TABLE:08X}"].get("InlineBinary", "")
        table = b64decode(inline)
    elif bulk.length <= 8 * in_force().fragments:
        table = scan.window.source.read_at(bulk.offset, bulk.length)
    else:
        scan.warn(f"{describe(EXTENDED_OFFSET_TABLE)} is longer than any number of fragments and counts as absent")
        return ()
    return unpack_from(f"<{len(table) // 8}Q", table)
