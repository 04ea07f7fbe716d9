"""The trail takes events and never gives them up."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, InternalError, ProgrammingError, connection, transaction

from audit.kinds import KINDS, RETRIEVE, SEARCH, STORE, Outcome
from audit.models import AccessEvent
from audit.record import LOCK_SECONDS, AuditUnavailable, NewAccessEvent, record

pytestmark = pytest.mark.django_db
UID = "1.2.826.0.1.3680043.8.498.1"


def an_event(**fields: Any) -> NewAccessEvent:
    event = NewAccessEvent(kind=RETRIEVE, principal_kind="person", principal_id="p1", study_uids=[UID])
    return dataclasses.replace(event, **fields)


@pytest.fixture
def application_role() -> Iterator[psycopg.Connection]:
    """A connection with the credentials that the application has, and nothing else."""
    with psycopg.connect(**connection.get_connection_params()) as own:
        yield own
        own.rollback()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_accessevent SET outcome = 8",
        "UPDATE audit_accessevent SET sequence = sequence + 1000",
        "DELETE FROM audit_accessevent",
        "TRUNCATE audit_accessevent",
        "TRUNCATE audit_accessevent RESTART IDENTITY CASCADE",
        "INSERT INTO audit_accessevent TABLE audit_accessevent "
        "ON CONFLICT (recorded_at, sequence) DO UPDATE SET outcome = 8",
    ],
)
@pytest.mark.parametrize("replication", ["origin", "replica"])
def test_a_written_event_stays(application_role: psycopg.Connection, statement: str, replication: str) -> None:
    record([an_event()])
    before = list(AccessEvent.objects.values())
    application_role.execute(f"SET session_replication_role = {replication}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        application_role.execute(statement)
    application_role.rollback()
    assert list(AccessEvent.objects.values()) == before


def test_the_model_cannot_change_it_either() -> None:
    record([an_event()])
    event = AccessEvent.objects.get()
    for change in (event.save, event.delete, AccessEvent.objects.all().delete):
        with pytest.raises((ProgrammingError, InternalError), match="append-only"), transaction.atomic():
            change()


def test_every_field_arrives() -> None:
    given = NewAccessEvent(
        kind=STORE,
        principal_kind="client",
        principal_id="c1",
        principal_name="scanner",
        auth_method="oauth2",
        token_id="ab12",
        roles=("device",),
        action="U",
        outcome=Outcome.SERIOUS_FAILURE,
        outcome_description="one of two",
        decision="deny",
        rule="store",
        source_ip="2001:db8::7",
        user_agent="curl/8",
        request_id="r-1",
        method="POST",
        path="/dicom-web/studies",
        study_uids=[UID, "1.2.3"],
        series_uid="1.2.3.4",
        instance_uid="1.2.3.4.5",
        patient_ids=["PAT-1"],
        instance_count=3_000_000_000,
        bytes=1 << 40,
        query="PatientID=PAT-1",
        purpose="TREATMENT",
    )
    record([given])
    row = AccessEvent.objects.get()
    for field in dataclasses.fields(given):
        expected = getattr(given, field.name)
        expected = (
            expected.name if field.name == "kind" else list(expected) if isinstance(expected, tuple) else expected
        )
        assert getattr(row, field.name) == expected, field.name
    assert row.recorded_at is not None


def test_order_is_kept_and_the_kind_gives_the_action() -> None:
    record([an_event(request_id=str(number)) for number in range(20)])
    rows = list(AccessEvent.objects.order_by("sequence"))
    assert [row.request_id for row in rows] == [str(number) for number in range(20)]
    assert {row.action for row in rows} == {"R"}


@pytest.mark.parametrize("hostile", ["a\0b", "\ud800", "x" * 100_000, "\r\nSet-Cookie: a", "\x1b[2J"])
def test_what_a_client_sends_never_stops_the_trail(hostile: str) -> None:
    record([an_event(kind=SEARCH, query=hostile, user_agent=hostile, study_uids=[hostile], source_ip=hostile)])
    row = AccessEvent.objects.get()
    assert row.source_ip is None
    assert len(row.query) <= 16_384


def test_events_stand_or_fall_with_their_transaction() -> None:
    with transaction.atomic():
        record([an_event()])
        transaction.set_rollback(True)
    assert not AccessEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_is_committed_when_record_returns(application_role: psycopg.Connection) -> None:
    record([an_event()])
    assert application_role.execute("SELECT count(*) FROM audit_accessevent").fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_many_writers_lose_nothing() -> None:
    def write(writer: int) -> None:
        try:
            for number in range(25):
                record([an_event(request_id=f"{writer}-{number}")])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert AccessEvent.objects.values("request_id").distinct().count() == 100


@pytest.mark.parametrize("events", [1, 3])
def test_a_trail_that_cannot_be_written_says_so(events: int) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_accessevent RENAME TO elsewhere")
        with pytest.raises(AuditUnavailable) as caught, transaction.atomic():
            record([an_event()] * events)
        assert isinstance(caught.value.__cause__, DatabaseError)
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("events", [1, 3])
@pytest.mark.parametrize("inside", [False, True])
def test_a_locked_trail_is_not_waited_for(application_role: psycopg.Connection, events: int, inside: bool) -> None:
    """Maintenance that locks the table must not hold every thread for the time of a whole statement."""
    application_role.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    began = time.monotonic()
    with pytest.raises(AuditUnavailable) as caught, transaction.atomic() if inside else nullcontext():
        record([an_event()] * events)
    assert time.monotonic() - began > LOCK_SECONDS - 0.2
    cause = caught.value.__cause__
    assert cause is not None
    assert isinstance(cause.__cause__, psycopg.errors.LockNotAvailable), "not the limit of the whole statement"
    application_role.rollback()
    record([an_event()])
    assert AccessEvent.objects.filter(kind="retrieve").count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",), "only the trail's own statements are in a hurry"


def test_an_address_with_the_zone_of_an_interface_stops_nothing() -> None:
    record([an_event(source_ip="fe80::1%eth0")])
    assert AccessEvent.objects.get(source_ip="fe80::1").kind == "retrieve"


def test_one_event_is_one_statement(django_assert_num_queries: Callable[[int], Any]) -> None:
    with django_assert_num_queries(1):
        record([an_event()])


def test_kinds_are_told_apart_by_name() -> None:
    """PS3.15 A.5.3: the EventIDs that this table may use."""
    assert all(name == kind.name for name, kind in KINDS.items())
    assert {kind.event_id for kind in KINDS.values()} <= {str(code) for code in range(110100, 110115)}
    assert {kind.action for kind in KINDS.values()} <= set("CRUDE")
