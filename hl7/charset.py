"""Bytes to text under MSH-18 (table 0211). Strict: what the declared set can't mean is an error, never a guess.

MSH-18 repeats where a sender switches sets by ISO 2022 escape sequences; Python's codecs know the Japanese and Korean
ones, the parts of ISO 8859 are switched here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hl7.errors import Condition, Place, Refused

# Table 0211 -> codec. The Windows code pages are not of the table, but sent in Central Europe.
CODECS: Final[dict[str, str]] = {
    "ASCII": "ascii",
    **{f"8859/{part}": f"iso8859_{part}" for part in (*range(1, 10), 15)},
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp_1",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf_8",
    "UNICODE UTF-8": "utf_8",
    **{f"CP{page}": f"cp{page}" for page in range(1250, 1259)},
}
# With other sets beside it a Japanese set is one of ISO-2022-JP-EXT: JIS X 0201, 0208 and 0212.
_JAPANESE: Final = frozenset({"ISO IR14", "ISO IR87", "ISO IR159"})
_JAPANESE_CODEC: Final = "iso2022_jp_ext"
# ISO 2022 designations of the right half, and the way back to ASCII on the left.
_RIGHT_HALF: Final[dict[bytes, str]] = {
    **{
        b"\x1b-" + letter: f"iso8859_{part}"
        for letter, part in zip(
            (b"A", b"B", b"C", b"D", b"L", b"G", b"F", b"H", b"M", b"b"), (1, 2, 3, 4, 5, 6, 7, 8, 9, 15), strict=True
        )
    },
    b"\x1b(B": "",
}
# How often a message may switch; each piece between two switches is decoded by itself.
_MOST_SWITCHES: Final = 200_000
_ESCAPE: Final = re.compile(rb"(\x1b(?:-[A-Zb]|\(B))")


def codec_of(names: Sequence[str]) -> str:
    """The codec of the first set that MSH-18 names: that of the header and of the answer. Raises Refused (103)."""
    try:
        return CODECS[names[0].strip().upper()]
    except KeyError:
        raise _unknown() from None


def decode(raw: bytes, names: Sequence[str]) -> str:
    """The text of ``raw`` under the sets that MSH-18 names, one at least.

    Raises Refused: 103 for a set that isn't known, 102 for bytes that it can't mean.
    """
    known = [name.strip().upper() for name in names if name.strip()]
    if not known or not CODECS.keys() >= set(known):
        raise _unknown()
    codec = CODECS[known[0]]
    try:
        if len(known) == 1 or b"\x1b" not in raw:
            return raw.decode(codec)
        if not _JAPANESE.isdisjoint(known):
            return raw.decode(_JAPANESE_CODEC)
        if raw.count(b"\x1b") > _MOST_SWITCHES:
            raise UnicodeError("more switches between sets than text")
        return _switched(raw, codec)
    except UnicodeError:
        raise Refused(Condition.DATA_TYPE, Place("MSH", 18), "bytes that the character set can't mean") from None


def _switched(raw: bytes, codec: str) -> str:
    """ISO 8859 parts by designation of G1; the end of a segment goes back to the first set."""
    lines = []
    for line in raw.split(b"\r"):
        current = codec
        pieces = []
        for piece in _ESCAPE.split(line):
            if piece in _RIGHT_HALF:
                current = _RIGHT_HALF[piece] or current
            elif b"\x1b" in piece:
                raise UnicodeError("a designation that isn't known")
            else:
                pieces.append(piece.decode(current))
        lines.append("".join(pieces))
    return "\r".join(lines)


def _unknown() -> Refused:
    return Refused(Condition.VALUE_NOT_FOUND, Place("MSH", 18), "this character set isn't supported")
