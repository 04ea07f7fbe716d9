"""A database that was restored and not yet told so: nobody may use it, whatever became of who restored it.

A note stands in it from before pg_restore begins, and goes in the transaction that settles it (``afterwards``). As long
as it is there each new session of our role begins read-only: nothing can be signed in to, nothing is shown that can't
be recorded, no task runs. PostgreSQL holds this, so it holds on every machine. ``migrate`` settles what it finds.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from django.db import connection, transaction

TABLE: Final = "restore_under_way"
_OTHERS: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Note:
    """Which backup came back, where it was, who did it; how many objects came with it, and were left out."""

    name: str
    made_at: datetime
    complete_until: datetime
    damaged: bool
    where: str
    person: str
    objects: int
    bytes: int
    left_out: int


def begin(note: Note) -> None:
    """From now on nobody uses the database, which is empty. Who is in it has to come again."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ WRITE")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (told jsonb NOT NULL)")
        cursor.execute(f"DELETE FROM {TABLE}")  # noqa: S608 - a name of ours
        cursor.execute(f"INSERT INTO {TABLE} VALUES (%s)", [orjson.dumps(asdict(note)).decode()])  # noqa: S608
        cursor.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {_database()} SET default_transaction_read_only = on")
    end_other_sessions()


def found() -> Note | None:
    """The note that stands in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
        if cursor.fetchall() != [(True,)]:
            return None
        cursor.execute(f"SELECT told::text FROM {TABLE}")  # noqa: S608 - a name of ours
        rows: list[tuple[str]] = cursor.fetchall()
    told: dict[str, Any] = orjson.loads(rows[0][0])
    return Note(**told | {name: datetime.fromisoformat(told[name]) for name in ("made_at", "complete_until")})


def came_back() -> bool:
    """Whether pg_restore came to its end: all that it brings is there, or nothing."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
        return bool(cursor.fetchall() == [(True,)])


def write_here() -> None:
    """This session may write all the same."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = off")


def end() -> None:
    """Within a transaction: once it is committed, everybody may use the database."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
        cursor.execute(f"ALTER ROLE CURRENT_USER IN DATABASE {_database()} RESET default_transaction_read_only")


def give_up() -> None:
    """Nothing was restored: the database is empty, and anybody's."""
    write_here()
    with transaction.atomic():
        end()


def end_other_sessions() -> None:
    """They go by how it was when they began."""
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS)


def _database() -> str:
    return str(connection.ops.quote_name(connection.settings_dict["NAME"]))
