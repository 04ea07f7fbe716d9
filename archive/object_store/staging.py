"""Objects on their way in: a local file, hashed while it is written."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from archive.object_store.errors import ObjectStoreError, ObjectStoreFull, ObjectStoreUnavailable
from archive.object_store.writeback import hasten

FILE_MODE = 0o640
FOLDER_MODE = 0o750
_PIECE = 256 * 1024
# The kernel is told to write whenever there is so much more, and at the end if there is so much at all: of a small
# object it would write no sooner.
_HASTEN = 1 << 20
_WORTH_IT = 128 * 1024
_PAGE = 4096
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_error(error: OSError, what: str, key: str = "") -> ObjectStoreError:
    """The port's error for a failed write to the local file system."""
    kind = ObjectStoreFull if error.errno in _NO_ROOM else ObjectStoreUnavailable
    return kind(f"{what}: {error.strerror}", key)


@contextlib.contextmanager
def write_errors(what: str, key: str = "") -> Iterator[None]:
    """Translate OSError inside the block into ObjectStoreFull or ObjectStoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise write_error(error, what, key) from error


class StagedFile:
    """A staged object in `folder`; see `port.Staged`.

    A lock on the file tells a living upload from what a killed process left (`clear_staging`). With `named` false the
    name is taken away at once, so that a killed process leaves nothing at all; only linking into place needs a name,
    and only what is linked has to be on the disk itself.
    """

    def __init__(self, folder: Path, *, named: bool) -> None:
        self.path = folder / uuid.uuid4().hex
        self._hash: Any = hashlib.sha256()
        self._size = 0
        # Up to where the kernel was told to write, and what it said to that; nothing is hastened without a name.
        self._hastened = self._failed = 0
        self._named = named
        self._sealed = False
        self._fd = -1
        with write_errors("cannot stage an object"):
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not named:
                    os.unlink(self.path)
            except OSError:
                self.discard()
                raise

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> bytes:
        return self._hash.digest() if self._hash is not None else self._counted_again()

    def write(self, data: bytes | memoryview) -> None:
        if self._sealed or self._fd < 0:
            raise ValueError("a sealed or discarded object takes no more bytes")
        rest = memoryview(data).cast("B")
        if self._hash is not None:
            self._hash.update(rest)
        with write_errors("cannot stage an object"):
            while rest:
                written = os.write(self._fd, rest)
                self._size += written
                rest = rest[written:]
        if self._size - self._hastened >= _HASTEN:
            self.hasten()

    def hasten(self) -> None:
        """Have the kernel write what is there, so that `sync`, which tells of what fails, waits for less."""
        length = self._size - self._hastened
        if self._named and self._fd >= 0 and length >= _WORTH_IT and not self._failed:
            self._failed = hasten(self._fd, self._hastened, length)
            self._hastened = self._size

    def reserve(self, length: int) -> None:
        """Leave room for `length` bytes at the beginning, which `fill` writes once they are known.

        The hash is then counted when it is asked for.
        """
        self._hash = None
        self.write(bytes(length))
        # These pages are written once they are filled.
        self._hastened = -(-length // _PAGE) * _PAGE

    def fill(self, data: bytes) -> None:
        """Write what room was left for."""
        if self._fd < 0:
            raise ValueError("a discarded object takes no more bytes")
        with write_errors("cannot stage an object"):
            written = os.pwrite(self._fd, data, 0)
        if written != len(data):
            raise ObjectStoreFull("cannot stage an object: its beginning was cut short")

    def seal(self) -> None:
        self._sealed = True
        self.hasten()

    def read_at(self, offset: int, length: int) -> bytes:
        if self._fd < 0:
            raise ValueError("a discarded object has no bytes")
        data = os.pread(self._fd, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]  # one pread gives at most 2 GiB, and may give less whenever it likes
        while data and (length := length - len(data)):
            offset += len(data)
            data = os.pread(self._fd, length, offset)
            pieces.append(data)
        return b"".join(pieces)

    def _counted_again(self) -> bytes:
        counted = hashlib.sha256()
        for begin in range(0, self._size, _PIECE):
            counted.update(self.read_at(begin, min(_PIECE, self._size - begin)))
        return counted.digest()

    def sync(self, key: str) -> None:
        """Make the bytes durable, to be published under `key`.

        A failed fsync is never tried again: the kernel may have dropped the pages.
        """
        if self._fd < 0:
            raise ValueError("a discarded object cannot be published")
        with write_errors(f"cannot make {key} durable", key):
            if self._failed:
                raise OSError(self._failed, os.strerror(self._failed))
            os.fsync(self._fd)

    def unname(self) -> None:
        """Take the staging name away; the bytes stay readable here, and under every other name they have."""
        with write_errors("cannot remove a staged object"), contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def discard(self) -> None:
        self._sealed = True
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                self.unname()
            finally:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def clear_folder(folder: Path, older_than_seconds: float) -> int:
    """Remove files staged in `folder` by processes that are gone; returns how many.

    Age alone would hit a slow upload, the lock alone one that was created this instant and is not locked yet.
    """
    oldest = time.time() - older_than_seconds
    removed = 0
    with write_errors("cannot look for abandoned objects"), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                if entry.stat().st_mtime > oldest:
                    continue
                fd = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)
                    removed += 1
                finally:
                    os.close(fd)
    return removed
