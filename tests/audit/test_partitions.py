"""The trail in months: each event in its own, none refused, none given up, wherever a statement aims."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib import import_module
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from audit.canonical import FIELDS
from audit.models import AccessEvent, UnsealedEvent
from audit.partitions import make_ahead, partitions
from audit.record import record
from audit.sealing import seal
from tests.audit.logs import Log, an_event, as_superuser, rows

pytestmark = pytest.mark.django_db
migration = import_module("audit.migrations.0004_partitions")


def record_at(*moments: datetime) -> None:
    """Events as they would have been recorded then."""
    record([an_event(request_id=f"{moment:%Y-%m-%d}") for moment in moments])
    newest = list(AccessEvent.objects.order_by("-sequence").values_list("sequence", flat=True)[: len(moments)])[::-1]
    as_superuser(
        *[
            ("UPDATE audit_accessevent SET recorded_at = %s WHERE sequence = %s", [moment, sequence])
            for moment, sequence in zip(moments, newest, strict=True)
        ]
    )


def where() -> dict[str, str]:
    return dict(rows("SELECT request_id, tableoid::regclass::text FROM audit_accessevent"))


def test_this_month_and_the_next_three_are_there() -> None:
    today = datetime.now(UTC)
    record([an_event(request_id="now")])
    assert where() == {"now": f"audit_accessevent_{today:%Y_%m}"}
    ends = [part.high for part in partitions() if part.high is not None]
    assert len([end for end in ends if end > today]) >= 4
    assert make_ahead() == []


@pytest.mark.parametrize(
    ("day", "names"),
    [
        (date(2040, 11, 30), ["2040_11", "2040_12", "2041_01", "2041_02"]),
        (date(2041, 12, 31), ["2041_12", "2042_01", "2042_02", "2042_03"]),
    ],
)
def test_they_are_made_once(day: date, names: list[str]) -> None:
    assert make_ahead(day) == [f"audit_accessevent_{name}" for name in names]
    assert make_ahead(day) == []
    record_at(datetime(day.year, day.month, 1, tzinfo=UTC), datetime(day.year, day.month, 28, 23, 59, 59, tzinfo=UTC))
    assert set(where().values()) == {f"audit_accessevent_{names[0]}"}


def test_an_event_without_a_month_is_kept_and_gets_one() -> None:
    """Nothing made partitions for months; afterwards the rest becomes theirs, without a row being moved."""
    record_at(datetime(2040, 5, 31, 23, 59, tzinfo=UTC), datetime(2040, 7, 2, tzinfo=UTC))
    assert set(where().values()) == {"audit_accessevent_rest"}
    files = rows("SELECT pg_relation_filenode('audit_accessevent_rest')")
    made = make_ahead(date(2040, 7, 3))
    assert made[0] == "audit_accessevent_2040_05_to_2040_07"
    assert set(where().values()) == {made[0]}
    assert rows("SELECT pg_relation_filenode(%s)", made[0]) == files
    assert [part.low for part in partitions() if part.name == made[0]] == [datetime(2040, 5, 1, tzinfo=UTC)]
    record([an_event()])
    assert seal() == 3
    guards = rows(
        "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgrelid = %s::regclass ORDER BY tgname", made[0]
    )
    assert guards == [(f"access_event_{name}", "A") for name in ("await_sealing", "keep_rows", "keep_table")]


def test_events_on_both_sides_of_a_month_wait_in_the_rest() -> None:
    make_ahead(date(2040, 5, 1))
    record_at(datetime(2040, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC))
    assert make_ahead(date(2040, 10, 1)) == [f"audit_accessevent_2040_{month}" for month in (10, 11, 12)]
    assert set(where().values()) == {"audit_accessevent_rest"}


@pytest.fixture
def somebody() -> Iterator[psycopg.Connection]:
    with psycopg.connect(**connection.get_connection_params()) as own:
        yield own
        own.rollback()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET outcome = 8", "DELETE FROM {}", "TRUNCATE {}", "TRUNCATE audit_accessevent_rest, {}"]
)
@pytest.mark.parametrize("replication", ["origin", "replica"])
def test_a_partition_gives_nothing_up_either(somebody: psycopg.Connection, statement: str, replication: str) -> None:
    record([an_event(request_id="kept")])
    [part] = where().values()
    somebody.execute(f"SET session_replication_role = {replication}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        somebody.execute(statement.format(part))


def test_what_is_put_into_a_partition_waits_to_be_sealed() -> None:
    record([an_event(request_id="kept")])
    [part] = where().values()
    names = ", ".join(name for name in FIELDS if name != "sequence")
    rows(f"INSERT INTO {part} ({names}) SELECT {names} FROM audit_accessevent RETURNING sequence")  # noqa: S608
    assert UnsealedEvent.objects.count() == 2
    assert seal() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        rows(f"INSERT INTO {part} SELECT * FROM audit_accessevent RETURNING sequence")  # noqa: S608


def test_the_log_leads_through_many_months(tmp_path: Path) -> None:
    log = Log(tmp_path)
    make_ahead(date(2040, 1, 1))
    record_at(*[datetime(2040, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4, 9)])
    log.grow(5)
    assert (log.verify().findings, log.verify().events) == ([], 10)
    [(victim,)] = rows("SELECT sequence FROM audit_accessevent WHERE request_id = '2040-03-01'")
    as_superuser(("UPDATE audit_accessevent SET recorded_at = '2040-04-02Z' WHERE sequence = %s", [victim]))
    assert [(f.position, f.text) for f in log.verify().findings] == [
        (3, "the event is not the one that was sealed"),
    ]


def back_to_one_table() -> None:
    """As migration 0003 left it."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE audit_accessevent CASCADE")
        cursor.execute("DROP FUNCTION audit_await_sealing_together CASCADE")
        cursor.execute(
            "CREATE FUNCTION audit_await_sealing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
            "INSERT INTO audit_unsealedevent (sequence) VALUES (NEW.sequence); RETURN NULL; END'"
        )
    with connection.schema_editor() as editor:
        executor_state = _state("0003_log")
        editor.create_model(executor_state.apps.get_model("audit", "AccessEvent"))
    with connection.cursor() as cursor:
        refuse = import_module("audit.migrations.0002_append_only").REFUSE
        cursor.execute(refuse[refuse.index("CREATE TRIGGER") :])
        queue = import_module("audit.migrations.0003_log").QUEUE
        cursor.execute(queue[queue.index("CREATE TRIGGER") :])


