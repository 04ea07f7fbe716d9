"""Attributes of the DICOM JSON Model (PS3.18 F.2) to value fields of a Little Endian data set in UTF-8.

The other way round is `dicom.json`. Everything here comes from a client: what does not fit its VR is refused with the
tag and what was expected, never with the value.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, error, pack
from types import MappingProxyType
from typing import Any

from pydicom.datadict import dictionary_VR

from dicom.errors import Malformed
from dicom.vrs import LONG, SHORT, describe

VRS = frozenset(vr.decode() for vr in SHORT | LONG)
BINARY = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))

# PS3.5 6.2: what one value may look like. DS is formatted to fit, IS is checked here.
_LONGEST_DS = 16
_INTEGER = re.compile(r" *[+-]?[0-9]{1,20} *")
_DECIMAL = re.compile(r" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})? *")
_LONGEST_NUMBER = 64
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
# PS3.5 6.1.3: of the control characters a text may hold TAB, LF, FF, CR; ESC belongs to other character sets
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f]")
_INTEGER_FORMATS = {"US": "<H", "SS": "<h", "UL": "<I", "SL": "<i", "UV": "<Q", "SV": "<q"}
_FLOAT_FORMATS = {"FL": "<f", "FD": "<d"}
_SPECIAL = {"NaN": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True)
class Field:
    """A value field of even length; `rounded` if a decimal had more digits than a DS can hold."""

    data: bytes
    rounded: bool = False


class _Refused(Exception):
    """What was expected instead."""


@lru_cache(maxsize=8192)
def dictionary_vrs(tag: int) -> frozenset[str]:
    """The VRs that PS3.6 has for a tag; none if it does not know it."""
    try:
        return frozenset(dictionary_VR(tag).split(" or "))
    except KeyError:
        return frozenset()


def value_field(tag: int, vr: str, attribute: Mapping[str, Any]) -> Field:
    """The value field of any attribute but a sequence or a BulkDataURI; raises `Malformed`."""
    try:
        if vr in BINARY:
            if attribute.get("Value"):
                raise _Refused(f"InlineBinary or a BulkDataURI was expected for VR {vr}")
            return Field(_padded(_binary(attribute.get("InlineBinary")), b"\0"))
        if attribute.get("InlineBinary") is not None:
            raise _Refused(f"no InlineBinary was expected for VR {vr}")
        values = attribute.get("Value")
        if values is None or values == []:
            return Field(b"")
        if not isinstance(values, list | tuple):
            raise _Refused("Value is to be a list")
        return _WRITERS[vr](vr, values)
    except _Refused as refused:
        raise Malformed(f"{describe(tag)}: {refused}") from None
    except UnicodeEncodeError:
        raise Malformed(f"{describe(tag)}: half of a surrogate pair is no text") from None


def text_values(tag: int, attribute: Mapping[str, Any] | None) -> list[str]:
    """The values as texts, empty ones left out; raises `Malformed` unless they are texts or whole numbers."""
    values = (attribute or {}).get("Value") or []
    if not isinstance(values, list | tuple):
        raise Malformed(f"{describe(tag)}: Value is to be a list")
    texts: list[str] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise Malformed(f"{describe(tag)}: a text or number was expected")
        if isinstance(value, float) and value.is_integer():
            texts.append(f"{value:.0f}")
        elif value is not None:
            texts.append(str(value).strip())
    return [text for text in texts if text]


def _binary(inline: Any) -> bytes:
    if inline is None:
        return b""
    if not isinstance(inline, str):
        raise _Refused("InlineBinary is to be base64 text")
    try:
        return b64decode(inline, validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("InlineBinary is no base64") from None


def _padded(value: bytes, padding: bytes = b" ") -> bytes:
    return value + padding if len(value) & 1 else value


def _string(value: Any, several: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Refused("a text was expected")
    if _CONTROL.search(value):
        raise _Refused("a control character was found")
    if several and "\\" in value:
        raise _Refused("a backslash was found in one of several values")
    return value


def _strings(vr: str, values: Sequence[Any]) -> Field:
    text = "\\".join([_string(value, True) for value in values])
    if vr in _DEFAULT_REPERTOIRE and not text.isascii():
        raise _Refused(f"VR {vr} has no other than ASCII characters")
    return Field(_padded(text.encode(), b"\0" if vr == "UI" else b" "))


def _single_string(vr: str, values: Sequence[Any]) -> Field:
    if len(values) > 1:
        raise _Refused(f"VR {vr} has one value, found {len(values)}")
    return Field(_padded(_string(values[0], False).encode()))


def _person_names(vr: str, values: Sequence[Any]) -> Field:
    return Field(_padded("\\".join([_person_name(value) for value in values]).encode()))


def _person_name(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):  # many write the whole name as one text
        return _string(value, True)
    if not isinstance(value, Mapping) or not set(value) <= set(_NAME_GROUPS):
        raise _Refused(f"a person name of {', '.join(_NAME_GROUPS)} was expected")
    groups = [_string(value.get(group), True) for group in _NAME_GROUPS]
    if any("=" in group for group in groups):
        raise _Refused("an equals sign was found in a group of a person name")
    return "=".join(groups).rstrip("=")


def _integer(value: Any, several: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise _Refused(f"a whole number was expected for VR {several}")


def _integers(vr: str, values: Sequence[Any]) -> Field:
    form = Struct(_INTEGER_FORMATS[vr])
    try:
        return Field(b"".join([form.pack(_integer(value, vr)) for value in values]))
    except error:
        raise _Refused(f"a number does not fit into VR {vr}") from None


def _floats(vr: str, values: Sequence[Any]) -> Field:
    try:
        return Field(b"".join([pack(_FLOAT_FORMATS[vr], _float(value)) for value in values]))
    except (OverflowError, error):
        raise _Refused(f"a number does not fit into VR {vr}") from None


def _float(value: Any) -> float:
    # JSON has no literal for NaN, so that a null among numbers is what `dicom.json` makes of one
    if value is None:
        return math.nan
    if isinstance(value, str) and value in _SPECIAL:
        return _SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("a number was expected")
    return float(value)


def _integer_strings(vr: str, values: Sequence[Any]) -> Field:
    numbers = ["" if value is None or value == "" else str(_integer(value, vr)) for value in values]
    if any(number and not -(2**31) <= int(number) < 2**31 for number in numbers):
        raise _Refused("an IS has 32 bits")
    return Field(_padded("\\".join(numbers).encode()))


def _decimal_strings(vr: str, values: Sequence[Any]) -> Field:
    parts = [_decimal_string(value) for value in values]
    return Field(_padded("\\".join(text for text, _ in parts).encode()), any(rounded for _, rounded in parts))


def _decimal_string(value: Any) -> tuple[str, bool]:
    """A number in at most 16 characters, and whether digits had to go."""
    if value is None or value == "":
        return "", False
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER or not _DECIMAL.fullmatch(value):
            raise _Refused("a decimal number was expected")
        if len(value.strip()) <= _LONGEST_DS:
            return value.strip(), False
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("a decimal number was expected")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Refused("a finite number was expected")
    for text in (str(value), repr(number)):
        shortest = _shortest(text)
        if len(shortest) <= _LONGEST_DS:
            return shortest, False
    texts = (_shortest(f"{number:.{digits}g}") for digits in range(_LONGEST_DS, 0, -1))
    found = next(text for text in texts if len(text) <= _LONGEST_DS)
    return found, float(found) != number


def _shortest(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _tags(vr: str, values: Sequence[Any]) -> Field:
    if not all(isinstance(value, str) and _TAG.fullmatch(value) for value in values):
        raise _Refused("tags of eight hexadecimal digits were expected")
    return Field(b"".join([pack("<HH", int(value[:4], 16), int(value[4:], 16)) for value in values]))


_DEFAULT_REPERTOIRE = frozenset(("AE", "AS", "CS", "DA", "DT", "TM", "UI"))

_WRITERS: Mapping[str, Callable[[str, Sequence[Any]], Field]] = MappingProxyType(
    {
        **dict.fromkeys((*_DEFAULT_REPERTOIRE, "LO", "SH", "UC"), _strings),
        **dict.fromkeys(("LT", "ST", "UR", "UT"), _single_string),
        **dict.fromkeys(_INTEGER_FORMATS, _integers),
        **dict.fromkeys(_FLOAT_FORMATS, _floats),
        "AT": _tags,
        "DS": _decimal_strings,
        "IS": _integer_strings,
        "PN": _person_names,
    }
)
