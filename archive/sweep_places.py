"""The places that a sweep removes from and looks in: each tier of the archive, and the second store.

A place that is away is asked no more in this sweep; only without the hot one there is none. A single object that can't
be removed, or read, in a place that is there is left for a later sweep, so that it doesn't keep those behind it.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from archive.object_store import object_store
from archive.object_store.copies import CopiedObjectStore
from archive.object_store.errors import ObjectMissing, ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.marks import HOT, tier_of
from archive.object_store.port import ObjectStore
from archive.object_store.reach import check_holder

log = logging.getLogger("archive.sweep")

SECOND: Final = "second store"
# So many failures without a success between are the place's, whatever it says of itself.
MOST_IN_A_ROW: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A store by the name of its tier, or ``SECOND``."""

    name: str
    store: ObjectStore


class Places:
    """Those of one sweep. Every method may raise ``ObjectStoreUnavailable``: the hot store is away."""

    def __init__(self) -> None:
        store = object_store()
        both = store if isinstance(store, CopiedObjectStore) else None
        self._first: Any = both.first if both is not None else store
        self._second = Place(SECOND, both.second) if both is not None else None
        self._in_a_row: Counter[str] = Counter()
        self.away: set[str] = set()
        # Key -> why the object could not be removed, though its place is there.
        self.stuck: dict[str, str] = {}

    def listed(self) -> Iterator[Place]:
        """Those in which orphans are looked for, the second store last."""
        for name, store in getattr(self._first, "tiers", {HOT: self._first}).items():
            yield Place(name, store)
        if self._second is not None:
            yield self._second

    def remove(self, key: str) -> bool:
        """Remove the object from wherever it may lie; whether it is gone from there."""
        gone = self._remove(Place(tier_of(key), self._first), key)
        if self._second is not None:
            gone = self._remove(self._second, key) and gone
        return gone

    def is_in_first(self, key: str) -> bool:
        """Whether the object lies in the archive's own store too, so that it was met there."""
        with suppress(ObjectMissing):
            self._first.size(key)
            return True
        return False

    def worked(self, place: Place) -> None:
        """The place has done what it was asked."""
        self._in_a_row[place.name] = 0

    def failed(self, place: Place, key: str, error: Exception) -> bool:
        """What was asked of the place failed: whether for the one ``key`` alone, and not because the place is away."""
        log.warning("left for a later sweep: %s", error)
        try:
            check_holder(place.store, key)
        except ObjectStoreError as away:
            self._leave(place, away)
            return False
        self._in_a_row[place.name] += 1
        if self._in_a_row[place.name] >= MOST_IN_A_ROW:
            self._leave(place, error)
        return True

    def is_away(self, place: Place) -> bool:
        """Whether the place was found to be away in this sweep."""
        return place.name in self.away

    def _remove(self, place: Place, key: str) -> bool:
        if self.is_away(place):
            return False
        try:
            place.store.delete(key)
        except ObjectStoreError as error:
            if self.failed(place, key, error):
                self.stuck[key] = str(error)
            return False
        self.worked(place)
        return True

    def _leave(self, place: Place, error: Exception) -> None:
        if place.name == HOT:
            raise ObjectStoreUnavailable(str(error)) from error
        log.error("the %s is away, and is left out of this sweep: %s", _said(place.name), error)
        self.away.add(place.name)


def _said(name: str) -> str:
    return name if name == SECOND else f"{name} tier"
