"""A circuit breaker: after a few failures in a row nobody waits for what is away, until a probe says that it is back.

Closed, all goes through. Open, everything is refused at once, and one thread asks each second. When that is answered it
is half open: all goes through, and the first failure opens it again, the first success closes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from archive.object_store.errors import ObjectStoreError

FAILURES = 3  # in a row, over all threads of the process
PROBE_SECONDS = 1.0
log = logging.getLogger("archive.object_store")


class Breaker:
    """Of one thing that may be away, here called `name`; `probe` raises ObjectStoreError while it is."""

    def __init__(self, name: str, probe: Callable[[], None]) -> None:
        self.name = name
        self.open_since: float | None = None  # of time.time()
        self._probe = probe
        self._failures = 0
        self._half_open_since: float | None = None
        self._lock = threading.Lock()

    def worked(self) -> None:
        """Something was answered."""
        if self._failures:
            with self._lock:
                if self.open_since is None:
                    self._failures = 0
                if self._half_open_since is not None:
                    log.warning("%s is back after %.0f s", self.name, time.time() - self._half_open_since)
                    self._half_open_since = None

    def failed(self) -> None:
        """Something was not answered, after all attempts."""
        with self._lock:
            self._failures += 1
            if self.open_since is not None or self._failures < FAILURES:
                return
            self.open_since = self._half_open_since or time.time()
            self._half_open_since = None
        log.error("%s is away: nobody waits for it until it answers", self.name)
        threading.Thread(target=self._ask_until_answered, name=f"probe {self.name}", daemon=True).start()

    def _ask_until_answered(self) -> None:
        while True:
            time.sleep(PROBE_SECONDS)
            try:
                self._probe()
            except ObjectStoreError:
                continue
            with self._lock:
                self._half_open_since, self.open_since = self.open_since, None
                self._failures = FAILURES - 1
            log.info("%s answers: it is tried again", self.name)
            return
