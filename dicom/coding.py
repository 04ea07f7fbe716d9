"""The three ways a data set is encoded (PS3.5 Annex A) and how an element header is read in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from dicom import vrs

# tag, VR (None where it is no VR of PS3.5), length, size of the header
Header = tuple[int, bytes | None, int, int]

_EXPLICIT_LITTLE, _EXPLICIT_BIG = Struct("<HH2sH"), Struct(">HH2sH")
_IMPLICIT, _IMPLICIT_BIG = Struct("<HHI"), Struct(">HHI")
_LONG_LITTLE, _LONG_BIG = Struct("<I"), Struct(">I")
DELIMITERS = 0xFFFE


@dataclass(frozen=True, slots=True)
class Coding:
    """One way to encode elements. `item` reads the eight bytes of an item header, which never has a VR."""

    name: str
    implicit: bool
    little_endian: bool
    header: Callable[[bytes], Header]
    item: Struct


def _explicit(short: Struct, long: Struct, item: Struct) -> Callable[[bytes], Header]:
    def header(head: bytes) -> Header:
        group, element, vr, length = short.unpack_from(head)
        tag = group << 16 | element
        if vr in vrs.SHORT:
            return tag, vr, length, 8
        if group == DELIMITERS:
            return tag, None, item.unpack_from(head)[2], 8
        if vr in vrs.LONG:
            # fewer than 12 bytes are left: a length that no object can hold says so
            return tag, vr, long.unpack_from(head, 8)[0] if len(head) >= 12 else vrs.UNDEFINED - 1, 12
        return tag, None, length, 8

    return header


def _implicit(head: bytes) -> Header:
    group, element, length = _IMPLICIT.unpack_from(head)
    tag = group << 16 | element
    return tag, vrs.implicit_vr(tag), length, 8


EXPLICIT_LITTLE = Coding(
    "explicit little endian", False, True, _explicit(_EXPLICIT_LITTLE, _LONG_LITTLE, _IMPLICIT), _IMPLICIT
)
EXPLICIT_BIG = Coding(
    "explicit big endian", False, False, _explicit(_EXPLICIT_BIG, _LONG_BIG, _IMPLICIT_BIG), _IMPLICIT_BIG
)
IMPLICIT_LITTLE = Coding("implicit little endian", True, True, _implicit, _IMPLICIT)
