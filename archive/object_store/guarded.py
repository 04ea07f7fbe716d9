"""An object store behind a circuit breaker: while it is away, nobody waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archive.object_store.breaker import Breaker
from archive.object_store.errors import ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.parts import read_parts
from archive.object_store.port import ObjectStore, Staged


class GuardedObjectStore:
    """`inner` with a breaker. See `port`; every method but `stage` may raise ObjectStoreUnavailable at once."""

    def __init__(self, inner: ObjectStore, name: str = "the object store") -> None:
        self.inner = inner
        self.breaker = Breaker(name, inner.check)

    def stage(self) -> Staged:
        return self.inner.stage()

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        with _Through(self.breaker):
            self.inner.publish(items)

    def put(self, key: str, data: bytes) -> None:
        with _Through(self.breaker):
            self.inner.put(key, data)

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        with _Through(self.breaker):
            return self.inner.open_range(key, offset, length)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        with _Through(self.breaker):
            return self.inner.read_range(key, offset, length)

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        with _Through(self.breaker):
            return read_parts(self.inner, key, offset, lengths)

    def size(self, key: str) -> int:
        with _Through(self.breaker):
            return self.inner.size(key)

    def delete(self, key: str) -> None:
        with _Through(self.breaker):
            self.inner.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        with _Through(self.breaker):
            return self.inner.keys(prefix)

    def check(self) -> None:
        with _Through(self.breaker):
            self.inner.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        with _Through(self.breaker):
            return self.inner.clear_staging(older_than_seconds)


class _Through:
    """One call: refused while the breaker is open, and counted. An error about one object is an answer."""

    __slots__ = ("_breaker",)

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker

    def __enter__(self) -> None:
        if self._breaker.open_since is not None:
            raise ObjectStoreUnavailable(f"{self._breaker.name} is away")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ObjectStoreUnavailable):
            self._breaker.failed()
        elif error is None or isinstance(error, ObjectStoreError):
            self._breaker.worked()
