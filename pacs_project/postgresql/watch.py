"""Whether the database still answers, found out beside the threads that wait for it.

A server that is frozen, or behind a network that swallows everything, ends nothing: its clients wait for ever, and no
time limit of a statement counts, because the server keeps it. So one thread a process looks once a second at how long
statements have been under way, which costs those nothing. Of a long one it asks on a connection of its own: if there is
no answer, the database is away: whoever waits is woken with an error, and nobody waits again until it answers. If there
is one, only those connections end of which the server says that it waits for us as well.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import psycopg
from psycopg import generators, waiting
from psycopg.pq import ExecStatus, TransactionStatus

LOOK_SECONDS: Final = 1.0
# A statement that takes longer is asked about; most take a thousandth of it.
SUSPICIOUS_SECONDS: Final = 8.0
# In which the server must let us in, and answer, when it is asked about.
PROBE_SECONDS: Final = 3
# Sessions that have been waiting for us for as long as we for them: what one side said is lost.
_WAITING_FOR_US: Final = """
    SELECT pid FROM pg_stat_activity WHERE pid IN ({pids})
    AND state <> 'active' AND state_change < clock_timestamp() - interval '{seconds} seconds'
"""
log = logging.getLogger("pacs_project.postgresql")


class Watch:
    """The connections of this process, and what is known of their server. ``pooled``: process ids say nothing."""

    def __init__(self, *, pooled: bool = False) -> None:
        self.pooled = pooled
        self.forget()
        # A child has neither this thread nor these connections, and the lock may be held by a thread that is gone.
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Know nothing, as a new process does."""
        self.away_since: float | None = None  # of time.time()
        self._connections: WeakSet[psycopg.Connection[Any]] = WeakSet()
        self._active_since: dict[psycopg.Connection[Any], float] = {}
        self._parameters: Mapping[str, Any] = {}
        self._lock = threading.Lock()
        self._watched = False

    def add(self, connection: psycopg.Connection[Any], parameters: Mapping[str, Any]) -> None:
        """Look after a new connection, which was made with ``parameters``."""
        with self._lock:
            self._connections.add(connection)
            self._begin(parameters)

    def unanswered(self, parameters: Mapping[str, Any]) -> None:
        """The server didn't let somebody in within the time for it: it is asked until it answers."""
        with self._lock:
            self._leave()
            self._begin(parameters)

    def _begin(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = {**parameters, "connect_timeout": PROBE_SECONDS}
        if not self._watched:
            self._watched = True
            threading.Thread(target=self._look_for_ever, name="database-watch", daemon=True).start()

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - whatever one look met, the next one comes
                log.warning("a look at the database's connections failed: %s", type(error).__name__)

    def look(self) -> None:
        """One turn: who has been waiting for long, does the server answer, who must be woken."""
        now = time.monotonic()
        with self._lock:
            known = list(self._connections)
        active = [one for one in known if not one.closed and one.info.transaction_status == TransactionStatus.ACTIVE]
        self._active_since = {one: self._active_since.get(one, now) for one in active}
        long = [one for one in active if now - self._active_since[one] >= SUSPICIOUS_SECONDS]
        if not long and self.away_since is None:
            return
        forsaken = self._ask([one.info.backend_pid for one in long])
        if forsaken is None:
            with self._lock:
                self._leave()
            _wake(active)
            return
        if self.away_since is not None:
            log.warning("the database answers again after %.0f s", time.time() - self.away_since)
            self.away_since = None
        _wake([one for one in long if one.info.backend_pid in forsaken])

    def _leave(self) -> None:
        if self.away_since is None:
            self.away_since = time.time()
            log.error("the database does not answer")

    def _ask(self, pids: Sequence[int]) -> set[int] | None:
        """Those of the server's processes that wait for us; None if there is no answer. A refusal is an answer."""
        try:
            connection = psycopg.connect(**self._parameters, autocommit=True)
        except psycopg.OperationalError as error:
            return set() if error.sqlstate or "FATAL" in str(error) else None
        try:
            sql = _WAITING_FOR_US.format(
                pids=", ".join(map(str, [] if self.pooled else pids)) or "0", seconds=int(SUSPICIOUS_SECONDS)
            )
            pgconn = connection.pgconn
            pgconn.send_query(sql.encode())
            [result] = waiting.wait(generators.execute(pgconn), pgconn.socket, 0.1, timeout=PROBE_SECONDS)
            if result.status != ExecStatus.TUPLES_OK:
                return set()
            return {int(result.get_value(row, 0) or 0) for row in range(result.ntuples)}
        except (psycopg.Error, OSError):
            return None
        finally:
            connection.close()


def _wake(connections: Sequence[psycopg.Connection[Any]]) -> None:
    """End the connections for whoever waits on them; the descriptor stays theirs to close."""
    for connection in connections:
        with suppress(OSError, psycopg.Error):
            twin = socket.socket(fileno=os.dup(connection.fileno()))
            with twin:
                twin.shutdown(socket.SHUT_RDWR)
    if connections:
        log.warning("%s statements that had no answer were given up", len(connections))
