"""/readyz says when the trail can't be written, or is sealed too late, and nothing more than that."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from audit.models import AccessEvent, FrameRead
from audit.readiness import check_writable, sealing_lag
from audit.record import record
from audit.sealing import seal
from portal import health
from tests.audit.logs import an_event, as_superuser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def readyz(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, dict[str, str]]]:
    def ask() -> tuple[int, dict[str, str]]:
        monkeypatch.setattr(health, "_last", None)
        answer: Any = Client().get("/readyz")
        return answer.status_code, answer.json()

    return ask


@pytest.fixture
def somebody() -> Iterator[psycopg.Connection]:
    with psycopg.connect(**connection.get_connection_params()) as own:
        yield own
        own.rollback()


def test_asking_writes_nothing() -> None:
    record([an_event()])
    check_writable()
    assert AccessEvent.objects.count() == 1


def test_a_trail_that_is_gone_is_not_ready(readyz: Callable[[], tuple[int, dict[str, str]]]) -> None:
    rename = "ALTER TABLE {} RENAME TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("audit_accessevent", "elsewhere"))
        try:
            status, states = readyz()
        finally:
            cursor.execute(rename.format("elsewhere", "audit_accessevent"))
    assert (status, states["trail"], states["database"]) == (503, "failing", "ok")
    assert states.pop("mode") == "normal"
    assert set(states.values()) <= {"ok", "failing"}
    assert readyz()[0] == 200


def test_nor_is_one_that_is_locked(
    readyz: Callable[[], tuple[int, dict[str, str]]], somebody: psycopg.Connection
) -> None:
    somebody.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    assert readyz()[1]["trail"] == "failing"
    somebody.rollback()
    assert readyz()[1]["trail"] == "ok"


def test_nor_one_without_the_right_to_insert_or_without_writing(somebody: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE only_reads; GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads")
        try:
            cursor.execute("SET ROLE only_reads")
            with pytest.raises(DatabaseError):
                check_writable()
            cursor.execute("RESET ROLE; SET default_transaction_read_only = on")
            with pytest.raises(DatabaseError, match="takes no changes"):
                check_writable()
        finally:
            cursor.execute("RESET ROLE; SET default_transaction_read_only = off")
            cursor.execute("DROP OWNED BY only_reads; DROP ROLE only_reads")


def test_late_sealing_is_said_and_serves_on(readyz: Callable[[], tuple[int, dict[str, str]]]) -> None:
    record([an_event()])
    assert sealing_lag() < 300
    as_superuser("UPDATE audit_accessevent SET recorded_at = now() - interval '11 minutes'")
    status, states = readyz()
    assert (status, states["sealing"], states["trail"]) == (200, "failing", "ok")
    seal()
    assert readyz()[1]["sealing"] == "ok"


def test_counts_that_nobody_folds_are_late_too() -> None:
    assert sealing_lag() == 0
    FrameRead.objects.create(
        opened_by=1,
        series_uid="",
        backend=1,
        opened_at=timezone.now() - timedelta(minutes=11),
        answers=1,
        frames=1,
        bytes=1,
    )
    assert sealing_lag() > 600
