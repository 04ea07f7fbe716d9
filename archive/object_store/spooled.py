"""An object store that takes objects while its bucket is away: they are kept in a local folder and moved later.

Chosen by `PACS_STORE_WHEN_DOWN=spool`. What is acknowledged meanwhile is durable on this machine's disk, in one copy
and nowhere else: whoever chooses it believes that disk for the length of an outage. Other machines can't read it until
it has moved, unless they share the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import heapq
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from archive.object_store.errors import (
    KeyExists,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)
from archive.object_store.file import FileObjectStore
from archive.object_store.parts import read_parts
from archive.object_store.port import PIECE, ObjectStore, Staged

FOLDER = "spooled"  # in the data folder
MOVE_SECONDS = 2.0  # between two looks at whether what waits can move
log = logging.getLogger("archive.object_store")


@dataclass(frozen=True, slots=True)
class Kept:
    """How many objects wait in a folder, their bytes, and for how many seconds the oldest has; else nought."""

    objects: int = 0
    bytes: int = 0
    oldest_seconds: float = 0.0


def has_kept(folder: Path) -> bool:
    """Whether something waits there, kept by a process of before."""
    return any(path.is_file() for path in (folder / "objects").rglob("*"))


def kept_in(folder: Path) -> Kept:
    """What waits there now, as the disk tells: the store itself is not asked. Raises OSError."""
    objects = size = 0
    oldest = now = time.time()
    for place, _, names in os.walk(folder / "objects", onerror=_unless_absent):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # it has moved this instant
                found = os.stat(os.path.join(place, name))
                objects, size, oldest = objects + 1, size + found.st_size, min(oldest, found.st_mtime)
    return Kept(objects, size, now - oldest)


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


class SpooledObjectStore:
    """`inner`, and a folder for what it can't take now. See `port`.

    Without `keeping` it only reads and moves what waits there: the setting was another when that was acknowledged.
    """

    def __init__(self, inner: ObjectStore, folder: Path, *, keeping: bool = True) -> None:
        self.inner = inner
        self._keeping = keeping
        self._local = FileObjectStore(folder)
        self._objects = folder / "objects"
        self._lock_file = folder / "moving"
        self._mover: threading.Thread | None = None
        self._stuck: set[str] = set()  # what can't move, and is not tried again by this process
        self._lock = threading.Lock()
        if next(self._local.keys(), None) is not None:
            self._move_soon()

    def stage(self) -> Staged:
        return self.inner.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        try:
            self.inner.publish(items)
        except ObjectStoreUnavailable:
            if not self._keeping:
                raise
            self._keep(items)

    def put(self, key: str, data: bytes) -> None:
        try:
            self.inner.put(key, data)
        except ObjectStoreUnavailable:
            if not self._keeping:
                raise
            with contextlib.suppress(KeyExists):
                self._local.put(key, data)
            self._move_soon()

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if self._is_here(key):
            with contextlib.suppress(ObjectMissing):  # it has moved this instant
                return self._local.open_range(key, offset, length)
        return self.inner.open_range(key, offset, length)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if self._is_here(key):
            with contextlib.suppress(ObjectMissing):
                return self._local.read_range(key, offset, length)
        return self.inner.read_range(key, offset, length)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        if self._is_here(key):
            with contextlib.suppress(ObjectMissing):
                return self._local.read_parts(key, offset, lengths)
        return read_parts(self.inner, key, offset, lengths)

    def size(self, key: str) -> int:
        if self._is_here(key):
            with contextlib.suppress(ObjectMissing):
                return self._local.size(key)
        return self.inner.size(key)

    def delete(self, key: str) -> None:
        """From both: it may be in the bucket already, and here still."""
        self.inner.delete(key)
        self._local.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Those that wait here among them: they are objects like the others, which a rebuild has to find."""
        here = sorted(self._local.keys(prefix))
        for key, _ in groupby(heapq.merge(here, self.inner.keys(prefix))):
            yield key

    def check(self) -> None:
        self.inner.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        return self.inner.clear_staging(older_than_seconds) + self._local.clear_staging(older_than_seconds)

    def _is_here(self, key: str) -> bool:
        return os.path.exists(self._objects / key)

    def _keep(self, items: Sequence[tuple[Staged, str]]) -> None:
        """All of them here, durable when this returns; some may be in the bucket too, and are the same bytes."""
        with contextlib.ExitStack() as copies:
            moves: list[tuple[Staged, str]] = []
            for staged, key in items:
                copy = copies.enter_context(self._local.stage())
                for offset in range(0, staged.size, PIECE):
                    copy.write(staged.read_at(offset, PIECE))
                moves.append((copy, key))
            self._local.publish(moves)
        self._move_soon()

    def _move_soon(self) -> None:
        with self._lock:
            if self._mover is None or not self._mover.is_alive():
                self._mover = threading.Thread(target=self._move_all, name="object-mover", daemon=True)
                self._mover.start()

    def _move_all(self) -> None:
        """Until nothing waits. One process moves at a time; the others look whether it has died over it."""
        with self._lock_file.open("w") as lock:
            while self._go_on():
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._move_what_waits()
                time.sleep(MOVE_SECONDS)

    def _go_on(self) -> bool:
        """Whether something waits; if not, whoever keeps the next object has to start another mover."""
        with self._lock:
            try:
                waits = next(self._local.keys(), None) is not None
            except ObjectStoreError as error:
                log.warning("what was kept here can't be looked for: %s", error)
                return True
            if not waits:
                self._mover = None
            return waits

    def _move_what_waits(self) -> None:
        """All that can move: one object that can't doesn't keep the others here."""
        moved = 0
        try:
            self.inner.check()
            for key in set(self._local.keys()) - self._stuck:
                moved += self._moved(key)
        except ObjectStoreError as error:
            log.warning("what was kept here can't move to the object store yet: %s", error)
        if moved:
            log.warning("%s objects that were kept here have moved to the object store", moved)

    def _moved(self, key: str) -> bool:
        try:
            self._move(key)
        except (ObjectStoreUnavailable, ObjectStoreFull):
            raise
        except ObjectMissing:  # deleted this instant
            return False
        except ObjectStoreError as error:
            self._stuck.add(key)
            log.error("an object that was kept here can't move, and stays: %s", error)
            return False
        return True

    def _move(self, key: str) -> None:
        with self.inner.stage() as staged:
            for piece in self._local.open_range(key):
                staged.write(piece)
            staged.seal()
            try:
                self.inner.publish([(staged, key)])
            except KeyExists:
                # It came through before, as far as anybody knows: what lies here is the only one that surely is whole.
                if _digest(self.inner, key) != staged.sha256:
                    raise
        self._local.delete(key)


def _digest(store: ObjectStore, key: str) -> bytes:
    counted = hashlib.sha256()
    for piece in store.open_range(key):
        counted.update(piece)
    return counted.digest()
