"""Where each frame of an instance lies in its Part 10 object (PS3.5 8.1, A.4)."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from struct import Struct

_NATIVE = Struct("<cQQQ")
_ENCAPSULATED = Struct("<cII")
_OFFSET, _INDEX = Struct("<Q"), Struct("<I")


@dataclass(frozen=True, slots=True)
class FrameRange:
    """`length` bytes from `offset` of the Part 10 object (of the inflated data set if it is deflated)."""

    offset: int
    length: int


class FrameTable:
    """The byte ranges of every frame. Frames are counted from 1.

    Packed, native frames take 25 bytes however many they are; encapsulated ones 12 bytes a fragment, and 4 more a frame
    where frames have several. An unpacked table keeps its packed bytes and looks up only what is asked for.
    """

    __slots__ = ("_bits", "_packed", "count")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._bits = 0
        if packed[:1] == b"N":
            _, _, self._bits, self.count = _NATIVE.unpack(packed)
        elif packed[:1] == b"E":
            _, self.count, fragments = _ENCAPSULATED.unpack_from(packed)
            expected = _ENCAPSULATED.size + fragments * 12 + (0 if fragments == self.count else self.count * 4)
            if len(packed) != expected:
                raise ValueError(f"a frame table of {expected} bytes was expected, found {len(packed)}")
        else:
            raise ValueError("no frame table")

    @classmethod
    def native(cls, offset: int, frame_bits: int, count: int) -> FrameTable:
        """`count` frames of `frame_bits` bits each, one after the other from byte `offset` without any gap."""
        return cls(_NATIVE.pack(b"N", offset, frame_bits, count))

    @classmethod
    def encapsulated(cls, offsets: array[int], lengths: array[int], first: array[int] | None = None) -> FrameTable:
        """Fragments, and for each frame the index of its first one; None where every frame is one fragment."""
        count = len(offsets) if first is None else len(first)
        starts = b"" if first is None or count == len(offsets) else first.tobytes()
        head = _ENCAPSULATED.pack(b"E", count, len(offsets))
        return cls(head + offsets.tobytes() + lengths.tobytes() + starts)

    @classmethod
    def unpack(cls, data: bytes) -> FrameTable:
        """The table that `pack` wrote; ValueError if it is none."""
        return cls(bytes(data))

    def pack(self) -> bytes:
        """The table as bytes, to be stored."""
        return self._packed

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame; 0 if encapsulated."""
        return self._bits

    def bit_offset(self, number: int) -> int:
        """Bits before the frame in the first byte of its range: 0 but for frames that do not start on a byte."""
        self._check(number)
        return (number - 1) * self._bits % 8

    def ranges(self, number: int) -> tuple[FrameRange, ...]:
        """The ranges whose bytes, joined, hold the frame; IndexError if there is no such frame."""
        self._check(number)
        if self._bits or self._packed[:1] == b"N":
            _, start, bits, _ = _NATIVE.unpack(self._packed)
            first, last = (number - 1) * bits // 8, (number * bits + 7) // 8
            return (FrameRange(start + first, last - first),)
        _, count, fragments = _ENCAPSULATED.unpack_from(self._packed)
        if count == fragments:
            return (self._fragment(number - 1, fragments),)
        starts = _ENCAPSULATED.size + fragments * 12
        begin = _INDEX.unpack_from(self._packed, starts + (number - 1) * 4)[0]
        end = fragments if number == count else _INDEX.unpack_from(self._packed, starts + number * 4)[0]
        return tuple(self._fragment(index, fragments) for index in range(begin, end))

    def extract_frame(self, data: bytes, number: int) -> bytes:
        """The frame alone from the bytes of its ranges: 1-bit frames are shifted to begin in bit 0 (PS3.5 8.1.1)."""
        shift = self.bit_offset(number)
        odd = self._bits % 8
        if not shift and not odd:
            return data
        value = int.from_bytes(data, "little") >> shift
        return (value & ((1 << self._bits) - 1)).to_bytes((self._bits + 7) // 8, "little")

    def _fragment(self, index: int, fragments: int) -> FrameRange:
        offset = _OFFSET.unpack_from(self._packed, _ENCAPSULATED.size + index * 8)[0]
        length = _INDEX.unpack_from(self._packed, _ENCAPSULATED.size + fragments * 8 + index * 4)[0]
        return FrameRange(offset, length)

    def _check(self, number: int) -> None:
        if not 1 <= number <= self.count:
            raise IndexError(f"frame {number} of {self.count}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameTable) and self._packed == other._packed

    def __hash__(self) -> int:
        return hash(self._packed)
