"""Objects as files of a local or mounted file system."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from archive.object_store.errors import (
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)
from archive.object_store.founding import Founding
from archive.object_store.overlap import overlap
from archive.object_store.port import PIECE, Staged, checked_key, checked_prefix, checked_range
from archive.object_store.staging import FOLDER_MODE, StagedFile, clear_folder, write_error, write_errors

SYNC_THREADS = 8
_SETTLED_AT_MOST = 50_000
# a key below an object, or an object where a folder is, is as taken as the key itself
_TAKEN = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR})
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})


class FileObjectStore:
    """An object store below `root`: `staging/` for what is on its way, `objects/` for what is there. See `port`.

    Both must be on one file system, one that has hard links. Build a new one after a fork: it holds threads. With a
    `founding` its marker has to be there: asked for at the start, by `check`, where something is not found, and before
    a new folder is made, so never for a read or a write that goes well.
    """

    def __init__(self, root: Path, founding: Founding | None = None) -> None:
        self._founding = founding
        self._staging = root / "staging"
        self._objects = root / "objects"
        self._folder = f"{self._objects}/"  # reads are many, and text is put together sooner than paths
        self._settled: set[Path] = set()
        if founding is not None:
            founding.ensure()
        self._threads = ThreadPoolExecutor(SYNC_THREADS, thread_name_prefix="object-sync")
        with write_errors("cannot prepare the object store's folders"):
            for folder in (self._staging, self._objects):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            for folder in (root, root.parent):
                _sync_folder(folder)

    def stage(self) -> StagedFile:
        return StagedFile(self._staging, named=True)

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        moves = [(_own(staged), self._path(key), key) for staged, key in items]
        if not moves:
            return
        overlap(self._threads, _sync_bytes, moves)
        for staged, path, key in moves:
            self._link(staged, path, key)
        # until its folder is on disk too a name may be lost in a power cut, so nothing is acknowledged before this
        self._settle({path.parent for _, path, _ in moves})
        for staged, _, _ in moves:
            staged.unname()

    def put(self, key: str, data: bytes) -> None:
        with self.stage() as staged:
            staged.write(data)
            self.publish([(staged, key)])

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        checked_range(offset, length)
        if length is not None and length <= PIECE:
            data = self.read_range(key, offset, length)
            return iter((data,) if data else ())
        pieces = self._pieces(key, offset, length)
        next(pieces)  # runs it up to the first piece; from here on closing or dropping it closes the file
        return pieces

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        checked_range(offset, length)
        fd = self._open(key)
        try:
            _within(fd, key, offset, length)
            return _read_exactly(fd, key, offset, length)
        finally:
            os.close(fd)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        fd = self._open(key)
        try:
            _within(fd, key, offset, sum(lengths))
            starts = accumulate(lengths, initial=offset)
            parts = zip(starts, lengths, strict=False)
            return [_read_exactly(fd, key, start, length) if length else b"" for start, length in parts]
        finally:
            os.close(fd)

    def size(self, key: str) -> int:
        with self._read_errors(key):
            found = os.stat(self._path(key))
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(f"no object under {key}", key)
        return found.st_size

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            os.unlink(path)
            _sync_folder(path.parent)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise write_error(error, f"cannot delete {key}", key) from error
            self._expect(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """See `port`. A folder that can't be read keeps nobody from the others: its error is raised behind them."""
        folder = checked_prefix(prefix).rpartition("/")[0]
        unread: list[OSError] = []
        self._expect(prefix)
        with self._read_errors(prefix):
            yield from self._walk(folder + "/" if folder else "", prefix, unread)
            for error in unread:
                raise error

    def check(self) -> None:
        with write_errors("the object store is out of reach"), os.scandir(self._objects):
            pass
        if self._founding is not None:
            self._founding.ensure()
        # a full store is reachable: what it holds can still be read
        with contextlib.suppress(ObjectStoreFull), self.stage() as staged:
            staged.write(b"check")

    def clear_staging(self, older_than_seconds: float) -> int:
        return clear_folder(self._staging, older_than_seconds)

    def _expect(self, key: str) -> None:
        """Raise ObjectStoreUnavailable unless this is the store, and not what it would be mounted over."""
        if self._founding is not None and not self._founding.is_there():
            raise ObjectStoreUnavailable(self._founding.why(), key)
        if not self._objects.is_dir():
            raise ObjectStoreUnavailable(f"there is no folder {self._objects}", key)

    def _path(self, key: str) -> Path:
        return self._objects / checked_key(key)

    def _link(self, staged: StagedFile, path: Path, key: str) -> None:
        """Give the durable bytes their name, which fails if the name is taken, by whomever and at whatever moment."""
        try:
            try:
                os.link(staged.path, path)
            except FileNotFoundError:
                self._expect(key)
                path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                self._settled.discard(path.parent)
                os.link(staged.path, path)
        except OSError as error:
            if error.errno in _TAKEN:
                raise KeyExists(f"there is an object under {key} already", key) from error
            raise write_error(error, f"cannot publish {key}", key) from error

    def _settle(self, folders: set[Path]) -> None:
        """Make the names in `folders` durable, and the folders themselves up to the store's own.

        The folders above are written too the first time this process meets one, whoever made it: the process that did
        may not have come so far, and its power cut would be ours.
        """
        wanted = set(folders)
        for folder in folders - self._settled:
            wanted.update(above for above in folder.parents if above.is_relative_to(self._objects))
        with write_errors("cannot make published objects durable"):
            overlap(self._threads, _sync_folder, list(wanted))
        if len(self._settled) > _SETTLED_AT_MOST:
            self._settled.clear()
        self._settled.update(folders)

    def _pieces(self, key: str, offset: int, length: int | None) -> Iterator[bytes]:
        """Yield an empty piece once the first real one has been read, then the pieces."""
        fd = self._open(key)
        try:
            end = _within(fd, key, offset, length)
            piece = _read_exactly(fd, key, offset, min(PIECE, end - offset))
            yield b""
            while piece:
                offset += len(piece)
                yield piece
                piece = _read_exactly(fd, key, offset, min(PIECE, end - offset)) if offset < end else b""
        finally:
            os.close(fd)

    def _open(self, key: str) -> int:
        """A descriptor to read from, which the caller closes."""
        try:
            return os.open(f"{self._folder}{checked_key(key)}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._read_error(error, key) from error

    @contextlib.contextmanager
    def _read_errors(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._read_error(error, key) from error

    def _read_error(self, error: OSError, key: str) -> ObjectStoreError:
        # a volume that is not mounted must not look like one that lost its objects
        if error.errno in _ABSENT:
            try:
                self._expect(key)
            except ObjectStoreUnavailable as away:
                return away
            return ObjectMissing(f"no object under {key}", key)
        return ObjectStoreUnavailable(f"cannot read {key}: {error.strerror}", key)

    def _walk(self, folder: str, prefix: str, unread: list[OSError]) -> Iterator[str]:
        try:
            entries = os.scandir(self._objects / folder)
        except (FileNotFoundError, NotADirectoryError):
            self._expect(prefix)
            return
        except OSError as error:
            unread.append(error)
            return
        with entries:
            for entry in entries:
                key = folder + entry.name
                if entry.is_dir(follow_symlinks=False):
                    below = key + "/"
                    if below.startswith(prefix) or prefix.startswith(below):
                        yield from self._walk(below, prefix, unread)
                elif key.startswith(prefix):
                    yield key


def _own(staged: Staged) -> StagedFile:
    if not isinstance(staged, StagedFile):
        raise TypeError(f"only what this store staged can be published, found {type(staged).__name__}")
    staged.seal()
    return staged


def _sync_bytes(move: tuple[StagedFile, Path, str]) -> None:
    staged, _, key = move
    staged.sync(key)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _within(fd: int, key: str, offset: int, length: int | None) -> int:
    """The end of the range; ObjectDamaged if the object ends before it."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise ObjectMissing(f"no object under {key}", key)
    end = found.st_size if length is None else offset + length
    if max(offset, end) > found.st_size:
        raise ObjectDamaged(f"{key} has {found.st_size} bytes, expected at least {max(offset, end)}", key)
    return end


def _read_exactly(fd: int, key: str, offset: int, length: int) -> bytes:
    try:
        data = os.pread(fd, length, offset)
        while len(data) < length:  # one pread gives at most 2 GiB, and may give less whenever it likes
            more = os.pread(fd, length - len(data), offset + len(data))
            if not more:
                raise ObjectDamaged(f"{key} ended at byte {offset + len(data)}, expected {offset + length}", key)
            data += more
        return data
    except OSError as error:
        if error.errno == errno.EIO:
            raise ObjectDamaged(f"the medium cannot give back {key}: {error.strerror}", key) from error
        raise ObjectStoreUnavailable(f"cannot read {key}: {error.strerror}", key) from error
