"""Who is told of which workitems (PS3.4 CC.2.3): subscriptions to one, to all, and to those that match a filter.

Present workitems get a subscription each when a worklist is subscribed to, and new ones when they are made, so that a
workitem knows its subscribers and its locks by itself. What was asked for about a workitem itself comes before what
comes with a worklist; only the end of a worklist's subscription ends everything.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from django.db import connection, transaction
from django.db.models import QuerySet

from archive.errors import InvalidQuery, NotFound
from workitems.changes import Change
from workitems.errors import Gone
from workitems.events import FILTERED, GLOBAL, Event, current_state, write
from workitems.matching import matching
from workitems.models import WorkItem
from workitems.subscription_models import Subscriber, WorkItemSubscription, WorklistSubscription

log = logging.getLogger(__name__)

WORKLISTS: Final = (GLOBAL, FILTERED)
# Application entities of one person or machine.
MOST_TITLES: Final = 50
# Whoever begins or ends the subscription of a worklist, and whoever makes or changes a workitem, don't overlook each
# other: the first takes this lock alone, the others share it.
_LOCK: Final = 0x4C62787375627363
_STEP: Final = 1000
_TAKEN: Final = "this AE title is somebody else's"
# Matching keys as ``workitems.matching`` takes them.
Matches = Sequence[Sequence[str]]


class TitleTaken(Exception):
    """The application entity is somebody else's, or the holder has too many."""


@dataclass(frozen=True, slots=True)
class Entity:
    """An application entity: its title, and the external id of the person or machine who asks for it. ``manages``:
    who asks may end the subscriptions of others."""

    ae_title: str
    holder: str
    manages: bool = False


def subscriber_of(entity: Entity) -> Subscriber:
    """The subscriber, locked; one that is new belongs to the holder from now on. In a transaction.

    Raises ``TitleTaken``.
    """
    rows = Subscriber.objects.select_for_update(no_key=True)
    found = rows.filter(ae_title=entity.ae_title).first()
    if found is None:
        if Subscriber.objects.filter(holder=entity.holder).count() >= MOST_TITLES:
            raise TitleTaken(f"there are {MOST_TITLES} application entities of yours already")
        Subscriber.objects.bulk_create(
            [Subscriber(ae_title=entity.ae_title, holder=entity.holder)], ignore_conflicts=True
        )
        found = rows.get(ae_title=entity.ae_title)
    if found.holder != entity.holder:
        raise TitleTaken(_TAKEN)
    return found


@transaction.atomic
def subscribe(entity: Entity, seen: QuerySet[WorkItem], uid: str, *, deletion_lock: bool) -> WorkItem:
    """Tell the entity of one workitem from now on, beginning with its state.

    Raises ``NotFound``, ``Gone``, ``TitleTaken``.
    """
    workitem = seen.select_for_update(no_key=True, of=("self",)).filter(uid=uid).first()
    if workitem is None:
        raise NotFound("no such workitem")
    if workitem.deleted_at is not None:
        raise Gone("the workitem is no longer kept")
    subscriber = subscriber_of(entity)
    WorkItemSubscription.objects.update_or_create(
        workitem=workitem,
        subscriber=subscriber,
        defaults={"deletion_lock": deletion_lock, "of_worklist": False},
    )
    write([subscriber.pk], [current_state(workitem)])
    return workitem


@transaction.atomic
def subscribe_to_worklist(
    entity: Entity, seen: QuerySet[WorkItem], matches: Matches | None, *, deletion_lock: bool
) -> None:
    """Tell the entity of all workitems among ``seen``, which it may see, and of those that are still to be made; with
    ``matches``, of those that match. With a lock it hears the state of each at once (CC.2.4.3).

    Raises ``TitleTaken``, ``InvalidQuery``.
    """
    seen = matching(seen.filter(deleted_at=None), matches or ())
    _lock(shared=False)
    subscriber = subscriber_of(entity)
    WorklistSubscription.objects.update_or_create(
        subscriber=subscriber,
        filtered=matches is not None,
        defaults={"matches": [list(match) for match in matches or ()], "deletion_lock": deletion_lock},
    )
    present = WorkItemSubscription.objects.filter(subscriber=subscriber, workitem__in=seen)
    present.filter(of_worklist=True).update(deletion_lock=deletion_lock)
    missing = seen.exclude(subscriptions__subscriber=subscriber).order_by("pk")
    rows = (
        WorkItemSubscription(workitem_id=key, subscriber=subscriber, deletion_lock=deletion_lock, of_worklist=True)
        for key in missing.values_list("pk", flat=True)
    )
    WorkItemSubscription.objects.bulk_create(rows, batch_size=_STEP)
    if deletion_lock:
        present_ones = seen.order_by("pk").iterator(_STEP)
        while some := [current_state(workitem) for workitem in islice(present_ones, _STEP)]:
            write([subscriber.pk], some)


