"""Two object stores as one: what is written to the first lies in the second as well, a little later or at once.

The first is the archive; the second is what it is read from where the first has lost something, or is away. What is
derived (``derived/``) is in the first only: it is made again. The second has its objects under the same keys, sealed
like those of the first.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from archive.object_store.errors import (
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectRecalling,
    ObjectStoreError,
    ObjectStoreUnavailable,
)
from archive.object_store.marks import seal_of
from archive.object_store.parts import read_parts
from archive.object_store.port import PIECE, ObjectStore, Staged

log = logging.getLogger("archive.object_store")
Found = TypeVar("Found")

_DERIVED = "derived/"


def is_copied(key: str) -> bool:
    """Whether the object under ``key`` belongs into the second store, if an instance is not what makes it so."""
    return not key.startswith(_DERIVED)


class CopiedObjectStore:
    """``first`` and, for keys of either kind (sealed or not), the second store. See ``port``.

    With ``at_once`` an object is in both before ``publish`` returns; otherwise ``copy_over`` brings it over.
    """

    def __init__(self, first: ObjectStore, second: ObjectStore, sealed_second: ObjectStore, *, at_once: bool) -> None:
        self.first = first
        self.second = second
        self._sealed_second = sealed_second
        self._at_once = at_once

    def __getattr__(self, name: str) -> Any:
        # What the first store has beside the port.
        return getattr(self.first, name)

    @property
    def stores(self) -> tuple[ObjectStore, ...]:
        """Where an object may be read, the one first that is asked first."""
        return self.first, self.second

    def stage(self) -> Staged:
        return self.first.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        self.first.publish(items)
        if self._at_once:
            for staged, key in items:
                if is_copied(key):
                    self._copy(key, _pieces_of(staged))

    def publish_copy(self, staged: Staged, key: str) -> None:
        """Bring what was just published into the second store too, unless ``publish`` did: where the first one doesn't
        give it back at once, nobody could later."""
        if not (self._at_once and is_copied(key)):
            self._copy(key, _pieces_of(staged))

    def put(self, key: str, data: bytes) -> None:
        self.first.put(key, data)
        if is_copied(key):
            try:
                self._copy(key, iter((data,)))
            except ObjectStoreError as error:
                log.warning("not in the second store yet: %s", error)

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._either(lambda store: store.open_range(key, offset, length))

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        return self._either(lambda store: store.read_range(key, offset, length))

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        return self._either(lambda store: read_parts(store, key, offset, lengths))

    def size(self, key: str) -> int:
        return self._either(lambda store: store.size(key))

    def delete(self, key: str) -> None:
        """From both; whoever must be sure calls again while it raises."""
        self.first.delete(key)
        self.second.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self.first.keys(prefix)

    def check(self) -> None:
        """Only the first store is needed for the archive to be ready."""
        self.first.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        cleared = self.first.clear_staging(older_than_seconds)
        with contextlib.suppress(ObjectStoreError):
            cleared += self.second.clear_staging(older_than_seconds)
        return cleared

    def copy_over(self, key: str, sha256: bytes | None = None, *, anew: bool = False) -> None:
        """Bring an object of the first store into the second. KeyExists.

        One with another SHA-256 than is given is ObjectDamaged, and not brought over. With ``anew`` what lies in the
        second store, which is no copy, goes just before.
        """
        self._copy(key, self.first.open_range(key), sha256, anew=anew)

    def _copy(self, key: str, pieces: Iterator[bytes], sha256: bytes | None = None, *, anew: bool = False) -> None:
        store = self._sealed_second if seal_of(key) else self.second
        with store.stage() as staged:
            for piece in pieces:
                staged.write(piece)
            staged.seal()
            if sha256 is not None and staged.sha256 != sha256:
                raise ObjectDamaged(f"{key} is not what was received", key)
            if anew:
                store.delete(key)
            try:
                store.publish([(staged, key)])
            except KeyExists:
                # Written a moment ago by somebody else, or before a crash: the same bytes, if they are all there.
                if store.size(key) != staged.size:
                    raise

    def _either(self, ask: Callable[[ObjectStore], Found]) -> Found:
        try:
            return ask(self.first)
        except ObjectRecalling:
            raise
        except (ObjectMissing, ObjectDamaged, ObjectStoreUnavailable) as error:
            try:
                found = ask(self.second)
            except ObjectStoreError:
                raise error from None
            log.warning("taken from the second store: %s", error)
            return found


class LateObjectStore:
    """A store that is built when it is first used: one that can't be built is one that is away. See ``port``."""

    def __init__(self, build: Callable[[], ObjectStore]) -> None:
        self._build = build
        self._built: ObjectStore | None = None

    def __getattr__(self, name: str) -> Any:
        if self._built is None:
            self._built = self._build()
        return getattr(self._built, name)


def _pieces_of(staged: Staged) -> Iterator[bytes]:
    for offset in range(0, staged.size, PIECE):
        yield staged.read_at(offset, PIECE)
