"""A thread of the relay: emergency accesses whose time is over get their event, and new ones are told by mail."""

import logging
import threading
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection

from access.alerts import tell_of_emergencies
from access.emergency import write_down_expired
from audit.record import AuditUnavailable

PAUSE: Final = 2.0
log = logging.getLogger(__name__)


class EmergencyWatch:
    """Looks every two seconds until it is told to stop, on a connection of its own.

    What it does late is late in the trail only: an emergency access ends by its own time.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name="emergencies", daemon=True)

    def __enter__(self) -> "EmergencyWatch":
        self._thread.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE):
            self.turn()
        connection.close()

    def turn(self) -> None:
        """Once; whatever fails is logged and tried again."""
        try:
            write_down_expired()
            tell_of_emergencies()
        except (DatabaseError, InterfaceError, AuditUnavailable) as error:
            log.warning("emergency accesses can't be looked at now (%s); trying again", type(error).__name__)
            connection.close()
        except Exception:  # a defect must not end the thread: later accesses would end and be told to nobody
            log.exception("emergency accesses can't be looked at")
