"""One moment of the database, held open: what is asked and dumped within it fits together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from archive.sweep_hold import HOLD
from custody.backups.errors import BackupError, UnderWay
from custody.backups.manifest import Facts
from custody.backups.programs import Address

ONE_AT_A_TIME: Final = 0x4C69_6768_4261_636B  # "LighBack" in ASCII
_WAIT: Final = "60s"
# What a restored database is held against.
_COUNTED: Final = (
    *("archive_patient", "archive_study", "archive_series", "archive_instance", "archive_outboxentry"),
    *("archive_changefeedentry", "access_user", "access_apikey", "audit_accessevent", "audit_sealedevent"),
)
_NEWEST_MIGRATIONS: Final = "SELECT app, max(name) FROM django_migrations GROUP BY app ORDER BY app"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``name`` is what pg_dump is told; ``connection`` sees the same."""

    name: str
    connection: psycopg.Connection[Any]
    facts: Facts


@contextmanager
def alone(address: Address) -> Iterator[psycopg.Connection[Any]]:
    """A session in which no other backup runs. It ends with this process, however that ends. Raises BackupError."""
    with _connected(address, autocommit=True) as session:
        row = session.execute("SELECT pg_try_advisory_lock(%s)", [ONE_AT_A_TIME]).fetchone()
        if row is None or not row[0]:
            raise UnderWay("Another backup of this installation is under way.")
        try:
            yield session
        finally:
            # Not only with the session: the server ends that when it comes to it, after this process has gone on.
            with suppress(psycopg.Error):
                session.execute("SELECT pg_advisory_unlock_all()")


def stop_sweeping(session: psycopg.Connection[Any]) -> None:
    """From now on nothing is removed from the object store for good, until the session ends. Raises BackupError."""
    try:
        with session.transaction():
            session.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
            session.execute("SELECT pg_advisory_lock(%s)", [HOLD])
    except psycopg.errors.LockNotAvailable as error:
        raise BackupError("The sweep does not come to an end; try again.") from error


@contextmanager
def snapshot(address: Address) -> Iterator[Snapshot]:
    """The present moment. What was committed before this is in it."""
    with _connected(address, autocommit=False) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot(), clock_timestamp()").fetchone()
        if row is None:
            raise BackupError("The database gives no snapshot.")
        yield Snapshot(row[0], connection, _facts(connection, row[1]))


def counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows of the tables that are compared after a restore."""
    return {table: _number(connection, f"SELECT count(*) FROM {table}") for table in _COUNTED}  # noqa: S608 - our own


def server_version(connection: psycopg.Connection[Any]) -> int:
    """The major version."""
    return connection.info.server_version // 10_000


@contextmanager
def _connected(address: Address, *, autocommit: bool) -> Iterator[psycopg.Connection[Any]]:
    try:
        connection = address.connect(autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise BackupError("The database can't be reached.") from error
    with connection:
        yield connection


def _facts(connection: psycopg.Connection[Any], moment: datetime) -> Facts:
    return Facts(
        complete_until=moment.astimezone(UTC),
        counts=counts(connection),
        feed_position=_number(connection, "SELECT max(position) FROM archive_changefeedentry"),
        audit_sequence=_number(connection, "SELECT max(sequence) FROM audit_accessevent"),
        audit_sealed=_number(connection, "SELECT max(position) FROM audit_sealedevent"),
        server_version=server_version(connection),
        migrations=dict(connection.execute(_NEWEST_MIGRATIONS).fetchall()),
    )


def _number(connection: psycopg.Connection[Any], sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
