"""Bytes to text under a Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1).

Reading never fails: what a declared character set cannot mean is read in the likeliest other way, or as U+FFFD. The
text holds no NUL and no lone surrogate, so that it can go into PostgreSQL and JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

ESC = 0x1B

# PS3.3 Tables C.12-2 and C.12-3: IR number -> codec of the right half (G1). JIS X 0201 is the single-byte part of
# Shift JIS.
_SINGLE_BYTE = {
    "100": "iso8859_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "144": "iso8859_5",
    "127": "iso8859_6",
    "126": "iso8859_7",
    "138": "iso8859_8",
    "148": "iso8859_9",
    "203": "iso8859_15",
    "13": "shift_jis",
    "166": "iso8859_11",
}
# PS3.3 Table C.12-4: multi-byte sets that are invoked in G1
_MULTI_BYTE_G1 = {"149": "euc_kr", "58": "gb2312"}
_G1 = _SINGLE_BYTE | _MULTI_BYTE_G1
# The default repertoire and the sets that live in G0 only
_KNOWN = _G1.keys() | {"", "6", "87", "159"}
# The wider sets that writers really use under the name of the narrower
_SUPERSET = {"euc_kr": "cp949", "gb2312": "gb18030", "shift_jis": "cp932", "gbk": "gb18030"}

# PS3.3 Table C.12-5
_WHOLE = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}

# Two-byte sets of G0, as EUC-JP prefixes: each pair with its high bits set, JIS X 0212 behind a single shift
_TWO_BYTE_G0 = {"jis_x_0208": b"", "jis_x_0212": b"\x8f"}

# Escape sequences after ESC (PS3.3 Tables C.12-3 and C.12-4) -> (0 for G0 or 1 for G1, the set). The last two are of
# ISO 2022-JP, written by some Japanese modalities.
_ESCAPES: dict[bytes, tuple[int, str]] = {
    b"(B": (0, "ascii"),
    b"(J": (0, "ascii"),
    b")I": (1, "shift_jis"),
    b"-A": (1, "iso8859_1"),
    b"-B": (1, "iso8859_2"),
    b"-C": (1, "iso8859_3"),
    b"-D": (1, "iso8859_4"),
    b"-L": (1, "iso8859_5"),
    b"-G": (1, "iso8859_6"),
    b"-F": (1, "iso8859_7"),
    b"-H": (1, "iso8859_8"),
    b"-M": (1, "iso8859_9"),
    b"-b": (1, "iso8859_15"),
    b"-T": (1, "iso8859_11"),
    b"$B": (0, "jis_x_0208"),
    b"$(D": (0, "jis_x_0212"),
    b"$)C": (1, "euc_kr"),
    b"$)A": (1, "gb2312"),
    b"$@": (0, "jis_x_0208"),
    b"$A": (1, "gb2312"),
}
_ESCAPE = re.compile(rb"\x1b(\$[()\-]?.|[()\-].)", re.DOTALL)
_TERM = re.compile(r"ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?(\d+)")

# Where code extension falls back to the initial sets (PS3.5 6.1.2.5.3): at any control character, and at the
# delimiters that mean something in the VR
_CONTROLS = frozenset(range(0x20)) - {ESC}
_MULTI_VALUE = _CONTROLS | {ord("\\")}
_RESETS = {
    b"PN": _CONTROLS | frozenset(b"\\^="),
    b"LO": _MULTI_VALUE,
    b"SH": _MULTI_VALUE,
    b"UC": _MULTI_VALUE,
}


@dataclass(frozen=True, slots=True)
class CharacterSet:
    """One Specific Character Set as it is in force for a data set or item."""

    terms: tuple[str, ...]
    whole: str | None  # a codec without code extension for any byte: UTF-8, GB18030, GBK
    g1: str | None  # the codec of bytes from 0x80 before any escape sequence; None where nothing was declared
    unknown: tuple[str, ...]  # values that are no defined term

    def decode(self, value: bytes, vr: bytes = b"LO") -> str:
        """The text of a value field; delimiters stay in place, U+0000 is dropped."""
        if value.isascii() and ESC not in value:
            text = value.decode("ascii")
        elif self.whole is not None:
            text = _decode_whole(value, self.whole)
        elif ESC in value:
            text = self._decode_extended(value, _RESETS.get(vr, _CONTROLS))
        else:
            text = _decode_right_half(value, self.g1)
        return text.replace("\0", "") if "\0" in text else text

    def _decode_extended(self, value: bytes, resets: frozenset[int]) -> str:
        # ISO/IEC 2022 as PS3.5 6.1.2.5 profiles it: two registers, changed by escape sequences only
        g0, g1 = "ascii", self.g1
        pieces: list[str] = []
        position, end = 0, len(value)
        while position < end:
            byte = value[position]
            if byte == ESC:
                escape = _ESCAPE.match(value, position)
                if escape is None or escape[1] not in _ESCAPES:
                    position += 1  # an escape that designates nothing we know prints nothing
                    continue
                register, name = _ESCAPES[escape[1]]
                g0, g1 = (name, g1) if register == 0 else (g0, name)
                position = escape.end()
            elif byte >= 0x80:
                stop = position + 1
                while stop < end and value[stop] >= 0x80:
                    stop += 1
                pieces.append(_decode_right_half(value[position:stop], g1))
                position = stop
            elif g0 in _TWO_BYTE_G0 and byte > 0x20 and position + 1 < end:
                pair = _TWO_BYTE_G0[g0] + bytes((byte | 0x80, value[position + 1] | 0x80))
                pieces.append(pair.decode("euc_jp", "replace"))
                position += 2
            else:
                if byte in resets:
                    # writers that declare no G1 at all often designate it once for the whole value
                    g0, g1 = "ascii", self.g1 or g1
                pieces.append(chr(byte))
                position += 1
        return "".join(pieces)


def _decode_whole(value: bytes, codec: str) -> str:
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        if codec == "utf_8":  # declared, but not so: the bytes are nearly always Latin-1
            return value.decode("iso8859_1")
        return value.decode(_SUPERSET.get(codec, codec), "replace")


def _decode_right_half(value: bytes, codec: str | None) -> str:
    if codec is None:  # nothing declared: UTF-8 proves itself, else Latin-1
        return _decode_whole(value, "utf_8")
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return value.decode(_SUPERSET.get(codec, codec), "replace")


def _normal(term: str) -> str:
    term = term.strip(" \0").upper()
    if term in ("UTF-8", "UTF8"):
        return "ISO_IR 192"
    match = _TERM.fullmatch(term)
    if match is None:
        return term
    return f"ISO_IR {match[1]}"


@lru_cache(maxsize=256)
def character_set(terms: tuple[str, ...]) -> CharacterSet:
    """The character set named by the values of Specific Character Set (0008,0005), misspelled ones included."""
    normal = [_normal(term) for term in terms]
    numbers = [term.removeprefix("ISO_IR ") for term in normal]
    unknown = tuple(
        given
        for given, term, number in zip(terms, normal, numbers, strict=True)
        if term not in _WHOLE and number not in _KNOWN
    )
    whole = next((_WHOLE[term] for term in normal if term in _WHOLE), None)
    # Value 1 names the initial G1. Where it names none, bytes from 0x80 without an escape sequence are illegal, and
    # the writer nearly always meant the set it names next.
    g1 = next((_G1[number] for number in numbers if number in _G1), None)
    return CharacterSet(terms, whole, g1, unknown)


def parse_terms(value: bytes) -> tuple[str, ...]:
    """The values of (0008,0005), which is itself always of the default repertoire."""
    return tuple(value.decode("iso8859_1").strip(" \0").split("\\"))
