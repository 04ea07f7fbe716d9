"""Bytes on their way out of the object store, compared with what was received, its errors in the archive's words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from archive import recalls, verified
from archive.errors import ArchiveDamaged, ArchiveUnavailable
from archive.frame_cache import FrameCache
from archive.object_store.errors import ObjectDamaged, ObjectRecalling, ObjectStoreError
from audit.prepared import PreparedSql
from dicom.errors import DicomError
from dicom.inflate import InflatedSource, inflate

_LONG_CRCS = PreparedSql("""
    SELECT block_crcs FROM archive_instance WHERE object_key = %s AND block_crcs IS NOT NULL
    UNION ALL SELECT block_crcs FROM archive_representation WHERE object_key = %s AND block_crcs IS NOT NULL
""")
_CRCS_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Payload:
    """How many bytes, and how to open those from an offset. Nothing is read before it is opened.

    Whoever opens it reads to the end or closes what was opened; its first piece is in hand by then.
    """

    length: int
    part: Callable[[int, int], Iterator[bytes]]

    def open(self) -> Iterator[bytes]:
        """The pieces of the whole. Raises ``ArchiveUnavailable``."""
        return self.part(0, self.length)


def in_memory(data: bytes) -> Payload:
    """A payload of bytes that are there already."""
    return Payload(len(data), lambda offset, length: iter([data[offset : offset + length]]))


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A stored object, or its beginning up to ``end``, as a byte source for the parser (``dicom.part10.ByteSource``).

    ``crcs`` are those of its blocks (``archive.block_crcs``): None where nobody has counted them yet, b"" where they
    are too many to be read with the row, and are looked up.
    """

    key: str
    size: int
    crcs: bytes | memoryview | None
    end: int | None = None

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``, fewer only at the end. Raises ``ArchiveUnavailable``."""
        end = self.size if self.end is None else self.end
        return read_range(self, offset, max(0, min(length, end - offset)))

    def known(self) -> bytes | None:
        """The CRCs, looked up if need be."""
        if self.crcs is None:
            return None
        return bytes(self.crcs) if self.crcs else _long_crcs(self.key)


@cache
def _kept_crcs() -> FrameCache:
    """By the key of their object, which is written once: none ever has to be forgotten."""
    return FrameCache(_CRCS_BYTES)


def _long_crcs(key: str) -> bytes | None:
    def look_up() -> bytes:
        row = _LONG_CRCS.row((key, key))
        if row is None:
            raise ArchiveUnavailable("a stored object has moved, or was deleted, this moment")
        return bytes(row[0])

    return _kept_crcs().get(key, look_up) or None


def stored(source: StoredSource, offset: int, length: int) -> Payload:
    """A payload that is a range of an object."""
    return Payload(length, lambda start, count: open_range(source, offset + start, count))


def open_range(source: StoredSource, offset: int, length: int) -> Iterator[bytes]:
    """The pieces of a range, the first already read. Raises ``ArchiveUnavailable``, ``ArchiveDamaged``."""
    try:
        return verified.stream(source.key, source.size, source.known(), offset, length)
    except ObjectStoreError as error:
        raise _told(error) from error


def read_range(source: StoredSource, offset: int, length: int) -> bytes:
    """Exactly ``length`` bytes of an object. Raises ``ArchiveUnavailable``, ``ArchiveDamaged``."""
    try:
        return verified.read(source.key, source.size, source.known(), offset, length)
    except ObjectStoreError as error:
        raise _told(error) from error


def _told(error: ObjectStoreError) -> ArchiveUnavailable:
    if isinstance(error, ObjectDamaged):
        return ArchiveDamaged("a stored object is damaged; this has been noted")
    if isinstance(error, ObjectRecalling):
        return recalls.note(error.key)
    return ArchiveUnavailable("a stored object can't be read now")


def inflated(source: StoredSource) -> InflatedSource:
    """The inflated data set of a stored object in the deflated transfer syntax (PS3.5 A.5); the caller closes it.

    Raises ``ArchiveUnavailable``, also for an object that was sound when it was stored and is no more.
    """
    try:
        return inflate(source)
    except DicomError as error:
        raise ArchiveDamaged("a stored object is damaged") from error
