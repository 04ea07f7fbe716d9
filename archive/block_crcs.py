"""CRC-32 of each block of an object, kept with its row: whoever reads a range knows that it is what was received.

Blocks rather than frames, so that headers, bulk values, parts of frames and whole objects are checked by the same few
bytes; a range is read from the beginning of its first block to the end of its last. This finds what a medium, a
controller or a cable changes; it is no proof against somebody who may write both objects and rows (SHA-256 and the
trail are for that). Everything here is pure.
"""

from struct import Struct

from isal import isal_zlib

BLOCK = 64 << 10  # bytes; the last block of an object is shorter
_CRC = Struct(">I")


class BlockCrcs:
    """Counted while an object passes by in pieces of any length."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._crc = 0
        self._room = BLOCK

    def add(self, data: bytes | memoryview) -> None:
        """The next piece."""
        rest = memoryview(data).cast("B")
        while rest:
            part, rest = rest[: self._room], rest[self._room :]
            self._crc = isal_zlib.crc32(part, self._crc)
            self._room -= len(part)
            if not self._room:
                self._packed += _CRC.pack(self._crc)
                self._crc, self._room = 0, BLOCK

    def packed(self) -> bytes:
        """Four bytes a block, most significant first."""
        return bytes(self._packed) + (_CRC.pack(self._crc) if self._room < BLOCK else b"")


def crcs_of(data: bytes | memoryview) -> bytes:
    """Those of bytes that begin where a block does."""
    crcs = BlockCrcs()
    crcs.add(data)
    return crcs.packed()


def blocks_of(offset: int, length: int, size: int) -> tuple[int, int]:
    """Where the blocks begin and end that hold ``length`` bytes from ``offset`` of an object of ``size`` bytes."""
    return offset - offset % BLOCK, min(size, -(-(offset + length) // BLOCK) * BLOCK)


def fits(packed: bytes, begin: int, *parts: bytes) -> bool:
    """Whether ``parts``, joined, are the blocks from ``begin`` on of the object that ``packed`` was counted of.

    Both ends lie where blocks do, or the object itself ends.
    """
    crcs = BlockCrcs()
    for part in parts:
        crcs.add(part)
    counted, at = crcs.packed(), begin // BLOCK * _CRC.size
    return packed[at : at + len(counted)] == counted
