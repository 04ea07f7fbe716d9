"""The fragments of an encapsulated value (PS3.5 A.4), found by hopping from item header to item header."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from struct import Struct

from dicom.errors import Malformed, TooComplex, Truncated
from dicom.limits import in_force
from dicom.source import Window

# Headers that are nearer to each other than this are read together with what lies between them
NEAR = 4096

_HEADER = Struct("<HHI")
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


@dataclass(frozen=True, slots=True)
class Fragments:
    """Where the fragments lie, without the Basic Offset Table."""

    origin: int  # the first byte behind the Basic Offset Table, which is where offsets are counted from
    basic_offsets: tuple[int, ...]
    offsets: array[int]  # of the first byte of each fragment, 64 bit
    lengths: array[int]  # 32 bit
    end: int  # the first byte behind the Sequence Delimitation Item


def read_fragments(window: Window, start: int, end: int, what: str) -> Fragments:
    """The fragments of the value that begins at `start` and must be over by `end`; `what` names it in errors."""
    limits = in_force()
    position, table = _basic_offset_table(window, start, end, what, limits.fragments)
    origin = position
    offsets, lengths = array("Q"), array("I")
    while True:
        group, element, length = _header(window, position, end, what)
        if (group, element) == _SEQUENCE_END:
            return Fragments(origin, table, offsets, lengths, position + 8)
        if (group, element) != _ITEM or length == 0xFFFFFFFF:
            raise Malformed(f"{what}: at byte {position} a fragment was expected")
        if position + 8 + length > end:
            raise Truncated(
                f"{what}: the fragment at byte {position} has {length} bytes, {end - position - 8} are left"
            )
        if len(offsets) == limits.fragments:
            raise TooComplex(f"{what}: more than {limits.fragments} fragments")
        offsets.append(position + 8)
        lengths.append(length)
        position += 8 + length


def _basic_offset_table(window: Window, start: int, end: int, what: str, most: int) -> tuple[int, tuple[int, ...]]:
    group, element, length = _header(window, start, end, what)
    if (group, element) == _SEQUENCE_END:
        return start, ()
    if (group, element) != _ITEM:
        raise Malformed(f"{what}: at byte {start} a Basic Offset Table was expected")
    if start + 8 + length > end:
        raise Truncated(f"{what}: the Basic Offset Table has {length} bytes, {end - start - 8} are left")
    # 64-bit offsets go into the Extended Offset Table: an entry has four bytes here
    if length > 4 * most:
        raise TooComplex(f"{what}: a Basic Offset Table of {length} bytes")
    table = array("I", window.source.read_at(start + 8, length // 4 * 4)) if length else ()
    return start + 8 + length, tuple(table)


def _header(window: Window, position: int, end: int, what: str) -> tuple[int, int, int]:
    if position + 8 > end:
        raise Truncated(f"{what}: the fragments are not over at byte {end}")
    place = position - window.base
    if 0 <= place <= len(window.data) - 8:
        return _HEADER.unpack_from(window.data, place)
    near = 0 <= place - len(window.data) < NEAR
    head = window.read(position, 8) if near else window.source.read_at(position, 8)
    if len(head) < 8:
        raise Truncated(f"{what}: the object ends at byte {position + len(head)}")
    return _HEADER.unpack(head)
