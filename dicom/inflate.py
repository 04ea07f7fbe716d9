"""The data set of a deflated object (PS3.5 A.5), inflated under bounds."""

from __future__ import annotations

import zlib
from tempfile import SpooledTemporaryFile
from threading import Lock

from dicom.errors import DicomError, Malformed, TooComplex, Truncated
from dicom.limits import in_force
from dicom.preamble import read_meta
from dicom.source import ByteSource

# Small ones may do as they like
FREE = 16 * 1024 * 1024

_PIECE = 64 * 1024
_IN_MEMORY = 8 * 1024 * 1024


class InflatedSource:
    """The inflated data set, in memory or in a temporary file without a name. Whoever asked for it closes it."""

    def __init__(self, data_set_offset: int) -> None:
        self.deflated_offset = data_set_offset  # where the deflated stream begins in the object
        self.complete = True
        self._size = 0
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close()
        self._lock = Lock()

    @property
    def size(self) -> int:
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        with self._lock:  # seek and read belong together
            self._file.seek(offset)
            return self._file.read(length)

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> InflatedSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def inflate(source: ByteSource) -> InflatedSource:
    """The data set of a whole Part 10 object in Deflated Explicit VR Little Endian; byte 0 is its first element.

    Every offset that `part10.parse` gives for such an object counts in this stream. Raises `DicomError` if the stream
    is damaged, cut off, or inflates beyond all reason.
    """
    return inflate_from(source, read_meta(source).data_set_offset)


def inflate_from(source: ByteSource, start: int) -> InflatedSource:
    """As `inflate`, where the start of the deflated stream is known."""
    inflated = InflatedSource(start)
    try:
        _inflate(source, start, inflated)
    except (DicomError, MemoryError, OSError):
        inflated.close()
        raise
    return inflated


def _inflate(source: ByteSource, start: int, inflated: InflatedSource) -> None:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    limits = in_force()
    allowed = min(limits.inflated_bytes, max(FREE, (source.size - start) * limits.inflate_ratio))
    position = start
    while not stream.eof:
        data = stream.unconsumed_tail
        if not data:
            data = source.read_at(position, min(_PIECE, source.size - position))
            position += len(data)
            if not data:
                raise Truncated(f"the deflated data set is not over at byte {position}")
        try:
            inflated.write(stream.decompress(data, _PIECE))
        except zlib.error:
            raise Malformed(f"the deflated data set is damaged before byte {position}") from None
        if inflated.size > allowed:
            raise TooComplex(f"the deflated data set inflates to more than {allowed} bytes")
