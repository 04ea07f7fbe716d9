"""The sweep: removes objects that nothing points at, those of deleted instances and those that never got a row.

Whatever is to go stands in ``DeletedObject`` first, with the time from which it may. What is found without a row (a
writer that died, or one that is just storing it) is noted there by a first sweep and removed by a later one, at least
``ORPHAN_GRACE`` after, if it still has none: the one clock is the database's, and no writer is ever too slow. An
object that a row points at is never removed, whatever stands about it.

What can't be removed now is left for the sweep a day later, and behind what is due by then: ``sweep_places``.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from django.db import DatabaseError, OperationalError, models, transaction
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
from archive.object_store.errors import ObjectStoreError
from archive.object_store.port import ObjectStore, is_key
from archive.sweep_hold import may_remove
from archive.sweep_places import MOST_IN_A_ROW, SECOND, Place, Places
from audit import kinds
from audit.record import NewAccessEvent, record

log = logging.getLogger("archive.sweep")

ORPHAN_GRACE = timedelta(days=1)
# How far back the regular sweep looks for orphans, by the day that stands in their keys.
RECENT_DAYS = 14
# After this time a commitment's result is forgotten: 404 (PS3.18 13.5.3.1).
COMMITMENT_RESULTS_KEPT = timedelta(days=90)
# What could not be removed is tried again after this time.
LEFT_FOR = timedelta(days=1)
_KEYS = 1000
_ROWS = 200
Item = TypeVar("Item")
# Inside the transaction of each step: ``rows`` are those of instances whose objects were removed for good, ``event`` is
# what the trail gave for it.
objects_removed: Final = Signal()
# After each step: ``removed`` are keys of objects that are gone, ``left`` tells why those of its keys are not, though
# the place that they lie in is there.
step_done: Final = Signal()

# Beginning of a key -> which columns may hold it. What begins otherwise is not ours to remove. Rooms above add theirs.
HOLDERS: MutableMapping[str, Sequence[tuple[type[models.Model], str]]] = {
    "instances/": [(Instance, "object_key")],
    "derived/metadata/": [(SeriesDocument, "object_key")],
    "derived/thumbnails/": [(ThumbnailPack, "object_key")],
    # One that took the place of what was received is the instance's own.
    "derived/transcoded/": [(Representation, "object_key"), (Instance, "object_key")],
}

# Each says whether the store may hold what the index has lost: then nothing is taken for an orphan, and nothing removed
# that is due, because what was deleted may have come back since. Asked with a store, it is the second one that may.
DOUBTS: list[Callable[[ObjectStore | None], bool]] = []
# The same, asked of an object that has no row, in the second store where one is given.
WITNESSES: list[Callable[[str, ObjectStore | None], bool]] = []


@dataclass(slots=True)
class Swept:
    """What a sweep did, or would do: objects and bytes removed, orphans noted for a later sweep.

    ``left`` are objects that are due and could not be removed, ``unread`` are keys and beginnings of keys that could
    not be looked at, ``doubtful`` objects of the second store of which the index may have lost the rows. ``away`` are
    tiers, or the second store, that were left out.
    """

    removed: int = 0
    bytes: int = 0
    noted: int = 0
    left: int = 0
    unread: int = 0
    doubtful: int = 0
    away: list[str] = field(default_factory=list)


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
    if any(doubt(None) for doubt in DOUBTS):
        log.warning("nothing is swept: the index may lack what the object store has (./pacs rebuild)")
        return swept
    try:
        places = Places()
        if dry_run:
            swept.removed, swept.bytes = _count_due()
        else:
            _remove_due(places, swept)
        for place in places.listed():
            if not _note_orphans_of(place, places, prefixes, swept, dry_run=dry_run):
                return swept
        swept.away = sorted(places.away)
    except ObjectStoreError as error:
        raise ArchiveUnavailable(
            "the object store can't be reached now; the sweep goes on with the next one"
        ) from error
    if not dry_run:
        CommitmentRequest.objects.filter(created_at__lt=Now() - COMMITMENT_RESULTS_KEPT).delete()
    if swept.left or swept.unread or swept.doubtful or swept.away:
        log.warning(
            "the sweep left %s objects that can't be removed, %s that can't be read, %s that are in the second store "
            "alone and may be lost from the index; away: %s",
            swept.left,
            swept.unread,
            swept.doubtful,
            ", ".join(swept.away) or "nothing",
        )
    return swept


def _due() -> "models.QuerySet[DeletedObject]":
    """What has had its grace period and is under no legal hold."""
    return DeletedObject.objects.filter(sweep_after__lte=Now()).exclude(held_objects()).order_by("sweep_after", "pk")


def _remove_due(places: Places, swept: Swept) -> None:
    """Remove what is due, in steps of one transaction.

    The object goes first: a step that is broken off is done again, and a row without its object does no harm. The rows
    are locked meanwhile, so that nobody brings back, or holds, what is being removed. Where the database refuses a step
    its rows are taken one by one, and the one that it refuses is left.
    """
    singly = 0
    refused: set[int] = set()
    while True:
        rows: list[DeletedObject] = []
        try:
            with transaction.atomic():
                if not may_remove():  # a backup is being made; the next sweep removes it
                    return
                due = _due().exclude(pk__in=refused).select_for_update(skip_locked=True)
                rows = list(due[: 1 if singly else _ROWS])
                gone, left = _removed(places, rows)
        except DatabaseError as error:
            if isinstance(error, OperationalError) or not rows or len(refused) == MOST_IN_A_ROW:
                raise
            if len(rows) > 1:
                singly = len(rows)
                continue
            gone, left = [], rows
            refused.add(rows[0].pk)
            places.stuck[rows[0].object_key] = f"the database refuses it: {type(error).__name__}"
            log.warning("%s is left for a later sweep: %s", rows[0].object_key, places.stuck[rows[0].object_key])
            with suppress(DatabaseError), transaction.atomic():
                _push_back(rows)
        if not rows:
            return
        singly = max(0, singly - 1)
        swept.removed += len(gone)
        swept.bytes += sum(row.size for row in gone)
        swept.left += len(left)
        stuck = {row.object_key: places.stuck[row.object_key] for row in left if row.object_key in places.stuck}
        step_done.send(sender=None, removed=[row.object_key for row in gone], left=stuck)


def _removed(places: Places, rows: Sequence[DeletedObject]) -> tuple[Sequence[DeletedObject], Sequence[DeletedObject]]:
    """The locked ``rows`` whose objects were removed, and those whose objects could not be, which stay for later.

    What a row of the index points at stays, and its row here goes: it is not to be removed any more.
    """
    # Again, now that they are locked: a hold may have been placed while they were looked for.
    rows = list(_due().filter(pk__in=[row.pk for row in rows]))
    held = _held([row.object_key for row in rows])
    gone: list[DeletedObject] = []
    left: list[DeletedObject] = []
    for row in rows:
        if row.object_key not in held:
            (gone if places.remove(row.object_key) else left).append(row)
    _push_back(left)
    DeletedObject.objects.filter(pk__in={row.pk for row in rows} - {row.pk for row in left}).delete()
    _tell_of_purge([row for row in gone if row.sop_instance_uid])
    return gone, left


def _push_back(rows: Sequence[DeletedObject]) -> None:
    if rows:
        DeletedObject.objects.filter(pk__in=[row.pk for row in rows]).update(sweep_after=Now() + LEFT_FOR)


def _count_due() -> tuple[int, int]:
    removed = size = 0
    for rows in _chunks(_due().values_list("object_key", "size").iterator()):
        held = _held([key for key, _ in rows])
        sizes = [n for key, n in rows if key not in held]
        removed, size = removed + len(sizes), size + sum(sizes)
    return removed, size


def _note_orphans_of(place: Place, places: Places, prefixes: Sequence[str], swept: Swept, *, dry_run: bool) -> bool:
    """Note the orphans that lie in one place; False where the index may have lost what they are."""
    second = place.store if place.name == SECOND else None
    try:
        if second is not None and any(doubt(second) for doubt in DOUBTS):
            log.warning("the second store may have what the index lacks: nothing there is taken for an orphan")
            return True
    except (ArchiveUnavailable, ObjectStoreError) as error:
        places.failed(place, "", error)
        return True
    for prefix in prefixes:
        # What the index would be made from again comes last, and stays where an instance before it is in doubt.
        if places.is_away(place) or (second is not None and swept.doubtful):
            return True
        try:
            for keys in _chunks(place.store.keys(prefix)):
                places.worked(place)
                if not _note_orphans(keys, place, places, swept, dry_run=dry_run):
                    return False
        except ObjectStoreError as error:
            swept.unread += 1
            places.failed(place, prefix, error)
    return True


def _note_orphans(keys: list[str], place: Place, places: Places, swept: Swept, *, dry_run: bool) -> bool:
    """Note those of ``keys`` that nothing knows; False where the index may have lost them."""
    known = _held(keys)
    unknown = [key for key in keys if key not in known]
    known.update(DeletedObject.objects.filter(object_key__in=unknown).values_list("object_key", flat=True))
    orphans: list[str] = []
    for key in (key for key in unknown if key not in known):
        lost = not dry_run and _may_be_lost(key, place, places, swept)
        if lost and place.name == SECOND:
            swept.doubtful += 1
        elif lost:
            log.error("the object store has what the index has lost: ./pacs rebuild --add-missing")
            return False
        elif lost is False:
            orphans.append(key)
    if not dry_run:
        DeletedObject.objects.bulk_create(
            [DeletedObject(object_key=key, sweep_after=Now() + ORPHAN_GRACE, deleted_by="orphan") for key in orphans],
            ignore_conflicts=True,
        )
    elif place.name == SECOND:
        orphans = [key for key in orphans if not places.is_in_first(key)]
    swept.noted += len(orphans)
    return True


def _may_be_lost(key: str, place: Place, places: Places, swept: Swept) -> bool | None:
    """What the witnesses say of an object without a row; None where it can't be read, and stays."""
    try:
        return any(witness(key, place.store if place.name == SECOND else None) for witness in WITNESSES)
    except ObjectStoreError as error:
        swept.unread += 1
        places.failed(place, key, error)
        return None


def _held(keys: Sequence[str]) -> set[str]:
    """Those of ``keys`` that a row points at, or of which we don't know what would."""
    held = {key for key in keys if not key.startswith(tuple(HOLDERS)) or not is_key(key)}
    for beginning, (model, column) in ((each, holder) for each in HOLDERS for holder in HOLDERS[each]):
        own = [key for key in keys if key.startswith(beginning) and key not in held]
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
