"""Where the time of a request goes, counted by the thread that answers it: a few additions a request, no objects.

``auth`` (who asks; its statements count as ``db`` as well), ``db`` (statements and commits), ``store`` (the object
store, until the first piece is in hand), ``codec`` (waiting for a place and for the codec). Work that other threads do
ahead isn't counted: what is, is what the request waited for.
"""

import threading
from time import perf_counter
from types import TracebackType
from typing import Final


class Spent(threading.local):
    """Seconds since the request began, of the thread that looks; ``statements`` is a count."""

    began = 0.0
    auth = 0.0
    db = 0.0
    store = 0.0
    codec = 0.0
    statements = 0

    def begin(self) -> None:
        """Another request."""
        self.began = perf_counter()
        self.auth = self.db = self.store = self.codec = 0.0
        self.statements = 0

    def server_timing(self) -> str:
        """The field value of Server-Timing (W3C), in milliseconds; parts of which there was nothing are left out."""
        parts = (("auth", self.auth), ("db", self.db), ("store", self.store), ("codec", self.codec))
        told = [f"{name};dur={seconds * 1000:.1f}" for name, seconds in parts if seconds]
        told.append(f"total;dur={(perf_counter() - self.began) * 1000:.1f}")
        return ", ".join(told)


spent: Final = Spent()


class _Timed:
    """Adds the time inside to one of the parts. Reusable, also within itself: only the outermost counts."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._here = threading.local()

    def __enter__(self) -> None:
        here = self._here
        here.depth = depth = getattr(here, "depth", 0) + 1
        if depth == 1:
            here.began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        here = self._here
        here.depth -= 1
        if not here.depth:
            setattr(spent, self._part, getattr(spent, self._part) + perf_counter() - here.began)


auth: Final = _Timed("auth")
store: Final = _Timed("store")
codec: Final = _Timed("codec")
