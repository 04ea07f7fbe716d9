"""Neighbouring ranges of an object read together, each into bytes of its own: to cut it out of more would hold it
twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Protocol, runtime_checkable

from archive.object_store.port import ObjectStore


@runtime_checkable
class ReadsParts(Protocol):
    """A store that can do so itself."""

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        """Ranges of these lengths, one behind the other from `offset`. ObjectMissing, ObjectDamaged."""


def read_parts(store: ObjectStore, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
    """The same of any store; in one request."""
    if isinstance(store, ReadsParts):
        return store.read_parts(key, offset, lengths)
    data = store.read_range(key, offset, sum(lengths))
    return cut(data, lengths)


def cut(data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
    """`data` in pieces of these lengths."""
    return [bytes(data[start:end]) for start, end in pairwise(accumulate(lengths, initial=0))]
