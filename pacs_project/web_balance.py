"""Connections spread evenly over the worker processes: a viewer's six must not wait for one interpreter.

All workers watch the same listening socket, and the one that wakes first takes what has come, often all of a browser's
connections. Each tells here, in memory that they share, how many it has; who has more than another leaves a new one to
that other for a moment, and takes it if nobody has come.
"""

import mmap
import os
import socket
import time
from struct import Struct
from typing import Any, Final

from pacs_project.web_answer import AnsweringWorker

MOST_WORKERS: Final = 64
# For so long a worker that has more steps back; as often as a browser's connections need it, and in the long run for
# no more than a tenth of its time.
STEP_BACK_SECONDS: Final = 0.002
AT_ONCE, A_SECOND = 10.0, 50.0
_PLACE: Final = Struct("=ii")  # process, negative while the place is only reserved by it; connections


class Balance:
    """The places of the workers, made before they are forked. A worker's place is written by it alone."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, MOST_WORKERS * _PLACE.size)

    def reserve(self) -> int | None:
        """A place for a worker that will be forked by this process; None if there is none."""
        for place in range(MOST_WORKERS):
            if not _lives(abs(self._read(place)[0])):
                self._write(place, -os.getpid(), 0)
                return place
        return None

    def tell(self, place: int, connections: int) -> None:
        """This process has so many."""
        self._write(place, os.getpid(), connections)

    def leave(self, place: int) -> None:
        """This process takes no more."""
        self._write(place, 0, 0)

    def another_has_less(self, place: int, connections: int) -> bool:
        """Whether another living worker has fewer than ``connections``."""
        for other in range(MOST_WORKERS):
            process, has = self._read(other)
            if process > 0 and other != place and has < connections and _lives(process):
                return True
        return False

    def _read(self, place: int) -> tuple[int, int]:
        process, connections = _PLACE.unpack_from(self._shared, place * _PLACE.size)
        return process, connections

    def _write(self, place: int, process: int, connections: int) -> None:
        _PLACE.pack_into(self._shared, place * _PLACE.size, process, connections)


# Of all workers of a server: they are forked from the process that loads this.
_BALANCE: Final = Balance()


class SharingWorker(AnsweringWorker):
    """The part of the worker that shares new connections with the others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._place = _BALANCE.reserve()
        self._tells = False
        self._steps, self._counted_at = AT_ONCE, time.monotonic()
        super().__init__(*args, **kwargs)

    @property
    def nr_conns(self) -> int:
        """Connections of this worker; the others see it."""
        return self._connections

    @nr_conns.setter
    def nr_conns(self, count: int) -> None:
        self._connections = count
        if self._tells and self._place is not None:
            _BALANCE.tell(self._place, count)

    def run(self) -> None:
        """Serve, seen by the others."""
        self._tells = self.alive
        self.nr_conns = 0
        super().run()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Nobody leaves anything to who stops."""
        if self.alive and self._place is not None:
            self._tells = False
            _BALANCE.leave(self._place)
        super().handle_exit(sig, frame)

    def take(self, listener: socket.socket) -> tuple[socket.socket, Any]:
        """A connection, unless another worker has fewer and takes it. Raises what ``accept`` does."""
        if self._place is not None and _BALANCE.another_has_less(self._place, self._connections) and self._may_wait():
            time.sleep(STEP_BACK_SECONDS)
        return listener.accept()

    def _may_wait(self) -> bool:
        now = time.monotonic()
        self._steps = min(AT_ONCE, self._steps + (now - self._counted_at) * A_SECOND)
        self._counted_at = now
        if self._steps < 1:
            return False
        self._steps -= 1
        return True


def _lives(process: int) -> bool:
    if not process:
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, PermissionError):
        # None of ours: workers are of one user.
        return False
    return True
