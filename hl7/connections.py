"""The places for connections, and the bytes that they may hold together: bounds that no sender can push."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TooMuch(Exception):
    """There is no room for more of an unfinished message."""


class Place:
    """One connection: ``served`` once a message of it was answered."""

    def __init__(self, owner: Connections, end: Callable[[], None]) -> None:
        self._owner = owner
        self._held = 0
        self.end = end
        self.served = False
        self.at_work = False

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A message of it is being applied."""
        self.at_work = True
        try:
            yield
            self.served = True
        finally:
            self.at_work = False
            self._owner.moved(self)

    def hold(self, count: int) -> None:
        """So many bytes are unfinished now. Raises TooMuch."""
        self._owner.held += count - self._held
        self._held = count
        if count and self._owner.held > self._owner.most_bytes:
            raise TooMuch


class Connections:
    """At most ``most`` at a time. When all places are taken, one that waits gives its own up.

    That is the oldest that never sent a message, else the one that has been quiet for longest: so whoever opens
    thousands of connections can't keep a sender out. A sender whose connection ends opens another one.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._open: dict[Place, None] = {}
        self.most_bytes = most_bytes
        self.held = 0
        self.closing = False

    @contextmanager
    def taken(self, end: Callable[[], None]) -> Iterator[Place | None]:
        """A place as long as the block lasts, None where there is none; ``end`` closes the connection at once."""
        if len(self._open) >= self._most and not self._make_room():
            yield None
            return
        place = Place(self, end)
        self._open[place] = None
        try:
            yield place
        finally:
            place.hold(0)
            self._open.pop(place, None)

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def moved(self, place: Place) -> None:
        """A message of it was answered just now."""
        if place in self._open:
            self._open[place] = self._open.pop(place)

    def close_idle(self) -> None:
        """End those that wait; the others end themselves after the message that they are at."""
        self.closing = True
        for place in list(self._open):
            if not place.at_work:
                place.end()

    def _make_room(self) -> bool:
        waiting = [each for each in self._open if not each.at_work]
        place = next((each for each in waiting if not each.served), next(iter(waiting), None))
        if place is None:
            return False
        del self._open[place]
        place.end()
        return True
