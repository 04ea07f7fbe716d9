"""An object store that takes objects while its bucket is away: they are kept in a local folder and moved later.

Chosen by `PACS_STORE_WHEN_DOWN=spool`. What is acknowledged meanwhile is durable on this machine's disk, in one copy
and nowhere else: whoever chooses it believes that disk for the length of an outage. Other machines can't read it until
it has moved, unless they share the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from archive.object_store.errors import KeyExists, ObjectMissing, ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.file import FileObjectStore
from archive.object_store.parts import read_parts
from archive.object_store.port import PIECE, ObjectStore, Staged

MOVE_SECONDS = 2.0  # between two looks at whether what waits can move
log = logging.getLogger("archive.object_store")


class SpooledObjectStore:
    """`inner`, and a folder for what it can't take now. See `port`."""

    def __init__(self, inner: ObjectStore, folder: Path) -> None:
        self.inner = inner
        self._local = FileObjectStore(folder)
        self._objects = folder / "objects"
        self._lock_file = folder / "moving"
        self._mover: threading.Thread | None = None
        self._lock = threading.Lock()
        if next(self._local.keys(), None) is not None:
            self._move_soon()

    def stage(self) -> Staged:
        return self.inner.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        try:
            self.inner.publish(items)
        except ObjectStoreUnavailable:
            self._keep(items)

    def put(self, key: str, data: bytes) -> None:
        try:
            self.inner.put(key, data)
        except ObjectStoreUnavailable:
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
        yield from self.inner.keys(prefix)

    def check(self) -> None:
        self.inner.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        return self.inner.clear_staging(older_than_seconds) + self._local.clear_staging(older_than_seconds)

    def waiting(self) -> int:
        """How many objects wait here."""
        return sum(1 for _ in self._local.keys(""))

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
            while next(self._local.keys(), None) is not None:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._move_what_waits()
                time.sleep(MOVE_SECONDS)

    def _move_what_waits(self) -> None:
        moved = 0
        try:
            for key in list(self._local.keys()):
                self._move(key)
                moved += 1
        except ObjectStoreError as error:
            log.warning("what was kept here can't move to the object store yet: %s", error)
        if moved:
            log.warning("%s objects that were kept here have moved to the object store", moved)

    def _move(self, key: str) -> None:
        with self.inner.stage() as staged:
            for piece in self._local.open_range(key):
                staged.write(piece)
            staged.seal()
            try:
                self.inner.publish([(staged, key)])
            except KeyExists:
                # Only a key's own bytes are ever written under it; a length says that they are all there.
                if self.inner.size(key) != staged.size:
                    raise
        self._local.delete(key)
