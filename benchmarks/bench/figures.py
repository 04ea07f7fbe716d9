"""Medians, spreads and ratios of measurements that took turns."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the repetitions and half of what lies between the least and the greatest, as a part of it."""

    median: float
    spread: float
    repetitions: int


def figure(values: Sequence[float]) -> Figure:
    """Of at least one value. The spread is 0 where the median is."""
    middle = statistics.median(values)
    spread = (max(values) - min(values)) / 2 / middle if middle else 0.0
    return Figure(middle, spread, len(values))


def percentile(values: Sequence[float], part: float) -> float:
    """The least of ``values`` that ``part`` (0 to 1) of them don't exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * part) - 1)]


def better(ours: float, theirs: float, *, higher: bool) -> float:
    """How many times better we are: above 1 is better, whichever direction is good. Infinite where we are at 0."""
    above, below = (ours, theirs) if higher else (theirs, ours)
    return above / below if below else math.inf
