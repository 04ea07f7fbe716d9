"""What the threads of the relay have in common: a turn again and again until they are told to stop."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from django.db import DatabaseError, InterfaceError, connection

from audit.record import AuditUnavailable

log = logging.getLogger(__name__)


class Companion(ABC):
    """A thread with a database connection of its own; nothing that fails in a turn ends it.

    ``work`` is one turn, after each ``pause`` of so many seconds, which may change. ``failing`` says what can't be
    done when one fails: "the trail can't be sealed".
    """

    name: ClassVar[str]
    failing: ClassVar[str]
    pause: float
    patience: ClassVar[float] = 10.0

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stop.set()
        self._thread.join(timeout=self.patience)

    @abstractmethod
    def work(self) -> None:
        """Do what is to be done now."""

    def failed(self, error: Exception) -> None:  # noqa: B027 - most have nothing to do
        """A turn ended with ``error``, which is logged already."""

    def finish(self) -> None:  # noqa: B027 - the same
        """The thread is told to stop."""

    def turn(self) -> None:
        """Work once; whatever fails is logged and tried again."""
        try:
            self.work()
        except (DatabaseError, InterfaceError, AuditUnavailable) as error:
            log.warning("%s now (%s); trying again", self.failing, type(error).__name__)
            connection.close()
            self.failed(error)
        except Exception as error:  # a defect must not end the thread: what comes later would be done by nobody
            log.exception(self.failing)
            self.failed(error)

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            self.turn()
        self.finish()
        connection.close()
