"""The lines that `annotation=patient,technique` burns into a picture (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from dicom.charsets import character_set, parse_terms
from dicom.graphics import Picture, with_lines

_SPECIFIC_CHARACTER_SET = 0x00080005
_LONGEST_LINE = 120
_SEPARATOR = "  "


@dataclass(frozen=True, slots=True)
class _Line:
    """Attributes that stand on one line, each with what is written before and behind it."""

    parts: tuple[tuple[int, str, str], ...]


_KEYWORDS: Mapping[str, tuple[_Line, ...]] = {
    "patient": (
        _Line(((0x00100010, "", ""),)),
        _Line(((0x00100020, "ID ", ""),)),
        _Line(((0x00100030, "born ", ""), (0x00100040, "sex ", ""), (0x00101010, "age ", ""))),
    ),
    "technique": (
        _Line(((0x00080060, "", ""), (0x00180015, "", ""), (0x00200062, "", ""), (0x00185101, "", ""))),
        _Line(((0x00080020, "", ""), (0x00080030, "", ""))),
        _Line(((0x00180060, "", " kV"), (0x00181151, "", " mA"), (0x00181150, "", " ms"), (0x00181152, "", " mAs"))),
        _Line(((0x00180080, "TR ", " ms"), (0x00180081, "TE ", " ms"), (0x00181314, "flip ", "\N{DEGREE SIGN}"))),
        _Line(((0x00180087, "", " T"), (0x00180050, "slice ", " mm"), (0x00201041, "at ", " mm"))),
        _Line(((0x00181210, "", ""), (0x00185100, "", ""))),
    ),
}
KEYWORDS = frozenset(_KEYWORDS)
_CORNERS = {"patient": "top", "technique": "bottom"}
IDENTITY = frozenset(f"{tag:08X}" for line in _KEYWORDS["patient"] for tag, _, _ in line.parts)
# What the lines are read from, for ``picture_header``.
TAGS: Mapping[int, None] = dict.fromkeys(
    [_SPECIFIC_CHARACTER_SET, *(tag for lines in _KEYWORDS.values() for line in lines for tag, _, _ in line.parts)]
)


def annotated(
    picture: Picture, header: Dataset, keywords: Iterable[str], withheld: frozenset[str] = frozenset()
) -> Picture:
    """The picture with the lines of the known ``keywords`` over it.

    ``withheld`` are tags (``00100010``) of attributes that whoever asks is not shown.
    """
    corners = {
        _CORNERS[keyword]: lines for keyword in keywords if (lines := annotation_lines(header, keyword, withheld))
    }
    return with_lines(picture, corners) if corners else picture


def annotation_lines(header: Dataset, keyword: str, withheld: frozenset[str] = frozenset()) -> list[str]:
    """What one keyword of the parameter says about the image; attributes that are empty or withheld have no place.

    Who is not shown everything that identifies the patient is shown nothing of it.
    """
    if keyword == "patient" and not withheld.isdisjoint(IDENTITY):
        return []
    lines = []
    for line in _KEYWORDS.get(keyword, ()):
        parts = []
        for tag, before, behind in line.parts:
            text = "" if f"{tag:08X}" in withheld else _text(header, tag)
            parts += [f"{before}{text}{behind}"] if text else []
        lines += [_SEPARATOR.join(parts)[:_LONGEST_LINE]] if parts else []
    return lines


def _text(header: Dataset, tag: int) -> str:
    """The value as people write it; of a name its alphabetic form."""
    if tag not in header:
        return ""
    element = header.get_item(tag)
    raw: Any = element.value if element is not None else b""
    vr = str(element.VR) if element is not None else ""
    text = _character_set(header).decode(raw, vr.encode()) if isinstance(raw, bytes) else str(header[tag].value)
    text = text.strip(" \0").split("\\")[0]
    if vr == "PN":
        family, _, given = text.split("=")[0].partition("^")
        text = ", ".join(part.replace("^", " ").strip() for part in (family, given) if part.strip(" ^"))
    if vr == "DA" and len(text) == 8 and text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if vr == "TM" and len(text) >= 4 and text[:4].isdigit():
        text = f"{text[:2]}:{text[2:4]}"
    return "".join(letter for letter in text if letter.isprintable())


def _character_set(header: Dataset) -> Any:
    element = header.get_item(_SPECIFIC_CHARACTER_SET)
    value: Any = b"" if element is None else element.value
    raw = value if isinstance(value, bytes) else "\\".join([value] if isinstance(value, str) else value or "").encode()
    return character_set(parse_terms(raw))
