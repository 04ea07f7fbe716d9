"""Bytes on their way out of the object store, with its errors told in the archive's words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archive.errors import ArchiveUnavailable
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from dicom.errors import DicomError
from dicom.inflate import InflatedSource, inflate


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


def stored(key: str, offset: int, length: int) -> Payload:
    """A payload that is a range of an object."""
    return Payload(length, lambda start, count: open_range(key, offset + start, count))


def open_range(key: str, offset: int, length: int) -> Iterator[bytes]:
    """The pieces of a range, the first already read. Raises ``ArchiveUnavailable``."""
    try:
        return object_store().open_range(key, offset, length)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("a stored object can't be read now") from error


def read_range(key: str, offset: int, length: int) -> bytes:
    """Exactly ``length`` bytes of an object. Raises ``ArchiveUnavailable``."""
    try:
        return object_store().read_range(key, offset, length)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("a stored object can't be read now") from error


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A stored object as a byte source for the parser (``dicom.part10.ByteSource``)."""

    key: str
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from ``offset``, fewer only at the end. Raises ``ArchiveUnavailable``."""
        return read_range(self.key, offset, max(0, min(length, self.size - offset)))


def inflated(key: str, size: int) -> InflatedSource:
    """The inflated data set of a stored object in the deflated transfer syntax (PS3.5 A.5); the caller closes it.

    Raises ``ArchiveUnavailable``, also for an object that was sound when it was stored and is no more.
    """
    try:
        return inflate(StoredSource(key, size))
    except DicomError as error:
        raise ArchiveUnavailable("a stored object is damaged") from error
