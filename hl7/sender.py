"""The threads that send: one for each destination, in the relay.

A session lock of PostgreSQL makes one thread of all relays the sender of a destination. It ends with the session, so
that another relay goes on at once when this one is killed.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from audit.companion import Companion
from hl7.delivery import answered, next_due, not_answered, not_connected, reached, told
from hl7.destinations import target_of
from hl7.mllp_client import Client, NotAnswered, NotConnected
from hl7.outbound_models import Destination, OutboundMessage

PAUSE: Final = 1.0
# "HL7o" in ASCII: the first half of the key, the destination is the second.
_LOCK: Final = 0x484C376F
# Answers of ours: nobody answers them.
_UNANSWERED: Final = "ACK"


class Deliveries(Companion):
    """Sees to it that each destination has its sender (``RELAY_THREADS``)."""

    name = "deliveries"
    failing = "destinations can't be looked at"
    pause = PAUSE
    # A sender finishes the message that it is at.
    patience = 15.0

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(stop)
        self._senders: dict[int, Sender] = {}

    def work(self) -> None:
        """Begin to send to destinations that are new."""
        for pk in Destination.objects.values_list("pk", flat=True):
            if pk not in self._senders:
                self._senders[pk] = Sender(self._stop, pk)
                self._senders[pk].__enter__()

    def finish(self) -> None:
        """All senders have ended."""
        for sender in self._senders.values():
            sender.__exit__()


class Sender(Companion):
    """Sends what is due to one destination, one message after the other over one connection."""

    name = "sender"
    failing = "messages can't be sent"
    pause = PAUSE

    def __init__(self, stop: threading.Event, destination: int) -> None:
        super().__init__(stop)
        self._destination = destination
        self._client = Client(settings.PACS.hl7_out, stop.is_set)
        self._locked_in: Any = None

    def work(self) -> None:
        """Send all that is due, where this is the thread that sends to this destination."""
        while not self._stop.is_set() and self._is_ours():
            destination = Destination.objects.filter(pk=self._destination, enabled=True).first()
            if destination is None:
                self._client.close()
                return
            message = next_due(destination, settings.PACS.hl7_out) if _may_try(destination) else None
            if message is None:
                return
            self._send(destination, message)

    def failed(self, error: Exception) -> None:
        """What was outstanding is noted as sent, and sent again over a new connection."""
        self._client.close()

    def finish(self) -> None:
        """The lock ends with the database session."""
        self._client.close()

    def _is_ours(self) -> bool:
        """Whether this session holds the lock of the destination; a session that is new asks for it anew."""
        connection.ensure_connection()
        if self._locked_in is connection.connection:
            return True
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCK, self._destination])
            [is_ours] = cursor.fetchone()
        self._locked_in = connection.connection if is_ours else None
        if not is_ours:
            self._client.close()
        return bool(is_ours)

    def _send(self, destination: Destination, message: OutboundMessage) -> None:
        wanted = settings.PACS.hl7_out
        try:
            self._client.connect(target_of(destination))
        except NotConnected as error:
            not_connected(destination, message, str(error), wanted)
            return
        try:
            if message.type == _UNANSWERED:
                self._client.tell(bytes(message.raw))
                told(message)
            else:
                answered(message, self._client.ask(bytes(message.raw), message.control_id), wanted)
        except NotAnswered as error:
            if not self._stop.is_set():
                not_answered(destination, message, str(error), wanted)
        else:
            reached(destination)


def _may_try(destination: Destination) -> bool:
    return destination.not_before <= timezone.now()
