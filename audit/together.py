"""What requests of one process write at the same moment is written by one statement and one durable commit.

Who comes while nobody writes, writes at once: a lone writer waits for nobody, and there is no timer. Who comes while
somebody writes, waits; then the first of those who wait writes for all of them, in the order in which they came. Each
returns when its own rows are durable, or raises what kept them from being so.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from django.db import DataError, IntegrityError, OperationalError

Row = TypeVar("Row")
Result = TypeVar("Result")
# More than that are not held up by one statement.
MOST_ROWS: Final = 1_000


class _Turn(Generic[Row, Result]):
    """The rows of one caller and what came of them; and for whom it is to write, if it is."""

    __slots__ = ("error", "group", "results", "rows", "woken")

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.results: list[Result] | None = None
        self.error: Exception | None = None
        self.group: list[_Turn[Row, Result]] = []
        self.woken = threading.Event()


class Together(Generic[Row, Result]):
    """``write`` takes rows and returns a result for each, in order; it is called by one thread at a time."""

    def __init__(self, write: Callable[[Sequence[Row]], list[Result]]) -> None:
        self._write = write
        self._start()
        # Of a process that was forked, the threads that write and wait are another's.
        os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Turn[Row, Result]] = []
        self._writing = False

    def write(self, rows: Sequence[Row]) -> list[Result]:
        """Write ``rows``, with those of whoever waits; their results. Raises what ``write`` does."""
        turn: _Turn[Row, Result] = _Turn(rows)
        with self._lock:
            if self._writing:
                self._waiting.append(turn)
            else:
                self._writing = True
                turn.group = [turn]
        if not turn.group:
            turn.woken.wait()
        if turn.group:
            self._lead(turn.group)
        if turn.error is not None:
            raise turn.error
        return turn.results or []

    def _lead(self, group: Sequence[_Turn[Row, Result]]) -> None:
        """Write for ``group``, whose first the caller is; then wake them, and who leads next."""
        try:
            self._write_all(group)
        finally:
            for turn in group:
                if turn.results is None and turn.error is None:
                    turn.error = OperationalError("the thread that wrote for several was ended")
                turn.woken.set()
            self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            following = self._next()
            if not following:
                self._writing = False
                return
            following[0].group = following
        following[0].woken.set()

    def _next(self) -> list[_Turn[Row, Result]]:
        """Those who wait, the first ones if they are very many."""
        count = rows = 0
        for turn in self._waiting:
            rows += len(turn.rows)
            if count and rows > MOST_ROWS:
                break
            count += 1
        following = self._waiting[:count]
        del self._waiting[:count]
        return following

    def _write_all(self, group: Sequence[_Turn[Row, Result]]) -> None:
        try:
            results = self._write([row for turn in group for row in turn.rows])
        except Exception as error:  # noqa: BLE001 - each of them raises it
            if len(group) > 1 and _is_of_a_row(error):
                # One of them can't be written as it is; it keeps no other from being written.
                for turn in group:
                    self._write_all([turn])
                return
            for turn in group:
                turn.error = error
        else:
            at = 0
            for turn in group:
                turn.results = results[at : at + len(turn.rows)]
                at += len(turn.rows)


def _is_of_a_row(error: Exception) -> bool:
    """Whether a row is to blame and not the database: also for a text that is too long for an index (SQLSTATE 54)."""
    cause: Any = error.__cause__
    return isinstance(error, DataError | IntegrityError) or str(getattr(cause, "sqlstate", "")).startswith("54")
