"""Which tier an object belongs in: one table, first row that fits; code, documentation and the dry run read it.

A row is a line of words::

    MODALITIES AGE UNOPENED SIZE -> TIER

MODALITIES are separated by commas. AGE is the time since the study was made, UNOPENED since somebody last opened it:
like ``>=90d`` or ``<2y`` (d days, m months of 30 days, y years of 365). SIZE is that of the object, like ``>=64MiB``.
``*`` stands for any. TIER is ``hot``, ``warm``, ``cold``, or ``keep`` for where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from archive.object_store.marks import TIERS

ANY: Final = "*"
KEEP: Final = "keep"
_LIMIT: Final = re.compile(r"(>=|<)([0-9]+)([A-Za-z]*)")
_DAYS: Final[Mapping[str, int]] = {"d": 1, "m": 30, "y": 365}
_BYTES: Final[Mapping[str, int]] = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Limit:
    """At least, or less than, a number of days or bytes; ``text`` is how it was written."""

    text: str
    least: int | None = None
    below: int | None = None

    def fits(self, value: int) -> bool:
        """Whether ``value`` lies within."""
        return (self.least is None or value >= self.least) and (self.below is None or value < self.below)


@dataclass(frozen=True, slots=True)
class Subject:
    """What the table asks of an object; ages in whole days."""

    modality: str
    age: int
    unopened: int
    size: int


@dataclass(frozen=True, slots=True)
class TierRow:
    """One row; ``tier`` is None for what stays where it is."""

    modalities: tuple[str, ...]
    age: Limit
    unopened: Limit
    size: Limit
    tier: str | None

    def fits(self, subject: Subject) -> bool:
        """Whether all four columns do."""
        return (
            (self.modalities == (ANY,) or subject.modality in self.modalities)
            and self.age.fits(subject.age)
            and self.unopened.fits(subject.unopened)
            and self.size.fits(subject.size)
        )

    def __str__(self) -> str:
        limits = " ".join(limit.text for limit in (self.age, self.unopened, self.size))
        return f"{','.join(self.modalities)} {limits} -> {self.tier or KEEP}"


LAST: Final = TierRow((ANY,), Limit(ANY), Limit(ANY), Limit(ANY), None)


def parse_row(text: str) -> TierRow:
    """The row that a line of words stands for. Raises ``ValueError``, whose message says what was expected."""
    left, arrow, tier = (part.strip() for part in text.partition("->"))
    columns = left.split()
    if not arrow or len(columns) != 4:
        raise ValueError(f"expected MODALITIES AGE UNOPENED SIZE -> TIER, found {text!r}")
    if tier not in (*TIERS, KEEP):
        raise ValueError(f"tier: expected {', '.join(TIERS)} or {KEEP}, found {tier!r}")
    modalities, age, unopened, size = columns
    return TierRow(
        tuple(modalities.split(",")),
        _limit(age, _DAYS),
        _limit(unopened, _DAYS),
        _limit(size, _BYTES),
        None if tier == KEEP else tier,
    )


def choose(rows: Iterable[TierRow], subject: Subject) -> TierRow:
    """The first row that fits; ``LAST``, which keeps, where none does."""
    return next((row for row in rows if row.fits(subject)), LAST)


def _limit(text: str, units: Mapping[str, int]) -> Limit:
    if text == ANY:
        return Limit(text)
    found = _LIMIT.fullmatch(text)
    if found is None or found[3] not in units:
        names = ", ".join(name or "bytes" for name in units)
        raise ValueError(f"expected {ANY}, or >= or < with a number and one of {names}; found {text!r}")
    number = int(found[2]) * units[found[3]]
    return Limit(text, least=number) if found[1] == ">=" else Limit(text, below=number)