@transaction.atomic
def unsubscribe(entity: Entity, uid: str) -> None:
    """End the subscription of ``uid``: a workitem's own, the filtered one with what came with it, or, for the whole
    worklist, every one there is, with all locks (CC.2.3.1). Raises ``NotFound``, ``TitleTaken``."""
    if uid in WORKLISTS:
        _lock(shared=False)
    subscriber = _known(entity)
    subscriptions = WorkItemSubscription.objects.filter(subscriber=subscriber)
    worklists = WorklistSubscription.objects.filter(subscriber=subscriber)
    if uid == GLOBAL:
        ended = subscriptions.delete()[0] + worklists.delete()[0]
        if subscriber.holder != entity.holder:
            ended += subscriber.delete()[0]  # and the title is free again
    elif uid == FILTERED:
        ended = worklists.filter(filtered=True).delete()[0]
        if ended and not worklists.exists():
            subscriptions.filter(of_worklist=True).delete()
    else:
        ended = subscriptions.filter(workitem__uid=uid).delete()[0]
    if not ended:
        raise NotFound("there is no such subscription")


@transaction.atomic
def suspend(entity: Entity, uid: str) -> None:
    """Tell the entity of no new workitems of this worklist; what it is told of goes on. Raises ``NotFound``,
    ``TitleTaken``."""
    _lock(shared=False)
    worklists = WorklistSubscription.objects.filter(subscriber=_known(entity), filtered=uid == FILTERED)
    if uid not in WORKLISTS or not worklists.delete()[0]:
        raise NotFound("there is no such subscription")


def note(change: Change) -> int:
    """Write ``change`` down for each subscriber of its workitem, a new one's worklists included; their number."""
    _lock(shared=True)
    if change.created:
        _join(change.workitem)
    subscriptions = WorkItemSubscription.objects.filter(workitem=change.workitem)
    event = Event(change.event, change.workitem, change.information)
    return write(subscriptions.values_list("subscriber", flat=True), [event])


def _join(workitem: WorkItem) -> None:
    itself = WorkItem.objects.filter(pk=workitem.pk)
    wanted: dict[int, bool] = {}
    for worklist in WorklistSubscription.objects.all():
        if not worklist.filtered or _matches(itself, worklist):
            wanted[worklist.subscriber_id] = wanted.get(worklist.subscriber_id, False) or worklist.deletion_lock
    rows = [
        WorkItemSubscription(workitem=workitem, subscriber_id=key, deletion_lock=locked, of_worklist=True)
        for key, locked in wanted.items()
    ]
    WorkItemSubscription.objects.bulk_create(rows, ignore_conflicts=True)


def _matches(rows: QuerySet[WorkItem], worklist: WorklistSubscription) -> bool:
    """A filter that an earlier release took and this one doesn't keeps nobody from making workitems."""
    try:
        return matching(rows, worklist.matches).exists()
    except InvalidQuery:
        log.warning("the filter of worklist subscription %s can't be read any more", worklist.pk)
        return False


def _known(entity: Entity) -> Subscriber:
    found = Subscriber.objects.select_for_update(no_key=True).filter(ae_title=entity.ae_title).first()
    if found is None:
        raise NotFound("there is no such subscription")
    if found.holder != entity.holder and not entity.manages:
        raise TitleTaken(_TAKEN)
    return found


def _lock(*, shared: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_advisory_xact_lock{'_shared' if shared else ''}(%s)", [_LOCK])
