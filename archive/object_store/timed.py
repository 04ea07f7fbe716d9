"""The object store with its time and its failures counted; what it does is the store's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from archive.object_store.errors import (
    ObjectDamaged,
    ObjectMissing,
    ObjectRecalling,
    ObjectStoreFull,
    ObjectStoreUnavailable,
)
from archive.object_store.parts import read_parts
from archive.object_store.port import ObjectStore, Staged
from telemetry.metrics import STORE_ERRORS
from telemetry.spans import store

# Error -> what it is called in `pacs_store_errors_total`.
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (ObjectStoreFull, "full"),
    (ObjectStoreUnavailable, "unavailable"),
    (ObjectMissing, "missing"),
    (ObjectDamaged, "damaged"),
)


class _Call:
    """Around each call; it holds nothing, so that all threads use the same one."""

    def __enter__(self) -> None:
        store.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        store.__exit__(kind, error, trace)
        # That an object has to be recalled is no failure.
        if error is not None and not isinstance(error, ObjectRecalling):
            for each, word in _KINDS:
                if isinstance(error, each):
                    STORE_ERRORS.labels(word).inc()
                    break


_call = _Call()


class TimedObjectStore:
    """See `port`. Pieces of a stream after the first aren't timed: how long they take is up to who reads them."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        # What a store has beside the port.
        return getattr(self.inner, name)

    def stage(self) -> Staged:
        with _call:
            return self.inner.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        with _call:
            self.inner.publish(items)

    def put(self, key: str, data: bytes) -> None:
        with _call:
            self.inner.put(key, data)

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with _call:
            return self.inner.open_range(key, offset, length)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        with _call:
            return self.inner.read_range(key, offset, length)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        with _call:
            return read_parts(self.inner, key, offset, lengths)

    def size(self, key: str) -> int:
        with _call:
            return self.inner.size(key)

    def delete(self, key: str) -> None:
        with _call:
            self.inner.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        with _call:
            return self.inner.keys(prefix)

    def check(self) -> None:
        with _call:
            self.inner.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        return self.inner.clear_staging(older_than_seconds)
