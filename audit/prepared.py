"""Statements that are asked again and again, planned once a database connection: PostgreSQL plans them for longer than
it runs them. What they find is never kept.

Parameters are bound by the server. ``PACS_DATABASE_PREPARE`` false leaves the plans out, for a pooler that gives each
transaction another connection. The statements count among Django's and pass its wrappers, ``audit.bounded`` too.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections
from django.db.backends.utils import CursorWrapper

Row = tuple[Any, ...]


class PreparedSql:
    """A statement with ``%s`` for its parameters, in PostgreSQL's own words. A list is an array: ``= ANY(%s)``."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def rows(self, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows, as psycopg reads them: JSON is text still."""
        with self._asked(parameters) as cursor:
            found: list[Row] = cursor.fetchall()
        return found

    def row(self, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row; None if there is none."""
        with self._asked(parameters) as cursor:
            found: Row | None = cursor.fetchone()
        return found

    def run(self, parameters: Sequence[Any] = ()) -> int:
        """Carry out a statement that returns nothing; how many rows it was about."""
        with self._asked(parameters) as cursor:
            return int(cursor.rowcount)

    def _asked(self, parameters: Sequence[Any]) -> CursorWrapper:
        connection = connections[DEFAULT_DB_ALIAS]
        try:
            return self._ask(connection, parameters)
        except NotSupportedError:
            if connection.in_atomic_block:
                raise
            # A migration changed the type of a column since this was planned: a new connection knows no plan.
            connection.close()
            return self._ask(connection, parameters)

    def _ask(self, connection: Any, parameters: Sequence[Any]) -> CursorWrapper:
        """As ``connection.cursor()`` and its ``execute``, with parameters that the server binds."""
        connection.validate_thread_sharing()
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        logged = connection.queries_logged
        with connection.wrap_database_errors:
            raw: Any = _Logged(connection.connection) if logged else _Cursor(connection.connection)
        cursor: CursorWrapper = connection.make_debug_cursor(raw) if logged else connection.make_cursor(raw)
        cursor.execute(self.sql, parameters)
        return cursor


class _Cursor(psycopg.Cursor[Row]):
    """Prepares each statement; Django keeps its connections from doing so, and for all others that stays so."""

    def execute(self, query: Any, params: Any = None, **_: Any) -> "_Cursor":
        self.connection.prepare_threshold = 0 if settings.PACS.database_prepare else None
        try:
            return super().execute(query, params, prepare=True)
        finally:
            self.connection.prepare_threshold = None


class _Logged(_Cursor):
    """Leaves the statement with its values where Django's log of statements looks for it."""

    def execute(self, query: Any, params: Any = None, **_: Any) -> Any:
        super().execute(query, params)
        whole: Any = SimpleNamespace(query=psycopg.ClientCursor(self.connection).mogrify(query, params).encode())
        self._query = whole
        return self
