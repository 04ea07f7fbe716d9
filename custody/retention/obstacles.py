"""THE table of what keeps a study whatever the rules say: something is still going on about it.

Each row finds, among studies, those that it keeps. Rooms that stand beside this one add theirs when all are put
together (``pacs_project.retention_obstacles``).
"""

from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Final

from django.db.models import Q
from django.utils import timezone

from access.models import ShareLink
from archive.holds import held_studies
from archive.models import Study
from worklist.models import OrderStatus, RequestedProcedure

_OPEN: Final = (
    *(OrderStatus.REQUESTED, OrderStatus.SCHEDULED, OrderStatus.ARRIVED),
    *(OrderStatus.STARTED, OrderStatus.HELD),
)
# Primary keys of studies -> the primary keys of those that are kept.
Finder = Callable[[Collection[int]], Collection[int]]


def _held(pks: Collection[int]) -> Collection[int]:
    return held_studies().filter(pk__in=pks).values_list("pk", flat=True)


def _quarantined(pks: Collection[int]) -> Collection[int]:
    return Study.objects.filter(pk__in=pks, quarantined=True).values_list("pk", flat=True)


def _ordered(pks: Collection[int]) -> Collection[int]:
    wanted = RequestedProcedure.objects.filter(order__status__in=_OPEN)
    answers = Q(order_links__procedure__in=wanted) | Q(study_instance_uid__in=wanted.values("study_instance_uid"))
    return Study.objects.filter(answers, pk__in=pks).values_list("pk", flat=True)


def _shared(pks: Collection[int]) -> Collection[int]:
    now = timezone.now()
    links = ShareLink.objects.filter(revoked_at__isnull=True, grants__valid_until__gt=now)
    reached = (
        Q(pk__in=links.values("grants__study"))
        | Q(series__in=links.values("grants__series"))
        | Q(patient__in=links.values("grants__patient"))
        | Q(patient__in=links.values("grants__patient__merged_into"))
    )
    return Study.objects.filter(reached, pk__in=pks).values_list("pk", flat=True)


OBSTACLES: Final[MutableMapping[str, Finder]] = {
    "it is under a legal hold": _held,
    "it is set aside, because it may be of another patient": _quarantined,
    "an order for it is open": _ordered,
    "a share link to it is open": _shared,
}


def obstacles_of(pks: Collection[int]) -> Mapping[int, list[str]]:
    """In words what keeps each of these studies; those that nothing keeps are not there."""
    found: dict[int, list[str]] = {}
    for words, finder in OBSTACLES.items():
        for pk in set(finder(pks)):
            found.setdefault(pk, []).append(words)
    return found
