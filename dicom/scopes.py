"""Where an attribute of a frame may stand: functional groups, or the data set itself (PS3.3 C.7.6.16)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydicom.dataset import Dataset

# SharedFunctionalGroupsSequence and PerFrameFunctionalGroupsSequence: nearly never there, which must cost nothing
_GROUPS = frozenset((0x52009229, 0x52009230))


def scopes(header: Dataset, frame_number: int, group: str) -> Iterator[Dataset]:
    """The frame's functional group, the shared one, the data set: the first that has an attribute counts."""
    if not _GROUPS.isdisjoint(header.keys()):
        yield from _in_groups(header, frame_number, group)
    yield header


def _in_groups(header: Dataset, frame_number: int, group: str) -> Iterator[Dataset]:
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*per_frame[frame_number - 1 : frame_number], *shared[:1]):
        yield from (groups.get(group) or ())[:1]


def first_number(item: Dataset, keyword: str) -> float | None:
    """The first value of a numeric attribute; None when it is absent, empty or no number."""
    try:
        value = item.get(keyword)
        if value is not None and not isinstance(value, (str, bytes, int, float)) and hasattr(value, "__getitem__"):
            value = value[0]
        number = float(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return number if math.isfinite(number) else None
