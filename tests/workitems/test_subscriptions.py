"""Subscriptions and deletion locks (PS3.4 CC.2.3), and what is written for subscribers (CC.2.4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from archive.errors import InvalidQuery, NotFound
from tests.workitems.watchers import cancelled, claimed, heard, made
from workitems import subscriptions
from workitems.events import FILTERED, GLOBAL, after, received, service_restarted
from workitems.models import WorkItem
from workitems.subscription_models import EventReport, Subscriber, WorkItemSubscription
from workitems.subscriptions import (
    MOST_TITLES,
    Entity,
    TitleTaken,
    subscribe,
    subscribe_to_worklist,
    subscriber_of,
    suspend,
    unsubscribe,
)
from workitems.upkeep import remove_ended, remove_events

pytestmark = pytest.mark.django_db
A, B = Entity("WATCH_A", "a"), Entity("WATCH_B", "b")
STATE, CANCEL, STATUS = 1, 2, 4


def everything() -> Any:
    return WorkItem.objects.all()


def test_one_workitem_its_state_first() -> None:
    """CC.2.4.3: a subscriber hears of the state there is, then of each change."""
    item, other = made(), made()
    claimed(other)
    subscribe(A, everything(), item.uid, deletion_lock=False)
    claimed(item)
    assert heard(A) == [(item.uid, STATE), (item.uid, STATE)]
    states = [each.data_set["00741000"]["Value"][0] for each in after(Subscriber.objects.get().pk, 0, 10)]
    assert states == ["SCHEDULED", "IN PROGRESS"]
    unsubscribe(A, item.uid)
    made()
    assert len(heard(A)) == 2
    with pytest.raises(NotFound):
        unsubscribe(A, item.uid)


def test_all_present_and_future_ones() -> None:
    """CC.2.3: without a lock nothing is told of the states that there are (CC.2.4.3), with one each is."""
    first = made()
    subscribe_to_worklist(A, everything(), None, deletion_lock=False)
    subscribe_to_worklist(B, everything(), None, deletion_lock=True)
    second = made()
    claimed(first)
    assert heard(A) == [(second.uid, STATE), (first.uid, STATE)]
    assert heard(B) == [(first.uid, STATE), (second.uid, STATE), (first.uid, STATE)]


def test_those_that_match() -> None:
    there, other = made(), made(WorklistLabel="PRINT")
    subscribe_to_worklist(A, everything(), [("WorklistLabel", "AI")], deletion_lock=False)
    new = made()
    made(WorklistLabel="PRINT")
    for item in (there, other):
        claimed(item)
    assert heard(A) == [(new.uid, STATE), (there.uid, STATE)]
    with pytest.raises(InvalidQuery):
        subscribe_to_worklist(B, everything(), [("NoSuchThing", "1")], deletion_lock=False)


def test_suspended() -> None:
    """CC.2.3: what is subscribed to goes on, nothing new joins."""
    subscribe_to_worklist(A, everything(), None, deletion_lock=False)
    before = made()
    suspend(A, GLOBAL)
    made()
    claimed(before)
    assert heard(A) == [(before.uid, STATE), (before.uid, STATE)]
    for uid in (GLOBAL, FILTERED):
        with pytest.raises(NotFound):
            suspend(A, uid)


def test_what_was_asked_of_one_workitem_comes_before_the_worklist() -> None:
    one, two = made(), made()
    subscribe(A, everything(), one.uid, deletion_lock=True)
    subscribe_to_worklist(A, everything(), None, deletion_lock=False)
    locks = dict(one.subscriptions.model.objects.values_list("workitem__uid", "deletion_lock"))
    assert locks == {one.uid: True, two.uid: False}
    subscribe_to_worklist(A, everything(), None, deletion_lock=True)
    subscribe(A, everything(), one.uid, deletion_lock=False)
    locks = dict(one.subscriptions.model.objects.values_list("workitem__uid", "deletion_lock"))
    assert locks == {one.uid: False, two.uid: True}
    unsubscribe(A, GLOBAL)
    assert not one.subscriptions.model.objects.exists()


def test_the_filtered_subscription_ends_with_what_came_with_it() -> None:
    one, two = made(), made()
    subscribe(A, everything(), one.uid, deletion_lock=False)
    subscribe_to_worklist(A, everything(), [("WorklistLabel", "AI")], deletion_lock=False)
    unsubscribe(A, FILTERED)
    assert list(WorkItem.objects.filter(subscriptions__subscriber__ae_title=A.ae_title)) == [one]
    made()
    assert {uid for uid, _ in heard(A)} == {one.uid}
    assert two.uid not in {uid for uid, _ in heard(A)}


def test_a_lock_keeps_what_has_ended(settings: Any) -> None:
    """CC.2.3.1: until no lock is left, and then for as long as a setting says."""
    locked, free, recent = made(), made(), made()
    subscribe(A, everything(), locked.uid, deletion_lock=True)
    subscribe(B, everything(), free.uid, deletion_lock=False)
    for item in (locked, free, recent):
        cancelled(item)
    WorkItem.objects.exclude(pk=recent.pk).update(ended_at=timezone.now() - timedelta(days=31))
    assert remove_ended() == 1
    gone = WorkItem.objects.get(pk=free.pk)
    assert gone.deleted_at is not None
    assert (gone.data_set, gone.patient_name, gone.worklist_label) == ({}, "", "")
    unsubscribe(A, locked.uid)
    assert remove_ended() == 1
    assert list(WorkItem.objects.filter(deleted_at=None)) == [recent]


def test_a_title_is_of_who_used_it_first() -> None:
    item = made()
    subscribe(A, everything(), item.uid, deletion_lock=True)
    stranger = Entity(A.ae_title, "somebody else")
    asked: list[Callable[[], object]] = [
        lambda: subscribe(stranger, everything(), item.uid, deletion_lock=False),
        lambda: subscribe_to_worklist(stranger, everything(), None, deletion_lock=False),
        lambda: unsubscribe(stranger, item.uid),
        lambda: unsubscribe(stranger, GLOBAL),
        lambda: suspend(stranger, GLOBAL),
    ]
    for ask in asked:
        with pytest.raises(TitleTaken):
            ask()
    unsubscribe(Entity(A.ae_title, "administrator", manages=True), GLOBAL)
    subscribe(stranger, everything(), item.uid, deletion_lock=False)


def test_titles_of_one_holder_are_bounded() -> None:
    with transaction.atomic():
        for number in range(MOST_TITLES):
            subscriber_of(Entity(f"T{number}", "a"))
        subscriber_of(Entity("T0", "a"))
        with pytest.raises(TitleTaken):
            subscriber_of(Entity("ONE_MORE", "a"))


def test_what_is_out_of_sight_is_not_there() -> None:
    item = made()
    with pytest.raises(NotFound):
        subscribe(A, WorkItem.objects.none(), item.uid, deletion_lock=False)
    subscribe_to_worklist(A, WorkItem.objects.none(), None, deletion_lock=True)
    assert heard(A) == []


def test_a_restart_is_told_to_worklists() -> None:
    """CC.2.4.3: SCP Status Change, about the service."""
    subscribe(B, everything(), made().uid, deletion_lock=False)
    subscribe_to_worklist(A, everything(), [("WorklistLabel", "X")], deletion_lock=False)
    service_restarted()
    assert heard(A) == [(GLOBAL, STATUS)]
    assert STATUS not in {kind for _, kind in heard(B)}


def test_what_an_event_says() -> None:
    item = made()
    subscribe(A, everything(), item.uid, deletion_lock=False)
    claimed(item)
    reason = {"00741238": {"vr": "LT", "Value": ["not needed"]}}
    cancelled(item, reason)
    last = after(Subscriber.objects.get().pk, 0, 10)[-1].data_set
    assert last["00000002"]["Value"] == ["1.2.840.10008.5.1.4.34.6.1"]
    assert last["00001002"]["Value"] == [CANCEL]
    assert last["00741238"] == reason["00741238"]
    assert last["00091001"] == {"vr": "UV", "Value": [3]}
    assert list(last) == sorted(last)


def test_an_undone_change_is_never_told() -> None:
    item = made()
    subscribe(A, everything(), item.uid, deletion_lock=False)
    with transaction.atomic():
        claimed(item)
        transaction.set_rollback(True)
    claimed(item)
    assert len(heard(A)) == 2


def test_events_have_their_time() -> None:
    item = made()
    subscribe(A, everything(), item.uid, deletion_lock=False)
    claimed(item)
    EventReport.objects.filter(number=1).update(made_at=timezone.now() - timedelta(days=8))
    assert remove_events() == 1
    key = Subscriber.objects.get().pk
    assert [each.number for each in after(key, 0, 10)] == [2]
    received(key, 2)
    received(key, 1)
    received(key, 3)
    assert Subscriber.objects.get().received == 2


@pytest.mark.django_db(transaction=True)
def test_a_workitem_that_is_just_made_does_not_outlive_its_worklist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends everything at the very moment at which a workitem is compared with the filter has no lock on it left."""
    subscribe_to_worklist(A, everything(), [("WorklistLabel", "AI")], deletion_lock=True)
    compare, threads = subscriptions._matches, []

    def end() -> None:
        try:
            unsubscribe(A, GLOBAL)
        finally:
            connection.close()

    def meanwhile(rows: Any, worklist: Any) -> bool:
        threads.append(threading.Thread(target=end))
        threads[0].start()
        threads[0].join(1)  # it is over, or waits for this transaction
        return compare(rows, worklist)

    monkeypatch.setattr(subscriptions, "_matches", meanwhile)
    made()
    threads[0].join(60)
    assert not WorkItemSubscription.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_nobody_is_overlooked() -> None:
    """Somebody subscribes to everything while workitems are made and claimed; each is heard of, none twice as new."""
    present = [made() for _ in range(5)]
    made_later: list[str] = []

    def work() -> None:
        try:
            for item in present:
                made_later.append(made().uid)
                claimed(item)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    subscribe_to_worklist(A, everything(), None, deletion_lock=True)
    thread.join()
    told = heard(A)
    for uid in [item.uid for item in present] + made_later:
        assert (uid, STATE) in told
    events = after(Subscriber.objects.get().pk, 0, 100)
    last = {each.data_set["00001000"]["Value"][0]: each.data_set for each in events}
    for item in present:
        assert last[item.uid]["00741000"]["Value"] == ["IN PROGRESS"]
