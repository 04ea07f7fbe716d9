"""Django's PostgreSQL backend, whose health check before each request's first statement asks the kernel, not the
server: a connection on which nothing waits to be read has not been ended by the other side. It may have gone without a
word (a failover, a firewall that forgot the connection), so the server is asked where it was not for a while. Who waits
for an answer that doesn't come is woken by ``watch``; while the database is away nobody waits for it.
"""

import select
import time
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg.pq import TransactionStatus

from pacs_project.postgresql.schema import SchemaEditor
from pacs_project.postgresql.watch import Watch
from telemetry.spans import spent

BELIEVED_SECONDS: Final = 30.0
_USABLE: Final = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
watch: Final = Watch(pooled=not settings.PACS.database_prepare)


class _Cursor(CursorWrapper):
    """As Django's; its statements count for the request that they are of (``telemetry.spans``)."""

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        began = time.perf_counter()
        try:
            return super()._execute(sql, params, *ignored)  # type: ignore[misc]
        finally:
            spent.db += time.perf_counter() - began
            spent.statements += 1


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's; ``is_usable`` costs a round trip only where there is something to read, and now and then."""

    SchemaEditorClass = SchemaEditor
    heard_of_at = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django's. Raises OperationalError at once while the database is known to be away."""
        if watch.away_since is not None:
            raise psycopg.OperationalError("the database does not answer")
        try:
            raw = super().get_new_connection(conn_params)
        except psycopg.errors.ConnectionTimeout:
            watch.unanswered(conn_params)
            raise
        self.heard_of_at = time.monotonic()
        watch.add(raw, conn_params)
        return raw

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        """As Django's."""
        return _Cursor(cursor, self)

    def _commit(self) -> None:
        began = time.perf_counter()
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            spent.db += time.perf_counter() - began

    def is_usable(self) -> bool:
        """Whether the connection can be used: its end, or a message of the server's, can be read before it is.

        Not within a transaction that failed nor with a statement under way, as with Django's.
        """
        raw = self.connection
        if watch.away_since is not None:
            return False
        if raw is None or raw.closed or raw.info.transaction_status not in _USABLE:
            return False
        now = time.monotonic()
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        if not waiting.poll(0) and now - self.heard_of_at < BELIEVED_SECONDS:
            return True
        usable = bool(super().is_usable())
        if usable:
            self.heard_of_at = now
        return usable
