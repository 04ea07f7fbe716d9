"""Search for workitems (PS3.4 CC.2.8, PS3.18 11.9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from workitems.columns import COLUMNS
from workitems.matching import matching
from workitems.models import WorkItem
from workitems.values import Attributes, tag

# What every answer has: the return keys of table CC.2.5-3 that are wanted to choose among workitems.
RETURNED: Final = frozenset(
    {tag(keyword) for keyword in COLUMNS}
    | {
        tag(keyword)
        for keyword in (
            "SpecificCharacterSet",
            "SOPClassUID",
            "SOPInstanceUID",
            "ScheduledStationNameCodeSequence",
            "ScheduledStationClassCodeSequence",
            "ScheduledStationGeographicLocationCodeSequence",
            "ScheduledHumanPerformersSequence",
            "ScheduledWorkitemCodeSequence",
            "ReferencedRequestSequence",
            "ProcedureStepProgressInformationSequence",
        )
    }
)


@dataclass(frozen=True, slots=True)
class WorkItemQuery:
    """What is looked for: paths (``workitems.matching.path_of``) with texts to match, the tags to answer beside
    ``RETURNED`` (None: all there are), and which part of the list."""

    matches: tuple[tuple[str, str], ...] = ()
    include: frozenset[str] | None = frozenset()
    fuzzy: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class WorkItemsFound:
    """Data sets, those that are to begin first in front, and whether there are more behind them."""

    data_sets: tuple[Attributes, ...]
    more: bool


def search(query: WorkItemQuery, scope: QuerySet[WorkItem]) -> WorkItemsFound:
    """The workitems of ``scope`` that match. Raises ``InvalidQuery``."""
    rows = matching(scope.filter(deleted_at=None), query.matches, fuzzy=query.fuzzy)
    ordered = rows.order_by("scheduled_start", "pk").values_list("data_set", flat=True)
    found: Sequence[Attributes] = list(ordered[query.offset : query.offset + query.limit + 1])
    shown = tuple(_shown(data_set, query.include) for data_set in found[: query.limit])
    return WorkItemsFound(shown, more=len(found) > query.limit)


def _shown(data_set: Attributes, include: frozenset[str] | None) -> Attributes:
    if include is None:
        return data_set
    return {name: value for name, value in data_set.items() if name in RETURNED or name in include}
