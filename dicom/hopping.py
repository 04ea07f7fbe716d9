"""Hopping over elements that nobody asks for, which nearly all elements of a header are."""

from __future__ import annotations

from collections.abc import Container
from struct import Struct

from dicom import vrs
from dicom.coding import EXPLICIT_LITTLE, Coding

_SHORT, _LONG = Struct("<HH2sH"), Struct("<I")
_HEADER = 12


def hop(data: bytes, position: int, end: int, coding: Coding, wanted: Container[int], below: int) -> int:
    """The place in `data` of the first element from `position` on that has to be looked at.

    That is one of `wanted`, a group length, one whose tag is not less than `below` (which is at most that of
    delimiters), and one that does not lie before `end` with at least a header behind it: what has an undefined or a
    wrong length, or no VR, is among these. In other codings than Explicit VR Little Endian each element is looked at.
    """
    if coding is not EXPLICIT_LITTLE:
        return position
    short, long, is_short, is_long = _SHORT.unpack_from, _LONG.unpack_from, vrs.SHORT, vrs.LONG
    last = min(len(data), end) - _HEADER
    while position <= last:
        group, element, vr, length = short(data, position)
        if vr in is_short:
            behind = position + 8 + length
        elif vr in is_long:
            behind = position + _HEADER + long(data, position + 8)[0]
        else:
            return position
        tag = group << 16 | element
        if behind > last or tag >= below or not element or tag in wanted:
            return position
        position = behind
    return position
