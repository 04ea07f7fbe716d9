"""Bytes in memory as a `ByteSource`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A value that came with the metadata itself."""

    data: bytes

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end."""
        return self.data[offset : offset + length]
