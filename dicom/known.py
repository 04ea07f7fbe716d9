"""The hot path of the scan: a small element that was seen before costs one look-up in a dictionary."""

from __future__ import annotations

from struct import Struct

from dicom import json, vrs
from dicom.attributes import ATTRIBUTES, PLACES
from dicom.charsets import CharacterSet
from dicom.levels import DataSetLevel
from dicom.memo import Entry, trim
from dicom.source import Window

# Longer values are not worth remembering: they are seldom the same in two instances
MEMO_LIMIT = 512

SPECIFIC_CHARACTER_SET = 0x00080005
PIXEL_REPRESENTATION = 0x00280103
# What the pixels are described by, beside the indexed attributes
_PIXEL_MODULE = frozenset((0x00280002, 0x00280004, 0x00280006, 0x00280101, 0x00280102, PIXEL_REPRESENTATION))
_INDEXED = frozenset(int(tag, 16) for tag in (*(attribute.tag for attribute in ATTRIBUTES), *PLACES.values()))
TEXT_TAGS = _INDEXED | _PIXEL_MODULE
NOTHING: Entry = (b"", "")

_EXPLICIT, _IMPLICIT = Struct("<HH2sH"), Struct("<HHI")


def convert(tag: int, vr: bytes, value: bytes, characters: CharacterSet) -> Entry:
    """What an element becomes: its JSON, and its text where the index or the frames need it."""
    # group lengths say nothing without the encoding they counted; groups 0000 and 0002 are no part of a data set
    if tag & 0xFFFF == 0 or tag >> 16 in (0x0000, 0x0002):
        return NOTHING
    text = json.text(vr, value, characters) if tag in TEXT_TAGS else ""
    return json.attribute(tag, vr, value, characters), text


def read_known(window: Window, level: DataSetLevel, position: int) -> tuple[int, int]:
    """Read elements of a Little Endian level from `position` on as long as they are small, lie in the window and have
    a VR with a short length; what else there is, whoever calls reads with care. Returns the position it got to, and how
    many bytes of JSON there are more.
    """
    data, base = window.data, window.base
    place = position - base
    if not 0 <= place < len(data):
        return position, 0
    end = min(level.end - base, len(data))
    elements, memo, characters = level.elements, level.memo, level.characters
    implicit, last = level.coding.implicit, end - 8
    unpack = _IMPLICIT.unpack_from if implicit else _EXPLICIT.unpack_from
    written = 0
    while place <= last:
        if implicit:
            group, number, length = unpack(data, place)
            vr = b""
        else:
            group, number, vr, length = unpack(data, place)
        stop = place + 8 + length
        tag = group << 16 | number
        if length > MEMO_LIMIT or stop > end or tag in elements:
            break
        raw = data[place:stop]
        entry = memo.get(raw)
        if entry is None:
            if implicit:
                vr = vrs.implicit_vr(tag)
            if vr not in vrs.SHORT or tag == SPECIFIC_CHARACTER_SET:
                break
            entry = memo[raw] = convert(tag, vr, raw[8:], characters)
        elements[tag] = entry
        written += len(entry[0])
        place = stop
    trim(memo)
    return base + place, written
