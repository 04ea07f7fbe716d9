"""Where the bytes of an object come from, read in blocks."""

from __future__ import annotations

from typing import Protocol

from dicom.errors import Truncated

FIRST_BLOCK = 64 * 1024
LARGEST_BLOCK = 1024 * 1024


class ByteSource(Protocol):
    """Random access to the bytes of one object."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only at the end."""
        ...


class Window:
    """The block of a source that is in memory: `data` begins at byte `base` of the object."""

    __slots__ = ("_block", "base", "data", "size", "source")

    def __init__(self, source: ByteSource) -> None:
        self.source = source
        self.size = source.size
        self.base = 0
        self.data = source.read_at(0, min(FIRST_BLOCK, self.size))
        self._block = FIRST_BLOCK

    def hold(self, offset: int, length: int) -> None:
        """Bring `length` bytes from `offset` into `data`, or as many as there are.

        The caller bounds `length`; what it claims beyond the end is never asked for.
        """
        if self.base <= offset and offset + length <= self.base + len(self.data):
            return
        wanted = min(max(length, self._block), self.size - offset)
        self._block = min(self._block * 2, LARGEST_BLOCK)
        self.base, self.data = offset, self.source.read_at(offset, wanted)
        if len(self.data) < min(length, wanted):
            raise Truncated(f"the object ends at byte {offset + len(self.data)} of {self.size}")

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end of the object."""
        self.hold(offset, length)
        start = offset - self.base
        return self.data[start : start + length]
