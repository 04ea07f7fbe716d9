"""Statements that are planned once a connection: what holds for Django's own holds for them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DataError, OperationalError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.bounded import bounded
from audit.prepared import PreparedSql
from pacs_project.postgresql.base import BELIEVED_SECONDS

PLANS = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture(params=[True, False])
def planning(request: pytest.FixtureRequest, settings: Any, db: None) -> bool:
    """With plans that are kept, and without, as behind a pooler."""
    settings.PACS = settings.PACS.model_copy(update={"database_prepare": request.param})
    return bool(request.param)


@pytest.fixture
def own_connection(transactional_db: None) -> Iterator[None]:
    """A connection that may be lost."""
    connection.close()
    yield
    connection.close()


class _TimeIsOver(Exception):
    """As Celery's ``SoftTimeLimitExceeded``."""


def _give_up(*_: Any) -> None:
    raise _TimeIsOver


def plans() -> int:
    with connection.cursor() as cursor:
        cursor.execute(PLANS)
        return int(cursor.fetchone()[0])


def expect_a_health_check() -> None:
    """As at the beginning of a request."""
    wrapper: Any = connection
    wrapper.health_check_enabled, wrapper.health_check_done = True, False


def test_it_is_planned_once(planning: bool) -> None:
    before = plans()
    twice = PreparedSql("SELECT 2 * %s, %s::text")
    assert [twice.row([number, "%s"]) for number in (1, 2, 3)] == [(2, "%s"), (4, "%s"), (6, "%s")]
    assert plans() == before + planning


def test_rows_arrays_and_counts(planning: bool) -> None:
    assert PreparedSql("SELECT n FROM unnest(%s::bigint[]) AS n").rows([[3, 1, 2]]) == [(3,), (1,), (2,)]
    assert PreparedSql("SELECT 1 WHERE %s::int > 5").row([2]) is None
    run = PreparedSql("INSERT INTO audit_notice (subject, channel) SELECT s, %s FROM unnest(%s::text[]) AS s")
    assert run.run(["mail", ["a", "b"]]) == 2


def test_django_counts_and_shows_it(planning: bool) -> None:
    asked = PreparedSql("SELECT %s::text")
    with CaptureQueriesContext(connection) as sent:
        asked.row(["O'Neil"])
    assert [query["sql"] for query in sent.captured_queries] == ["SELECT 'O''Neil'::text"]


def test_errors_are_those_of_django(planning: bool) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic():
        PreparedSql("SELECT nothing FROM nowhere").rows()
    with pytest.raises(DataError), transaction.atomic():
        PreparedSql("SELECT 1 / %s::int").rows([0])
    assert PreparedSql("SELECT 1").row() == (1,)


def test_it_can_be_bounded(planning: bool) -> None:
    """The limits come before it and are over after it, within the same round trip."""
    asked = PreparedSql("SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), %s::int")
    with bounded(statement_seconds=7, lock_seconds=3):
        assert asked.row([1]) == ("7s", "3s", 1)
    slow = PreparedSql("SELECT pg_sleep(%s)")
    with pytest.raises(OperationalError) as caught, transaction.atomic(), bounded(statement_seconds=0.1):
        slow.row([20.0])
    assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)


@pytest.mark.usefixtures("own_connection")
def test_limits_are_over_with_the_statement() -> None:
    asked = PreparedSql("SELECT current_setting('statement_timeout')")
    before = asked.row()
    with bounded(statement_seconds=7):
        assert asked.row() == ("7s",)
    assert asked.row() == before


@pytest.mark.usefixtures("own_connection")
def test_a_plan_that_no_longer_fits_is_made_anew() -> None:
    """A migration may change the type of a column while connections live on."""
    asked = PreparedSql("SELECT what FROM prepared_example")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE prepared_example (what varchar(5))")
    try:
        assert asked.rows() == []
        with psycopg.connect(connection.connection.info.dsn, password=connection.connection.info.password) as other:
            other.execute("ALTER TABLE prepared_example ALTER what TYPE varchar(10)")
            other.execute("INSERT INTO prepared_example VALUES ('1234567890')")
        assert asked.rows() == [("1234567890",)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE prepared_example")


@pytest.mark.usefixtures("own_connection")
def test_a_connection_that_was_ended_is_seen_before_it_is_used() -> None:
    """Without asking the server: its end can be read (``pacs_project.postgresql``)."""
    one = PreparedSql("SELECT pg_backend_pid()")
    (backend,) = one.row() or (0,)
    with psycopg.connect(connection.connection.info.dsn, password=connection.connection.info.password) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    expect_a_health_check()
    found = one.row()
    assert found is not None
    assert found[0] != backend


@pytest.mark.usefixtures("own_connection")
def test_a_live_connection_is_not_asked_whether_it_lives() -> None:
    one = PreparedSql("SELECT pg_backend_pid()")
    (backend,) = one.row() or (0,)
    info = connection.connection.info
    expect_a_health_check()
    connection.close_if_health_check_failed()
    with psycopg.connect(info.dsn, password=info.password) as other:
        last = other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [backend]).fetchone()
    assert last == ("SELECT pg_backend_pid()",)


@pytest.mark.usefixtures("own_connection")
def test_a_connection_with_a_statement_under_way_is_not_usable() -> None:
    """Left by a task whose time was over while it waited: the next one on this connection would not get through."""
    one = PreparedSql("SELECT pg_backend_pid()")
    (backend,) = one.row() or (0,)
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(_TimeIsOver):
            PreparedSql("SELECT pg_sleep(%s)").row([20.0])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    expect_a_health_check()
    found = one.row()
    PreparedSql("SELECT pg_terminate_backend(%s, 5000)").row([backend])
    assert found is not None
    assert found[0] != backend


@pytest.mark.usefixtures("own_connection")
def test_a_connection_that_nobody_used_for_long_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other side may have gone without a word: a failover, or a firewall that forgot the connection."""
    one = PreparedSql("SELECT pg_backend_pid()")
    (backend,) = one.row() or (0,)
    info = connection.connection.info
    monkeypatch.setattr(connection, "heard_of_at", time.monotonic() - BELIEVED_SECONDS)
    expect_a_health_check()
    connection.close_if_health_check_failed()
    with psycopg.connect(info.dsn, password=info.password) as other:
        last = other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [backend]).fetchone()
    assert last == ("SELECT 1",)
