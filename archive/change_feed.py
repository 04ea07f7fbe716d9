"""The change feed: what was created and deleted, in an order in which a reader never misses anything.

A row gets its ``sequence`` before its transaction commits, so a smaller number may appear after a larger one was read.
Readers are therefore shown ``position``, which is given after the commit, by the first reader that comes by: one at a
time, to all rows it can see that have none. A row that appears later gets a larger position, whenever it began.
Positions are 1, 2, 3... without gaps. No reader waits for a writer that is still at work, and none hides the others.
(Showing only transactions older than the oldest running one would do neither: ordered by ``sequence`` it still skips.)
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet, Subquery

from archive import metadata
from archive.delete import DELETE
from archive.errors import FeedPruned
from archive.feed_positions import give_positions
from archive.locate import is_everything, is_unlimited, untold, within
from archive.models import ChangeFeedEntry, Instance, Series, Study

State = Literal["current", "replaced", "deleted"]

_UID = re.compile(rb'"00080018":\{"vr":"UI","Value":\["([0-9.]+)"')


@dataclass(frozen=True, slots=True)
class Change:
    """One entry: what was done to which instance, and what has become of the instance by now.

    ``current``: it is stored as this entry left it; ``replaced``: it was stored anew after it; ``deleted``: it is not
    stored.
    """

    position: int
    action: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    timestamp: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Window:
    """Which entries: those after position ``since``, from ``start`` up to but without ``end``, without the first
    ``skip`` of them, at most ``limit``."""

    since: int = 0
    start: datetime | None = None
    end: datetime | None = None
    skip: int = 0
    limit: int = 100


def changes(scope: QuerySet[Study], window: Window) -> list[Change]:
    """The entries of ``window`` within ``scope``, in order. Raises ``FeedPruned`` for whoever left off too long ago.

    A limited scope is told of instances that are stored in its studies, never of what is gone; of studies that are gone
    the scope of everything is told but for those that were closed to it.
    """
    give_positions()
    if window.since:
        first = ChangeFeedEntry.objects.aggregate(first=Min("position"))["first"]
        if first is not None and window.since < first - 1:
            raise FeedPruned(f"entries after this one are no longer kept; the oldest is {first}: search anew")
    rows = _visible(scope).filter(position__gt=window.since)
    if window.start is not None:
        rows = rows.filter(created_at__gte=window.start)
    if window.end is not None:
        rows = rows.filter(created_at__lt=window.end)
    return [_change(row) for row in rows.order_by("position")[window.skip : window.skip + window.limit]]


def latest(scope: QuerySet[Study]) -> Change | None:
    """The last entry within ``scope``; ``None`` if there is none."""
    give_positions()
    row = _visible(scope).order_by("-position").first()
    return _change(row) if row is not None else None


def metadata_of(changed: Iterable[Change], scope: QuerySet[Study], root: str) -> Mapping[str, bytes]:
    """The metadata of those instances that are stored now, by SOP Instance UID, with BulkDataURIs under ``root``.

    Each series' document is read once. Raises ``ArchiveUnavailable``.
    """
    wanted = {change.sop_instance_uid for change in changed if change.state != "deleted"}
    holders = within(Instance.objects.filter(sop_instance_uid__in=wanted), scope, "series__study")
    by_series: dict[int, set[str]] = {}
    for pk, uid in holders.values_list("series_id", "sop_instance_uid"):
        by_series.setdefault(pk, set()).add(uid)
    found: dict[str, bytes] = {}
    for series in Series.objects.filter(pk__in=by_series).select_related("document"):
        found |= _chosen(metadata.objects_of(metadata.series_document(series, root)), by_series[series.pk])
    return found


def _chosen(objects: Sequence[bytes], wanted: set[str]) -> dict[str, bytes]:
    """Those of ``objects`` that are of the instances ``wanted``, with few of them parsed."""
    found = {}
    for text in objects:
        match = _UID.search(text)
        # The first one that looks like it may be that of a nested data set: look before you trust.
        if match and match[1].decode() in wanted and _uid_of(text) == match[1].decode():
            found[match[1].decode()] = text
    for uid in wanted - found.keys():
        found.update((uid, text) for text in objects if uid.encode() in text and _uid_of(text) == uid)
    return found


def _uid_of(text: bytes) -> str:
    return str((orjson.loads(text).get("00080018", {}).get("Value") or [""])[0])


def _visible(scope: QuerySet[Study]) -> QuerySet[ChangeFeedEntry, Any]:
    stored = Instance.objects.filter(sop_instance_uid=OuterRef("sop_instance_uid"))
    rows = ChangeFeedEntry.objects.filter(position__isnull=False).annotate(
        stored_at=Subquery(stored.values("created_at")[:1])
    )
    if is_unlimited(scope):
        return rows
    if is_everything(scope):
        uid = OuterRef("study_instance_uid")
        known, there = scope.filter(study_instance_uid=uid), Study.objects.filter(study_instance_uid=uid)
        told = Q() if (hidden := untold(scope)) is None else ~Q(study_instance_uid__in=hidden)
        return rows.filter(Exists(known) | (~Exists(there) & told))
    of_study = stored.filter(series__study__study_instance_uid=OuterRef("study_instance_uid"))
    here = within(of_study, scope, "series__study")
    seen = scope.values("study_instance_uid")
    return rows.filter(Exists(here), study_instance_uid__in=seen, stored_at__lte=F("created_at")).exclude(action=DELETE)


def _change(row: Any) -> Change:
    state: State = "deleted"
    if row.stored_at is not None:
        state = "current" if row.stored_at <= row.created_at and row.action != DELETE else "replaced"
    return Change(
        position=row.position,
        action=row.action,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        sop_instance_uid=row.sop_instance_uid,
        timestamp=row.created_at,
        state=state,
    )
