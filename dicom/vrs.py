"""Value representations: how their lengths are written, which VR an element has that does not say (PS3.5 6.2, 7.1)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from pydicom.datadict import dictionary_keyword, dictionary_VR

# PS3.5 Table 7.1-2: a 16-bit length directly behind the VR
SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"}
    | {b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
# PS3.5 Table 7.1-1: two reserved bytes, then a 32-bit length
LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))

# Bytes of one number, to turn Big Endian values round
WIDTHS: Mapping[bytes, int] = MappingProxyType(
    {
        **dict.fromkeys((b"AT", b"OW", b"SS", b"US"), 2),
        **dict.fromkeys((b"FL", b"OF", b"OL", b"SL", b"UL"), 4),
        **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
    }
)

UNDEFINED = 0xFFFFFFFF  # the length of a value that a delimiter ends (PS3.5 7.1.1)

KIB = 1024
# The longest value that is written into the metadata; a longer one gets a BulkDataURI where PS3.18 F.2.2 allows that
# for its VR. The others (names, codes, UIDs) are refused beyond a bound that no real value reaches.
INLINE_LIMIT: Mapping[bytes, int] = MappingProxyType(
    {
        **dict.fromkeys(SHORT | LONG, KIB * KIB),
        **dict.fromkeys((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"), KIB),
        **dict.fromkeys((b"DS", b"FD", b"FL", b"IS", b"LT", b"SL", b"SS", b"ST"), 64 * KIB),
        **dict.fromkeys((b"SV", b"UC", b"UL", b"US", b"UT", b"UV"), 64 * KIB),
    }
)
BULK_CAPABLE = frozenset(vr for vr, limit in INLINE_LIMIT.items() if limit < KIB * KIB)

# "US or SS" is settled by Pixel Representation, the rest by PS3.5 A.1: OW in Implicit VR
SIGNED_OR_NOT = b"US or SS"
_AMBIGUOUS = {"US or SS": SIGNED_OR_NOT, "OB or OW": b"OW", "US or OW": b"OW", "US or SS or OW": b"OW"}


@lru_cache(maxsize=16384)
def implicit_vr(tag: int) -> bytes:
    """The VR of an element that was written without one; `SIGNED_OR_NOT` if the data set has to be asked."""
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return b"UL"
    if group & 1:
        # private: the creators that reserve blocks are known, their elements are not (PS3.5 7.8)
        return b"LO" if 0x10 <= element <= 0xFF else b"UN"
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return b"UN"
    return _AMBIGUOUS.get(vr) or vr.encode()


def describe(tag: int) -> str:
    """`(0020,000D) StudyInstanceUID`, for messages."""
    try:
        keyword = " " + dictionary_keyword(tag)
    except KeyError:
        keyword = ""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}){keyword}"


def little_endian(vr: bytes, value: bytes) -> bytes:
    """A Big Endian value field turned round (PS3.5 7.3); bytes that make no whole number are left out."""
    width = WIDTHS.get(vr, 1)
    if width == 1:
        return value
    whole = len(value) // width * width
    turned = bytearray(whole)
    for place in range(width):
        turned[place::width] = value[width - 1 - place : whole : width]
    return bytes(turned)
