"""A Part 10 object laid out for writing: small values in memory, bulk data as references (PS3.5 7, PS3.10 7).

Explicit VR Little Endian, which is what every transfer syntax of compressed pixels is written in as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack
from typing import Protocol

from dicom.errors import TooComplex, Truncated
from dicom.preamble import PREFIX_OFFSET
from dicom.source import ByteSource
from dicom.vrs import LONG, UNDEFINED, describe

# Stays the same for all versions, as PS3.7 D.3.3.2 wants it of one implementation; from a random UUID (PS3.5 B.2)
IMPLEMENTATION_CLASS_UID = "2.25.120377584943392221046722982421128968478"
IMPLEMENTATION_VERSION_NAME = "LIGHTBOX"

PIECE = 1024 * 1024
LONGEST_SHORT = 0xFFFE
LONGEST = 0xFFFFFFFE
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class Sink(Protocol):
    """Where an object is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of the bytes."""
        ...


class Layout:
    """Elements in the order they are added. `inline` counts the bytes that are held in memory, `copied` the others."""

    def __init__(self) -> None:
        self.inline = 0
        self.copied = 0
        self._buffer = bytearray()
        self._pieces: list[bytes | ByteSource] = []

    def add(self, data: bytes) -> None:
        """Bytes as they are."""
        self._buffer += data
        self.inline += len(data)

    def header(self, tag: int, vr: str, length: int) -> None:
        """The header of an element. A value too long for a short VR makes it UN (PS3.5 6.2.2)."""
        if length > LONGEST and length != UNDEFINED:
            raise TooComplex(f"{describe(tag)}: {length} bytes, at most {LONGEST} can be written in one value")
        code = vr.encode()
        if code not in LONG and length > LONGEST_SHORT:
            code = b"UN"
        head = pack("<HH", tag >> 16, tag & 0xFFFF) + code
        self.add(head + (pack("<HI", 0, length) if code in LONG else pack("<H", length)))

    def element(self, tag: int, vr: str, value: bytes) -> None:
        """An element with its value, which has an even length."""
        self.header(tag, vr, len(value))
        self.add(value)

    def start_sequence(self, tag: int, vr: str = "SQ") -> None:
        """A sequence, or encapsulated pixel data, that `end_sequence` closes."""
        self.header(tag, vr, UNDEFINED)

    def end_sequence(self) -> None:
        self._delimiter(_SEQUENCE_END, 0)

    def start_item(self, length: int = UNDEFINED) -> None:
        """An item or fragment of `length` bytes, or one that `end_item` closes."""
        self._delimiter(_ITEM, length)

    def end_item(self) -> None:
        self._delimiter(_ITEM_END, 0)

    def copy(self, source: ByteSource, padding: bytes = b"\0") -> None:
        """All bytes of a source, padded to an even number."""
        self._pieces.append(bytes(self._buffer))
        self._pieces.append(source)
        self.copied += source.size
        self._buffer = bytearray()
        self.add(padding if source.size & 1 else b"")

    def write(self, sink: Sink) -> int:
        """Write everything in pieces of at most 1 MiB; how many bytes that were. Raises `Truncated` for a source that
        has fewer bytes than it said.
        """
        written = 0
        for data in self.chunks():
            sink.write(data)
            written += len(data)
        return written

    @property
    def size(self) -> int:
        """Bytes that will be written."""
        return self.inline + self.copied

    def chunks(self) -> Iterator[bytes]:
        """Everything in pieces of at most 1 MiB. Raises `Truncated` as `write` does."""
        for piece in (*self._pieces, bytes(self._buffer)):
            size = len(piece) if isinstance(piece, bytes) else piece.size
            for offset in range(0, size, PIECE):
                length = min(PIECE, size - offset)
                if isinstance(piece, bytes):
                    yield piece[offset : offset + length]
                    continue
                data = piece.read_at(offset, length)
                if len(data) != length:
                    raise Truncated(f"the bulk data ends at byte {offset + len(data)} of {size}")
                yield data

    def _delimiter(self, tag: int, length: int) -> None:
        self.add(pack("<HHI", tag >> 16, tag & 0xFFFF, length))


def even(size: int) -> int:
    """The size with its padding."""
    return size + size % 2


def frame_offsets(sources: Sequence[ByteSource]) -> list[int]:
    """Where the item of each frame begins, from the first item behind the Basic Offset Table (PS3.5 A.4)."""
    offsets, position = [], 0
    for source in sources:
        offsets.append(position)
        position += 8 + even(source.size)
    return offsets


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """An empty preamble, the prefix and the File Meta Information (PS3.10 7.1)."""
    group = Layout()
    group.element(0x00020001, "OB", b"\0\1")
    uids = (
        (0x00020002, sop_class_uid),
        (0x00020003, sop_instance_uid),
        (0x00020010, transfer_syntax_uid),
        (0x00020012, IMPLEMENTATION_CLASS_UID),
    )
    for tag, uid in uids:
        group.element(tag, "UI", uid.encode() + b"\0" * (len(uid) % 2))
    group.element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME.encode())
    meta = b"".join(group.chunks())
    length = Layout()
    length.element(0x00020000, "UL", pack("<I", len(meta)))
    return b"\0" * PREFIX_OFFSET + b"DICM" + b"".join(length.chunks()) + meta