def _state(name: str) -> ProjectState:
    return MigrationLoader(connection).project_state(("audit", name))


def convert() -> None:
    with connection.schema_editor(atomic=False) as editor:
        migration.convert(apps, editor)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_table_of_before_becomes_the_past(tmp_path: Path, interrupted: bool) -> None:
    """Not a row is written anew; the log goes on; rights stay; what was begun and ended is begun anew."""
    back_to_one_table()
    try:
        log = Log(tmp_path)
        log.grow(300)
        record([an_event(request_id="waits")])
        rows("SELECT set_config('session_replication_role', 'origin', false)")
        with connection.cursor() as cursor:
            cursor.execute("GRANT SELECT, INSERT ON audit_accessevent TO PUBLIC")
            if interrupted:
                migration._prepare(cursor)
        files = rows("SELECT pg_relation_filenode('audit_accessevent')")
        before = rows("SELECT * FROM audit_accessevent ORDER BY sequence")
        convert()
        convert()
        assert rows("SELECT pg_relation_filenode('audit_accessevent_before')") == files
        assert rows("SELECT * FROM audit_accessevent ORDER BY sequence") == before
        assert rows("SELECT has_table_privilege('public', 'audit_accessevent', 'SELECT')") == [(True,)]
        assert rows("SELECT has_sequence_privilege('public', 'audit_accessevent_sequence_seq', 'USAGE')") == [(True,)]
        log.grow(10)
        report = log.verify()
        assert (report.findings, report.events, report.signed) == ([], 311, 311)
        assert set(where().values()) == {"audit_accessevent_before"}
        assert make_ahead() == []
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            rows("DELETE FROM audit_accessevent_before")
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone()[0] != "0"
    finally:
        as_superuser("TRUNCATE audit_accessevent, audit_unsealedevent, audit_sealedevent, audit_treenode")
        back_to_one_table()
        convert()


def test_a_migration_that_ended_after_its_last_table_is_run_again() -> None:
    state = _state("0004_partitions").apps
    with connection.schema_editor(atomic=False) as editor:
        migration.convert(state, editor)
        migration.make_counts(state, editor)
    assert rows("SELECT reloptions FROM pg_class WHERE relname = 'audit_frameread'") == [(["fillfactor=50"],)]


def test_the_command_lists_them() -> None:
    out = StringIO()
    call_command("audit_partitions", stdout=out)
    assert "Nothing takes events away" in out.getvalue()
