"""What another system publishes, kept in memory: no request of ours waits for the network each time."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

FRESH_SECONDS: Final = 300.0
STALE_SECONDS: Final = 86_400.0
PAUSE_SECONDS: Final = 60.0
FIRST_PAUSE_SECONDS: Final = 5.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Away(Exception):
    """The other system can't be reached, or is too slow."""


class BadAnswer(Exception):
    """The other system answers, but not with what it should; the message says what is wrong, without its values."""


class Remembered(Generic[T]):
    """One document and its time. While its publisher is away, what is known goes on being good for a day.

    It is asked for at most once a minute, and every five seconds while nothing is known.
    """

    def __init__(self, name: str, fetch: Callable[[], T]) -> None:
        self._name = name
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: T | None = None
        self._fetched = self._tried = float("-inf")
        self._failure: Away | BadAnswer = Away(f"{name} was not asked yet")

    def get(self) -> T:
        """What is known, renewed if it is older than five minutes. Raises Away or BadAnswer if nothing is known."""
        age = time.monotonic() - self._fetched
        if self._known is not None and age <= FRESH_SECONDS:
            return self._known
        if age > STALE_SECONDS:
            self._known = None
        return self._known_after(self._renew)

    def again(self) -> T:
        """The same, renewed even if it is younger, but not within a minute. Raises Away or BadAnswer."""
        return self._known_after(self._renew)

    def _known_after(self, renew: Callable[[], None]) -> T:
        renew()
        known = self._known
        if known is None:
            raise self._failure
        return known

    def _renew(self) -> None:
        """Ask, unless it is too early; who finds another asking waits only if nothing is known."""
        if not self._lock.acquire(blocking=self._known is None):
            return
        try:
            pause = FIRST_PAUSE_SECONDS if self._known is None else PAUSE_SECONDS
            if time.monotonic() - self._tried < pause:
                return
            self._tried = time.monotonic()
            self._known = self._fetch()
            self._fetched = self._tried = time.monotonic()
        except (Away, BadAnswer) as error:
            self._failure = error
            self._tried = time.monotonic()
            _log.warning("%s: %s", self._name, error)
        finally:
            self._lock.release()
