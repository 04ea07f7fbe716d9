"""Statements that are asked again and again, planned once a database connection: PostgreSQL plans them for longer than
it runs them. What they find is never kept.

They go to libpq as they are (``audit.exchange``): psycopg's cursors and Django's around them take longer than such a
statement. Parameters are bound by the server. ``PACS_DATABASE_PREPARE`` false leaves the plans out, for a pooler that
gives each transaction another connection. Where Django logs statements, or something wraps them (``audit.bounded``),
they pass that like all others.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, NotSupportedError, connections

from audit.exchange import Found, exchange
from audit.expected import expected
from telemetry.spans import spent

Row = tuple[Any, ...]


class PreparedSql:
    """A statement with ``%s`` for its parameters, in PostgreSQL's own words. A list is an array: ``= ANY(%s)``."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def rows(self, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows, as psycopg reads them: JSON is text still."""
        return self._asked(parameters).rows

    def row(self, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row; None if there is none."""
        found = self._asked(parameters).rows
        return found[0] if found else None

    def run(self, parameters: Sequence[Any] = ()) -> int:
        """Carry out a statement that returns nothing; how many rows it was about."""
        return self._asked(parameters).count

    def _asked(self, parameters: Sequence[Any]) -> Found:
        connection: Any = connections[DEFAULT_DB_ALIAS]
        try:
            return self._ask(connection, parameters)
        except NotSupportedError:
            if connection.in_atomic_block:
                raise
            # A migration changed the type of a column since this was planned: a new connection knows no plan.
            connection.close()
            return self._ask(connection, parameters)

    def _ask(self, connection: Any, parameters: Sequence[Any]) -> Found:
        """As ``connection.cursor()`` and its ``execute``, with parameters that the server binds."""
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        if connection.execute_wrappers or connection.queries_logged:
            return self._ask_openly(connection, parameters)
        if (found := expected.taken(self.sql, parameters)) is not None:
            return found
        connection.validate_no_broken_transaction()
        statements = ((self.sql, parameters), *expected.to_send())
        began = perf_counter()
        try:
            found, *further = exchange(connection.connection, statements, keep=settings.PACS.database_prepare)
            if further:
                expected.found = further[0]
            return found
        except psycopg.Error:
            with connection.wrap_database_errors:
                raise
        finally:
            spent.db += perf_counter() - began
            spent.statements += len(statements)

    def _ask_openly(self, connection: Any, parameters: Sequence[Any]) -> Found:
        raw = OpenCursor(connection.connection, logged=connection.queries_logged)
        cursor = (connection.make_debug_cursor if connection.queries_logged else connection.make_cursor)(raw)
        cursor.execute(self.sql, parameters)
        return raw.found


class OpenCursor(AbstractContextManager["OpenCursor"]):
    """What Django's own cursors have inside, as far as they need it. ``before`` goes before the statement, in the same
    round trip and transaction."""

    def __init__(self, connection: psycopg.Connection[Any], *, logged: bool) -> None:
        self.connection = connection
        self.before: tuple[tuple[str, Sequence[Any]], ...] = ()
        self.found = Found([], -1)
        self._logged = logged
        self._query: Any = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Ask; the statement with its values is left where Django's log of statements looks for it."""
        statements = (*self.before, (sql, parameters or ()))
        self.found = exchange(self.connection, statements, keep=settings.PACS.database_prepare)[-1]
        if self._logged:
            shown = psycopg.ClientCursor(self.connection).mogrify(sql, parameters)
            self._query = SimpleNamespace(query=shown.encode())

    def __exit__(self, *raised: Any) -> None:
        """Nothing is open."""
