"""The sender: follows the sealed log and writes each event to a receiver of syslog, in the order of the log.

The log itself is the spool: where sending stands is a row, and what could not be sent waits where it is. After a
connection broke, what may not have arrived is sent again, under the same ``sequenceId``.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection
from django.db.models.functions import Now

from audit import tree
from audit.archives import archived
from audit.companion import Companion
from audit.messages import Source, Subject, audit_message
from audit.models import AccessEvent, SealedEvent
from audit.output_models import OutputCursor
from audit.syslog import Connection, Receiver, frame

log = logging.getLogger(__name__)

NAME: Final = "syslog"
BATCH: Final = 200
PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
# So long a connection must live on before what was written to it counts as received.
SETTLE_SECONDS: Final = 30.0
_LOCK: Final = 0x4C69_6768_7453_6E64  # "LightSnd" in ASCII: one sender at a time, however many relays there are
Subjects = Callable[[Iterable[str]], Mapping[str, Subject]]


class Sender(Companion):
    """Sends each second; while the receiver can't be reached, after longer and longer pauses."""

    name = "syslog"
    failing = "the trail can't be sent"
    patience = 15.0

    def __init__(self, stop: threading.Event, receiver: Receiver, source: Source, subjects: Subjects) -> None:
        super().__init__(stop)
        self.pause = PAUSE
        self._receiver = receiver
        self._source = source
        self._subjects = subjects
        self._session: Connection | None = None
        self._sent = 0
        self._unsettled: deque[tuple[float, int]] = deque()

    def work(self) -> None:
        """Send what waits."""
        if not _is_the_only_one():
            self._drop()
            return
        try:
            session = self._session or self._connect()
            self._send(session)
            self._settle(session)
        except OSError as error:
            log.warning("the receiver of the trail can't be reached (%s); trying again", type(error).__name__)
            self._drop()
            self.pause = min(LONGEST_PAUSE, self.pause * 2)
            self._note(error=type(error).__name__)
            return
        self.pause = PAUSE

    def failed(self, error: Exception) -> None:
        """Begin anew; after a defect later than else."""
        self._drop()
        if not isinstance(error, DatabaseError | InterfaceError):
            self.pause = LONGEST_PAUSE
            self._note(error=type(error).__name__)

    def finish(self) -> None:
        """End the session in order; a receiver that answers has read everything."""
        if self._session is not None and self._session.finish():
            self._note(position=self._sent)
        self._drop()

    def _connect(self) -> Connection:
        cursor, _ = OutputCursor.objects.get_or_create(name=NAME)
        self._session = Connection(self._receiver)
        self._sent = cursor.position
        self._note(error="")
        return self._session

    def _send(self, session: Connection) -> None:
        session.look()
        while not self._stop.is_set() and (batch := self._batch()):
            session.send(framed for _, framed in batch)
            self._sent = batch[-1][0]
            self._unsettled.append((time.monotonic(), self._sent))
            self._note(sent=self._sent)
            self._settle(session)

    def _batch(self) -> list[tuple[int, bytes]]:
        """The next messages with their positions; a position whose event is gone has an empty one."""
        rows = SealedEvent.objects.filter(position__gt=self._sent).order_by("position")[:BATCH]
        places = list(rows.values_list("position", "sequence"))
        events = {event.pk: event for event in AccessEvent.objects.filter(sequence__in=[each for _, each in places])}
        subjects = self._subjects({uid for event in events.values() for uid in event.study_uids})
        # What was taken out into an archive is not sent to a receiver that comes later.
        missing = {position: sequence for position, sequence in places if sequence not in events}
        gone = [missing[position] for position in sorted(missing.keys() - archived(missing))]
        if gone:
            log.error("THE ACCESS TRAIL WAS ALTERED: event %s is gone. Run audit_verify", gone[0])
        return [(position, self._framed(position, events.get(sequence), subjects)) for position, sequence in places]

    def _framed(self, position: int, event: AccessEvent | None, subjects: Mapping[str, Subject]) -> bytes:
        if event is None:
            return b""
        return frame(
            audit_message(event, self._source, subjects),
            position=position,
            at=event.recorded_at,
            host=self._source.host,
            warning=event.outcome != 0 or event.decision == "deny" or event.kind == "alert",
        )

    def _settle(self, session: Connection) -> None:
        """Note what has had time to arrive on a connection that still stands."""
        if not self._unsettled or not session.is_acknowledged():
            return
        settled = 0
        while self._unsettled and time.monotonic() - self._unsettled[0][0] >= SETTLE_SECONDS:
            settled = self._unsettled.popleft()[1]
        if settled:
            self._note(position=settled)

    def _drop(self) -> None:
        if self._session is not None:
            self._session.drop()
        self._session = None
        self._unsettled.clear()

    def _note(self, **fields: Any) -> None:
        """Write down where sending stands; what can't be written is sent once more, later."""
        try:
            OutputCursor.objects.filter(name=NAME).update(changed_at=Now(), **fields)
        except (DatabaseError, InterfaceError):
            connection.close()


def state() -> dict[str, Any]:
    """How many events are sealed, were sent and are known to have arrived; for how many seconds the oldest waits."""
    cursor = OutputCursor.objects.filter(name=NAME).first() or OutputCursor(name=NAME)
    waiting = SealedEvent.objects.filter(position=cursor.sent + 1).values_list("sealed_at", flat=True).first()
    return {
        "sealed": tree.size(),
        "sent": cursor.sent,
        "arrived": cursor.position,
        "waits_since": waiting,
        "error": cursor.error,
    }


def _is_the_only_one() -> bool:
    """Whether this connection to the database holds the lock of all senders; it goes with the connection."""
    with connection.cursor() as cursor:
        # Taken again by who has it, which costs nothing.
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        found: tuple[bool] = cursor.fetchone()
    return found[0]
