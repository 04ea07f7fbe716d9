"""Neighbouring ranges of an object read together, each into bytes of its own: to cut it out of more would hold it
twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from archive.object_store.port import ObjectStore


def read_parts(store: ObjectStore, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
    """Ranges of these lengths, one behind the other from `offset`, in one request; stores that can do so do it
    themselves. ObjectMissing, ObjectDamaged."""
    own: Any = getattr(store, "read_parts", None)
    if own is not None:
        found: list[bytes] = own(key, offset, lengths)
        return found
    data = store.read_range(key, offset, sum(lengths))
    return cut(data, lengths)


def cut(data: bytes | memoryview, lengths: Sequence[int]) -> list[bytes]:
    """`data` in pieces of these lengths."""
    return [bytes(data[start:end]) for start, end in pairwise(accumulate(lengths, initial=0))]
