"""Value fields as attributes of the DICOM JSON Model (PS3.18 Annex F).

Every function takes the value as it lies in a Little Endian data set. Numbers are JSON numbers where they can be read
as such; what cannot (a decimal comma, NaN, infinity) is null, because JSON has no literal for it and clients that were
promised a number stop at a string.
"""

from __future__ import annotations

import math
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from struct import calcsize, unpack_from
from types import MappingProxyType

import orjson

from dicom.charsets import CharacterSet

# Placeholder for the URL of the instance in BulkDataURIs while its UIDs are still to be read. No JSON text contains
# this byte, because a control character is always escaped.
INSTANCE = b"\0"

_JSON_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_DECIMAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
# PS3.5 6.2: at most 16 bytes in a DS, 12 in an IS; longer digits are not copied, readers choke on them
_LONGEST_NUMBER = 16

_PADDING = b" \0"
_NUMBERS = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d"}
_PERSON_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Value = Callable[[bytes, bytes, CharacterSet], bytes | None]


def attribute(tag: int, vr: bytes, value: bytes, characters: CharacterSet) -> bytes:
    """`"GGGGEEEE":{"vr":..,"Value":[..]}` for one value field; only the VR where there is no value (PS3.18 F.2.5)."""
    body = _VALUES[vr](vr, value, characters) if value else None
    if body is None:
        return empty(tag, vr)
    return b'"%08X":{"vr":"%b",%b}' % (tag, vr, body)


def empty(tag: int, vr: bytes) -> bytes:
    """An attribute without a value."""
    return b'"%08X":{"vr":"%b"}' % (tag, vr)


def sequence(tag: int, items: Sequence[bytes]) -> bytes:
    """A sequence from its items, each a JSON object."""
    if not items:
        return b'"%08X":{"vr":"SQ"}' % tag
    return b'"%08X":{"vr":"SQ","Value":[%b]}' % (tag, b",".join(items))


def bulk(tag: int, vr: bytes, path: str) -> bytes:
    """A value kept out of the metadata (PS3.18 F.2.2); `path` is what follows `/bulkdata/`."""
    return b'"%08X":{"vr":"%b","BulkDataURI":"%b/bulkdata/%b"}' % (tag, vr, INSTANCE, path.encode())


def text(vr: bytes, value: bytes, characters: CharacterSet) -> str:
    """The value as plain text without padding, several values joined by a backslash; "" for bytes."""
    if vr in _NUMBERS:
        return "\\".join(str(number) for number in _numbers(vr, value))
    if vr in _UNSPLIT:
        return characters.decode(value, vr).strip()
    if vr in _CHARACTERS:
        parts = [part.strip() for part in characters.decode(value, vr).split("\\")]
        if vr == b"PN":  # empty groups at the end of a name may be left out (PS3.5 6.2.1.1)
            parts = [part.rstrip("= ") for part in parts]
        return "\\".join(parts)
    if vr in _ASCII:
        return "\\".join(part.strip() for part in _default(value).split("\\"))
    return ""


def _default(value: bytes) -> str:
    return value.decode("iso8859_1").replace("\0", "")


def _values(parts: list[str]) -> bytes | None:
    if not any(parts):
        return None
    return b'"Value":' + orjson.dumps([part or None for part in parts])


def _ascii(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    return _values([part.strip() for part in _default(value).split("\\")])


def _multi_text(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    return _values([part.rstrip(" ") for part in characters.decode(value, vr).split("\\")])


def _single_text(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    return _values([characters.decode(value, vr).rstrip(" ")])


def _uri(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    return _values([_default(value).rstrip()])


def _person_name(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    names: list[dict[str, str] | None] = []
    for name in characters.decode(value, vr).split("\\"):
        groups = zip(_PERSON_NAME_GROUPS, name.split("=", 2), strict=False)
        names.append({group: part for group, text in groups if (part := text.rstrip(" "))} or None)
    if not any(names):
        return None
    return b'"Value":' + orjson.dumps(names)


def _decimal_string(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    numbers = [_decimal(part.strip(_PADDING)) for part in value.split(b"\\")]
    if numbers.count(b"null") == len(numbers):
        return None if len(numbers) == 1 else b'"Value":[%b]' % b",".join(numbers)
    return b'"Value":[%b]' % b",".join(numbers)


def _decimal(part: bytes) -> bytes:
    if len(part) <= _LONGEST_NUMBER and _JSON_NUMBER.fullmatch(part):
        return part
    if _DECIMAL.fullmatch(part) is None:
        return b"null"
    return _number(float(part))


def _number(number: float) -> bytes:
    if not math.isfinite(number):
        return b"null"
    if number.is_integer() and abs(number) < 2**53:
        return str(int(number)).encode()
    return repr(number).encode()


def _numbers(vr: bytes, value: bytes) -> tuple[int | float, ...]:
    # a value field that is no multiple of its width is read as far as it goes
    width = calcsize(_NUMBERS[vr])
    return unpack_from(f"<{len(value) // width}{_NUMBERS[vr]}", value)


def _integers(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    numbers = _numbers(vr, value)
    return b'"Value":[%b]' % ",".join(map(str, numbers)).encode() if numbers else None


def _floats(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    parts = [repr(number).encode() if math.isfinite(number) else b"null" for number in _numbers(vr, value)]
    return b'"Value":[%b]' % b",".join(parts) if parts and parts != [b"null"] else None


def _tags(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    count = len(value) // 4
    words = unpack_from(f"<{count * 2}H", value)
    return _values([f"{words[i]:04X}{words[i + 1]:04X}" for i in range(0, count * 2, 2)])


def _inline(vr: bytes, value: bytes, characters: CharacterSet) -> bytes | None:
    return b'"InlineBinary":"%b"' % b64encode(value)


_UNSPLIT = frozenset((b"LT", b"ST", b"UT"))
_CHARACTERS = frozenset((b"LO", b"PN", b"SH", b"UC"))
_ASCII = frozenset((b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI", b"UR"))

_VALUES: Mapping[bytes, Value] = MappingProxyType(
    {
        **dict.fromkeys((b"AE", b"AS", b"CS", b"DA", b"DT", b"TM", b"UI"), _ascii),
        **dict.fromkeys((b"LO", b"SH", b"UC"), _multi_text),
        **dict.fromkeys(_UNSPLIT, _single_text),
        **dict.fromkeys((b"DS", b"IS"), _decimal_string),
        **dict.fromkeys((b"US", b"SS", b"UL", b"SL", b"UV", b"SV"), _integers),
        **dict.fromkeys((b"FL", b"FD"), _floats),
        **dict.fromkeys((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"), _inline),
        b"AT": _tags,
        b"PN": _person_name,
        b"UR": _uri,
    }
)
