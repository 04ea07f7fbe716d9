"""A report's text by its sections, and what changed between two versions: for readers of any door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from types import MappingProxyType
from typing import Final

from reports.models import ReportVersion

# LOINC codes of the sections of radiology reports (PS3.16 CID 7001); others have no title of their own.
TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "18748-4": "Report",
        "11329-0": "History",
        "18785-6": "Reason for study",
        "55115-0": "Request",
        "55111-9": "Procedure",
        "18834-2": "Comparison",
        "59776-5": "Findings",
        "18782-3": "Findings",
        "19005-8": "Impression",
        "18783-1": "Recommendation",
        "55107-7": "Addendum",
        "77599-9": "Addendum",
    }
)
# What is longer is compared so far: the work grows with the square.
_MOST_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Section:
    """One section; ``code`` as it came."""

    code: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison: ``same``, ``added`` or ``removed``."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A section in two versions."""

    title: str
    lines: tuple[Line, ...]


def sections_of(version: ReportVersion) -> list[Section]:
    """In the order of the message."""
    return [Section(code, TITLES.get(code, "Report"), text) for code, text in version.sections]


def compared(older: ReportVersion, newer: ReportVersion) -> list[Compared]:
    """Section by section, those that are the same left out."""
    found = []
    for before, after in _pairs(sections_of(older), sections_of(newer)):
        if before is None or after is None or before.text != after.text:
            title = (after or before or Section("", "", "")).title
            found.append(Compared(title, tuple(_lines(before.text if before else "", after.text if after else ""))))
    return found


def _pairs(older: Sequence[Section], newer: Sequence[Section]) -> list[tuple[Section | None, Section | None]]:
    """The sections of one code in their order; what one version has more of stands alone."""
    codes: dict[str, tuple[list[Section], list[Section]]] = {}
    for place, sections in ((1, newer), (0, older)):
        for section in sections:
            codes.setdefault(section.code, ([], []))[place].append(section)
    return [pair for before, after in codes.values() for pair in zip_longest(before, after)]


def _lines(before: str, after: str) -> list[Line]:
    old, new = before.splitlines()[:_MOST_LINES], after.splitlines()[:_MOST_LINES]
    found: list[Line] = []
    for kind, low, high, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found += [Line("same", text) for text in old[low:high]]
            continue
        found += [Line("removed", text) for text in old[low:high]]
        found += [Line("added", text) for text in new[first:last]]
    return found
