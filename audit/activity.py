"""Starts and stops of the product's processes (PS3.15 A.5.3.1): a start that no stop follows is a crash, or a kill."""

import logging
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from django.db import connection

from audit.kinds import STARTED, STOPPED, EventKind
from audit.record import AuditUnavailable, NewAccessEvent, record

log = logging.getLogger(__name__)

LOOKED_BACK: Final = timedelta(days=30)
# The next start of the same application on the same machine says that the one before is over.
_UNSTOPPED: Final = """
    SELECT s.principal_name, s.recorded_at, s.outcome_description FROM audit_accessevent s
    WHERE s.kind = 'started' AND s.recorded_at >= %(since)s
      AND NOT EXISTS (SELECT FROM audit_accessevent e WHERE e.kind = 'stopped' AND e.recorded_at >= %(since)s
                      AND e.request_id = s.request_id)
      AND EXISTS (SELECT FROM audit_accessevent e WHERE e.kind = 'started' AND e.recorded_at >= %(since)s
                  AND e.principal_id = s.principal_id AND e.sequence > s.sequence)
    ORDER BY s.sequence
"""


@dataclass(frozen=True, slots=True)
class Crash:
    """A process that started and never said that it stopped."""

    application: str
    started: datetime
    text: str


class Run:
    """One process of the product, from its start to its stop; both events bear the same request id."""

    def __init__(self, application: str, *, instance: str = "", run: str = "", process: int = 0) -> None:
        self._application = application
        self._instance = instance or f"{application}@{socket.gethostname()}"
        self._id = run or uuid4().hex
        self._process = process or os.getpid()

    def started(self) -> None:
        """Say so in the trail; a trail that can't be written keeps nobody from starting, and the log has it then."""
        self._say(STARTED)

    def stopped(self) -> None:
        """Say so in the trail, or in the log if that fails."""
        self._say(STOPPED)

    def _say(self, kind: EventKind) -> None:
        event = NewAccessEvent(
            kind=kind,
            principal_kind="system",
            principal_id=self._instance,
            principal_name=self._application,
            request_id=self._id,
            outcome_description=f"process {self._process} on {socket.gethostname()}",
        )
        try:
            record([event])
        except AuditUnavailable:
            log.error("the trail doesn't have that the %s %s (process %s)", self._application, kind.name, self._process)


class RelayRun:
    """The relay's own run, as one of its ``RELAY_THREADS``, which are told by an event to stop."""

    def __init__(self, _: Any) -> None:
        self._run = Run("relay")

    def __enter__(self) -> "RelayRun":
        self._run.started()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._run.stopped()


def crashes(since: datetime | None = None) -> list[Crash]:
    """Starts of the last 30 days, or since then, without a stop before the next start. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(_UNSTOPPED, {"since": since or datetime.now(UTC) - LOOKED_BACK})
        return [Crash(*row) for row in cursor.fetchall()]
