"""The sweep: removes objects that nothing points at, those of deleted instances and those that never got a row.

Whatever is to go stands in ``DeletedObject`` first, with the time from which it may. What is found without a row (a
writer that died, or one that is just storing it) is noted there by a first sweep and removed by a later one, at least
``ORPHAN_GRACE`` after, if it still has none: the one clock is the database's, and no writer is ever too slow. An
object that a row points at is never removed, whatever stands about it.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from django.db import models, transaction
from django.db.models.functions import Now
from django.dispatch import Signal

from archive.errors import ArchiveUnavailable
from archive.holds import held_objects
from archive.models import (
    CommitmentRequest,
    DeletedObject,
    Instance,
    Representation,
    SeriesDocument,
    ThumbnailPack,
)
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from archive.sweep_hold import may_remove
from audit import kinds
from audit.record import NewAccessEvent, record

log = logging.getLogger("archive.sweep")

ORPHAN_GRACE = timedelta(days=1)
# How far back the regular sweep looks for orphans, by the day that stands in their keys.
RECENT_DAYS = 14
# After this time a commitment's result is forgotten: 404 (PS3.18 13.5.3.1).
COMMITMENT_RESULTS_KEPT = timedelta(days=90)
_KEYS = 1000
_ROWS = 200
Item = TypeVar("Item")
# Inside the transaction of each step: ``rows`` are those of instances whose objects were removed for good, ``event`` is
# what the trail gave for it.
objects_removed: Final = Signal()

# Beginning of a key -> which columns may hold it. What begins otherwise is not ours to remove. Rooms above add theirs.
HOLDERS: MutableMapping[str, Sequence[tuple[type[models.Model], str]]] = {
    "instances/": [(Instance, "object_key")],
    "derived/metadata/": [(SeriesDocument, "object_key")],
    "derived/thumbnails/": [(ThumbnailPack, "object_key")],
    # One that took the place of what was received is the instance's own.
    "derived/transcoded/": [(Representation, "object_key"), (Instance, "object_key")],
}

# Each says whether the store may hold what the index has lost: then nothing is taken for an orphan, and nothing removed
# that is due, because what was deleted may have come back since.
DOUBTS: list[Callable[[], bool]] = []
# The same, asked of stored instances that have no row.
WITNESSES: list[Callable[[Sequence[str]], bool]] = []


@dataclass(slots=True)
class Swept:
    """What a sweep did, or would do: objects and bytes removed, orphans noted for a later sweep."""

    removed: int = 0
    bytes: int = 0
    noted: int = 0


def sweep_recent(subject: str) -> None:
    """The task: what is due, and the orphans of the last days; ``subject`` says nothing."""
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in range(RECENT_DAYS)]
    _sweep([f"{beginning}{day:%Y/%m/%d}/" for beginning in HOLDERS for day in days], dry_run=False)


def sweep_all(*, dry_run: bool = False) -> Swept:
    """Sweep the whole object store. A dry run changes nothing. Raises ``ArchiveUnavailable``; safe to repeat."""
    return _sweep(list(HOLDERS), dry_run=dry_run)


def _sweep(prefixes: Sequence[str], *, dry_run: bool) -> Swept:
    swept = Swept()
    if any(doubt() for doubt in DOUBTS):
        log.warning("nothing is swept: the index may lack what the object store has (./pacs rebuild)")
        return swept
    try:
        for removed, size in [_count_due()] if dry_run else _remove_due():
            swept.removed += removed
            swept.bytes += size
        for prefix in prefixes:
            for keys in _chunks(object_store().keys(prefix)):
                noted = _note_orphans(keys, dry_run=dry_run)
                if noted is None:
                    return swept
                swept.noted += noted
    except ObjectStoreError as error:
        raise ArchiveUnavailable(
            "the object store can't be reached now; the sweep goes on with the next one"
        ) from error
    if not dry_run:
        CommitmentRequest.objects.filter(created_at__lt=Now() - COMMITMENT_RESULTS_KEPT).delete()
    return swept


def _due() -> "models.QuerySet[DeletedObject]":
    """What has had its grace period and is under no legal hold."""
    return DeletedObject.objects.filter(sweep_after__lte=Now()).exclude(held_objects()).order_by("sweep_after", "pk")


def _remove_due() -> Iterator[tuple[int, int]]:
    """Remove what is due, in steps of one transaction; yields the number and the bytes of each.

    The object goes first: a step that is broken off is done again, and a row without its object does no harm. The rows
    are locked meanwhile, so that nobody brings back, or holds, what is being removed.
    """
    while True:
        with transaction.atomic():
            if not may_remove():  # a backup is being made; the next sweep removes it
                return
            rows = list(_due().select_for_update(skip_locked=True)[:_ROWS])
            # Again, now that they are locked: a hold may have been placed while they were looked for.
            rows = list(_due().filter(pk__in=[row.pk for row in rows]))
            held = _held([row.object_key for row in rows])
            going = [row for row in rows if row.object_key not in held]
            for row in going:
                object_store().delete(row.object_key)
            DeletedObject.objects.filter(pk__in=[row.pk for row in rows]).delete()
            _tell_of_purge([row for row in going if row.sop_instance_uid])
        if not rows:
            return
        yield len(going), sum(row.size for row in going)


def _count_due() -> tuple[int, int]:
    removed = size = 0
    for rows in _chunks(_due().values_list("object_key", "size").iterator()):
        held = _held([key for key, _ in rows])
        sizes = [n for key, n in rows if key not in held]
        removed, size = removed + len(sizes), size + sum(sizes)
    return removed, size


def _note_orphans(keys: Sequence[str], *, dry_run: bool) -> int | None:
    """Note those of ``keys`` that nothing knows; returns how many, None where the index may have lost them."""
    known = _held(keys)
    known.update(DeletedObject.objects.filter(object_key__in=keys).values_list("object_key", flat=True))
    orphans = [key for key in keys if key not in known]
    instances = [key for key in orphans if key.startswith("instances/")]
    if not dry_run and any(witness(instances) for witness in WITNESSES):
        log.error("images are in the object store that the index has lost: ./pacs rebuild --add-missing")
        return None
    if not dry_run:
        DeletedObject.objects.bulk_create(
            [DeletedObject(object_key=key, sweep_after=Now() + ORPHAN_GRACE, deleted_by="orphan") for key in orphans],
            ignore_conflicts=True,
        )
    return len(orphans)


def _held(keys: Sequence[str]) -> set[str]:
    """Those of ``keys`` that a row points at, or of which we don't know what would."""
    held = {key for key in keys if not key.startswith(tuple(HOLDERS))}
    for beginning, (model, column) in ((each, holder) for each in HOLDERS for holder in HOLDERS[each]):
        own = [key for key in keys if key.startswith(beginning)]
        if own:
            held.update(model._default_manager.filter(**{f"{column}__in": own}).values_list(column, flat=True))
    return held


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, _KEYS)):
        yield chunk


def _tell_of_purge(rows: Sequence[DeletedObject]) -> None:
    if rows:
        event = NewAccessEvent(
            kind=kinds.DELETE,
            principal_kind="system",
            principal_name="sweep",
            study_uids=sorted({row.study_instance_uid for row in rows}),
            instance_count=len(rows),
            bytes=sum(row.size for row in rows),
            outcome_description="removed for good after the grace period",
        )
        [recorded] = record([event])
        objects_removed.send(sender=None, rows=rows, event=recorded)
