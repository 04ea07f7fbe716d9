"""Those who record at the same moment are written together, and each learns what came of their own."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, connection

from audit.models import AccessEvent
from audit.record import AuditUnavailable, NewAccessEvent, _together, record
from audit.together import MOST_ROWS, Together
from tests.audit.test_trail import an_event, application_role

__all__ = ["application_role"]
PATIENCE = 60


class Slow:
    """Writes only when it is let, and remembers what it wrote in which statement."""

    def __init__(self) -> None:
        self.statements: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def __call__(self, rows: Sequence[str]) -> list[str]:
        self.statements.append(list(rows))
        self.begun.release()
        assert self.gate.acquire(timeout=PATIENCE)
        for row in rows:
            if row == "bad":
                raise DataError(row)
            if row == "broken":
                raise OperationalError(row)
            if row == "ended":
                raise SystemExit
        return [row.upper() for row in rows]


@pytest.fixture
def slow() -> Slow:
    return Slow()


def queue_up(slow: Slow, given: Sequence[Sequence[str]]) -> list[Future[list[str]]]:
    """The first of ``given`` is being written, and the others wait in this order."""
    together = Together(slow)
    pool = ThreadPoolExecutor(len(given))
    futures = [pool.submit(together.write, given[0])]
    assert slow.begun.acquire(timeout=PATIENCE)
    for count, rows in enumerate(given[1:], 1):
        futures.append(pool.submit(together.write, rows))
        until(lambda: len(together._waiting) == count)  # noqa: B023 - called at once
    pool.shutdown(wait=False)
    return futures


def until(holds: Callable[[], bool]) -> None:
    waited = threading.Event()
    for _ in range(PATIENCE * 100):
        if holds():
            return
        waited.wait(0.01)
    raise AssertionError("it never came to it")


def outcome(future: "Future[list[str]]") -> Any:
    error = future.exception(timeout=PATIENCE)
    return type(error) if error is not None else future.result()


def test_a_lone_writer_waits_for_nobody(slow: Slow) -> None:
    slow.gate.release(2)
    together = Together(slow)
    assert together.write(["a", "b"]) == ["A", "B"]
    assert together.write(["c"]) == ["C"]
    assert slow.statements == [["a", "b"], ["c"]]


def test_who_comes_meanwhile_is_written_together_in_order(slow: Slow) -> None:
    futures = queue_up(slow, [["a"], ["b", "c"], ["d"], []])
    slow.gate.release(2)
    assert [outcome(future) for future in futures] == [["A"], ["B", "C"], ["D"], []]
    assert slow.statements == [["a"], ["b", "c", "d"]]


def test_very_many_are_written_in_several_statements(slow: Slow) -> None:
    many = ["x"] * MOST_ROWS
    futures = queue_up(slow, [["a"], ["b"], many, ["c"]])
    slow.gate.release(4)
    assert [outcome(future) for future in futures] == [["A"], ["B"], ["X"] * MOST_ROWS, ["C"]]
    assert slow.statements == [["a"], ["b"], many, ["c"]]


def test_what_cannot_be_written_keeps_no_other_from_it(slow: Slow) -> None:
    futures = queue_up(slow, [["a"], ["b"], ["bad"], ["c"]])
    slow.gate.release(5)
    assert [outcome(future) for future in futures] == [["A"], ["B"], DataError, ["C"]]
    assert slow.statements == [["a"], ["b", "bad", "c"], ["b"], ["bad"], ["c"]]


@pytest.mark.parametrize(("row", "leader"), [("broken", OperationalError), ("ended", SystemExit)])
def test_an_error_reaches_each_and_the_next_goes_on(slow: Slow, row: str, leader: type[BaseException]) -> None:
    futures = queue_up(slow, [["a"], [row], ["b"]])
    slow.gate.release(2)
    assert [outcome(future) for future in futures] == [["A"], leader, OperationalError]
    slow.gate.release()
    assert slow.statements == [["a"], [row, "b"]]


@pytest.fixture
def patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes waits for the lock however slow this machine is."""
    monkeypatch.setattr("audit.record.LOCK_SECONDS", 60.0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_locks")
def test_events_of_one_moment_are_one_commit(application_role: psycopg.Connection) -> None:
    application_role.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    with ThreadPoolExecutor(6) as pool:
        written = [pool.submit(write, an_event(request_id=str(number))) for number in range(6)]
        until(lambda: len(_together._waiting) == 5)
        application_role.rollback()
        sequences = [future.result(timeout=PATIENCE) for future in written]
    events = dict(AccessEvent.objects.values_list("sequence", "request_id"))
    assert [events[sequence] for sequence in sequences] == [str(number) for number in range(6)], "each its own"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM audit_accessevent")
        [commits] = cursor.fetchone()
    assert commits == 2


@pytest.mark.django_db(transaction=True)
def test_nobody_goes_on_where_the_trail_cannot_be_written(application_role: psycopg.Connection) -> None:
    application_role.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    with ThreadPoolExecutor(6) as pool:
        written = [pool.submit(write, an_event()) for _ in range(6)]
        assert {type(future.exception(timeout=PATIENCE)) for future in written} == {AuditUnavailable}
    application_role.rollback()
    [sequence] = [write(an_event(request_id="afterwards"))]
    assert AccessEvent.objects.get(kind="retrieve").sequence == sequence
    told = AccessEvent.objects.get(kind="recording_stopped")
    assert told.outcome_description.startswith("6 events")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patient_locks")
def test_a_text_that_no_index_takes_is_refused_alone(application_role: psycopg.Connection) -> None:
    application_role.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    long = "".join(chr(0x4E00 + number * 7919 % 0x4000) for number in range(5_000))
    with ThreadPoolExecutor(4) as pool:
        given = [an_event(), an_event(), an_event(study_uids=[long]), an_event()]
        written = [pool.submit(write, event) for event in given]
        until(lambda: len(_together._waiting) == 3)
        application_role.rollback()
        errors = [future.exception(timeout=PATIENCE) for future in written]
    assert [type(error) for error in errors] == [type(None), type(None), AuditUnavailable, type(None)]


def write(event: NewAccessEvent) -> int:
    try:
        [recorded] = record([event])
        return recorded.sequence
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()
