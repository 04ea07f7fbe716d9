"""The port between the archive and wherever its objects lie. Every object is written once and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from archive.object_store.errors import InvalidKey

PIECE = 1024 * 1024  # bytes; the largest piece a stream hands out
LONGEST_KEY = 512  # characters; S3 allows 1024 for prefix and key together
_SEGMENT = r"[a-z0-9_-][a-z0-9._-]{0,199}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_PREFIX = re.compile(r"[a-z0-9/._-]*")


def checked_key(key: str) -> str:
    """Return `key` if it is a relative path of lower-case segments; InvalidKey otherwise.

    Keys are made by the archive and never come from a data set, so a refusal here is a defect upstream, not bad input.
    """
    if not is_key(key):
        raise InvalidKey(f"not an object key: {key[:LONGEST_KEY]!r}", key)
    return key


def is_key(name: str) -> bool:
    """Whether an object of ours may have this name: what else lies in a store is somebody else's."""
    return len(name) <= LONGEST_KEY and ".." not in name and _KEY.fullmatch(name) is not None


def checked_prefix(prefix: str) -> str:
    """Return `prefix` if it may begin a key; InvalidKey otherwise. It is matched as text, not by folder."""
    if len(prefix) > LONGEST_KEY or ".." in prefix or prefix.startswith("/") or not _PREFIX.fullmatch(prefix):
        raise InvalidKey(f"not the beginning of an object key: {prefix[:LONGEST_KEY]!r}", prefix)
    return prefix


def checked_range(offset: int, length: int | None) -> None:
    """ValueError unless offset and length (bytes) are at least 0."""
    if offset < 0 or (length is not None and length < 0):
        raise ValueError(f"a byte range begins at 0 and counts forward, found offset {offset} and length {length}")


class Staged(Protocol):
    """Bytes on their way in, invisible until published. Also a byte source for the DICOM parser.

    It holds one file descriptor until discarded; who stages it discards it, best with `with`.
    """

    @property
    def size(self) -> int:
        """Bytes written so far."""

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the bytes written so far (32 bytes), counted while they were written."""

    def write(self, data: bytes | memoryview) -> None:
        """Append. ObjectStoreFull, ObjectStoreUnavailable; ValueError once sealed or discarded."""

    def seal(self) -> None:
        """Allow no more writes. Idempotent."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from `offset`; fewer than `length` only at the end. Safe from several threads."""

    def discard(self) -> None:
        """Remove what was staged and free its descriptor. Idempotent; harmless to what was published from it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectStore(Protocol):
    """Write-once objects under keys. Safe from several threads; every method may raise ObjectStoreUnavailable."""

    def stage(self) -> Staged:
        """A new private place to write one object to. ObjectStoreFull."""

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        """Put each staged object under its key; all are durable and complete when this returns.

        Nothing shows under a key before its bytes are durable. If one fails its error is raised with its `key`; others
        may have been published by then and are left to the sweep, since no row points at them.
        Raises KeyExists, ObjectStoreFull, InvalidKey.
        """

    def put(self, key: str, data: bytes) -> None:
        """Publish a small object from memory; the rules and errors of `publish`."""

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream `length` bytes from `offset` (to the end if None) in pieces of at most 1 MiB.

        The first piece is in hand when this returns, so that ObjectMissing and ObjectDamaged (the range ends past the
        object) come before any answer is begun. The stream frees what it holds when exhausted, closed or dropped.
        """

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`. ObjectMissing, ObjectDamaged."""

    def size(self, key: str) -> int:
        """Bytes of the object. ObjectMissing."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens if there is none."""

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every key that begins with `prefix`, in no promised order, in constant memory."""

    def check(self) -> None:
        """Raise ObjectStoreUnavailable unless objects can be reached. A full store is reachable."""

    def clear_staging(self, older_than_seconds: float) -> int:
        """Remove what processes that have died left behind half written; returns how many. Live uploads are kept."""
