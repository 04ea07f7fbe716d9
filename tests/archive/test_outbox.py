"""The outbox by itself: what counts as an attempt, who dies, and what is never lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.db import OperationalError, connection

from archive import outbox, tasks
from archive.errors import ArchiveUnavailable
from archive.models import OutboxEntry
from archive.outbox import ATTEMPTS, FEW, RECONCILE, Wish, relay_once, run, wish

pytestmark = pytest.mark.django_db


def later() -> None:
    """Time passes for every entry."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE archive_outboxentry SET not_before = statement_timestamp()")


def due() -> list[int]:
    sent: list[int] = []
    relay_once(sent.extend)
    return sent


def entry() -> OutboxEntry:
    return OutboxEntry.objects.get()


def broken(subject: str) -> None:
    raise ValueError("it never works")


def test_a_wish_is_sent_when_it_is_due_and_gone_when_it_is_done() -> None:
    wish([Wish("a", "1", 60), Wish("b", "1"), Wish("b", "1"), Wish("b", "2")])
    assert OutboxEntry.objects.count() == 3
    sent = due()
    assert len(sent) == 2
    assert due() == [], "sent, and not sent again at once"
    done: list[str] = []
    for number in sent:
        run(number, {"b": done.append})
        run(number, {"b": done.append})
    assert sorted(done) == ["1", "2"]
    assert entry().kind == "a"
    later()
    assert due() == [entry().pk]


def test_many_quick_entries_go_together_and_long_ones_alone() -> None:
    wish([Wish("long", str(n)) for n in range(3)] + [Wish(RECONCILE, str(n)) for n in range(20)])
    sent: list[Sequence[int]] = []
    assert relay_once(sent.append) == 23
    kinds = dict(OutboxEntry.objects.values_list("pk", "kind"))
    told = sorted((sorted({kinds[number] for number in message}), len(message)) for message in sent)
    assert told == [(["long"], 1)] * 3 + [([RECONCILE], 2)] + [([RECONCILE], 3)] * 6
    assert sorted(number for message in sent for number in message) == sorted(kinds)


def test_an_entry_of_a_message_that_meets_an_outage_keeps_no_other_from_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[int] = []

    def run_or_fail(entry_id: int, table: object) -> None:
        ran.append(entry_id)
        if entry_id == 2:
            raise OperationalError("the database restarts")

    monkeypatch.setattr(outbox, "run", run_or_fail)
    with pytest.raises(OperationalError):
        tasks.run_outbox_entry(1, 2, 3)
    assert ran == [1, 2, 3]


def test_a_message_that_takes_long_leaves_the_rest_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    monkeypatch.setattr(outbox, "run", lambda entry_id, table: ran.append(entry_id))
    monkeypatch.setattr(tasks, "LONGEST_MESSAGE", -1.0)
    tasks.run_outbox_entry(1, 2, 3)
    assert ran == [1]


def test_a_few_quick_entries_go_alone() -> None:
    wish(Wish(RECONCILE, str(n)) for n in range(FEW))
    sent: list[Sequence[int]] = []
    relay_once(sent.append)
    assert [len(message) for message in sent] == [1] * FEW


def test_what_was_not_sent_is_due_again_in_whole_messages() -> None:
    wish(Wish(RECONCILE, str(n)) for n in range(20))
    sent: list[Sequence[int]] = []

    def refuse_the_third(message: Sequence[int]) -> None:
        if len(sent) == 2:
            raise ConnectionError
        sent.append(message)

    with pytest.raises(ConnectionError):
        relay_once(refuse_the_third)
    soon = OutboxEntry.objects.extra(where=["not_before < statement_timestamp() + interval '2 seconds'"])
    assert soon.count() == 20 - sum(map(len, sent))
    assert not soon.filter(pk__in=[number for message in sent for number in message]).exists()


def test_a_wish_made_while_its_task_runs_is_not_lost() -> None:
    wish([Wish("a", "1")])
    [number] = due()
    run(number, {"a": lambda subject: wish([Wish("a", subject)])})
    assert entry().generation == 2
    assert due() == [number]


def test_a_broker_that_refuses_brings_nobody_nearer_to_death() -> None:
    wish([Wish("a", str(n)) for n in range(3)])

    def refuse(numbers: Sequence[int]) -> None:
        raise ConnectionError

    for _ in range(3 * ATTEMPTS):
        with pytest.raises(ConnectionError):
            relay_once(refuse)
        later()
    assert set(OutboxEntry.objects.values_list("attempts", "dead")) == {(0, False)}
    assert len(due()) == 3


def test_a_queue_that_nobody_works_off_brings_nobody_nearer_to_death() -> None:
    wish([Wish("a", "1")])
    for _ in range(3 * ATTEMPTS):
        assert due() == [entry().pk]
        later()
    assert (entry().attempts, entry().dead) == (0, False)


def test_copies_become_rarer_with_age() -> None:
    wish([Wish("a", "1")])
    OutboxEntry.objects.update(created_at=entry().created_at.replace(year=2000))
    due()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM not_before - statement_timestamp()) FROM archive_outboxentry")
        [seconds] = cursor.fetchone()
    assert 3500 < seconds <= 3600


@pytest.mark.parametrize(("kind", "error"), [("broken", "ValueError"), ("unknown", "KeyError")])
def test_a_task_that_always_fails_dies_and_says_of_what(kind: str, error: str) -> None:
    wish([Wish(kind, "1")])
    for attempt in range(1, ATTEMPTS + 1):
        [number] = due()
        run(number, {"broken": broken})
        assert (entry().attempts, entry().dead, entry().last_error) == (attempt, attempt == ATTEMPTS, error)
        later()
    assert due() == []
    run(entry().pk, {kind: lambda subject: pytest.fail("a dead entry was run")})
    wish([Wish(kind, "1")])
    assert (entry().attempts, entry().dead) == (0, False), "new reason, new life"


def test_a_task_that_takes_its_worker_with_it_dies_too() -> None:
    """What a killed worker leaves is an attempt that was begun and never ended."""

    def killed(subject: str) -> None:
        raise SystemExit(9)

    wish([Wish("a", "1")])
    for _ in range(ATTEMPTS):
        [number] = due()
        with pytest.raises(SystemExit):
            run(number, {"a": killed})
        later()
    assert due() == []
    assert (entry().dead, entry().last_error) == (True, "no answer")


def test_an_archive_that_is_away_is_nobodys_fault() -> None:
    wish([Wish("a", "1")])

    def away(subject: str) -> None:
        raise ArchiveUnavailable("the object store can't be reached now")

    for _ in range(3 * ATTEMPTS):
        [number] = due()
        run(number, {"a": away})
        assert (entry().attempts, entry().dead) == (0, False)
        later()
    done: list[str] = []
    tasks: dict[str, Callable[[str], None]] = {"a": done.append}
    run(due()[0], tasks)
    assert done == ["1"]
    assert not OutboxEntry.objects.exists()
