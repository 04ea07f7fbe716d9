"""Stored objects read again for the index: the header where facts tell size and hash, else every byte."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.conf import settings

from archive.block_crcs import BlockCrcs
from archive.index_rows import StoredObject
from archive.object_store import object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectRecalling
from dicom.errors import DicomError
from dicom.part10 import ParsedInstance, parse

# Requests to S3 under way at a time, of one process.
_AT_ONCE: Final = 8
# What is wrong with one object; all else is wrong with the store, and ends the run.
UNREAD: Final = (ObjectMissing, ObjectDamaged, ObjectRecalling, DicomError)
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Unread:
    """An object that can't be indexed now: ``kind`` is ``missing``, ``cold`` or ``broken``, ``text`` names it."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class _Source:
    """An object as a byte source for the parser, as it lies there."""

    key: str
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        return object_store().read_range(self.key, offset, max(0, min(length, self.size - offset)))


def header(key: str, size: int) -> ParsedInstance:
    """The scan of an object that has ``size`` bytes. Raises ``DicomError``, ``ObjectStoreError``."""
    found = object_store().size(key)
    if found != size:
        raise ObjectDamaged(f"{key} has {found} bytes, expected {size}", key)
    return parse(_Source(key, size))


def known_object(said: Mapping[str, Any]) -> StoredObject | Unread:
    """The object of an instance of which facts tell size and hash."""
    key, size = said["object_key"], said["object_size"]
    try:
        parsed = header(key, size)
    except UNREAD as error:
        return unread(key, error)
    if parsed.sop_instance_uid != said["sop_instance_uid"]:
        return Unread("broken", f"{key}: it is another instance than facts say")
    crcs = said.get("block_crcs")
    return StoredObject(parsed, key, size, _bytes(said["object_sha256"]), _bytes(crcs) if crcs else b"")


def whole_object(key: str) -> StoredObject | Unread:
    """An object of which nothing is known: all of it is read and hashed."""
    digest, crcs, size = hashlib.sha256(), BlockCrcs(), 0
    try:
        for piece in object_store().open_range(key):
            digest.update(piece)
            crcs.add(piece)
            size += len(piece)
        parsed = parse(_Source(key, size))
    except UNREAD as error:
        return unread(key, error)
    return StoredObject(parsed, key, size, digest.digest(), crcs.packed())


def unread(key: str, error: Exception) -> Unread:
    """Why an object is left out."""
    kinds: dict[type[Exception], str] = {ObjectMissing: "missing", ObjectRecalling: "cold"}
    return Unread(kinds.get(type(error), "broken"), f"{key}: {error}")


def many(read: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """``read`` of each, in order; several at a time where the store is far away."""
    if settings.PACS.object_store != "s3":
        yield from map(read, items)
        return
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="rebuild") as threads:
        yield from threads.map(read, items)


def _bytes(text: str) -> bytes:
    """``bytea`` as JSON of PostgreSQL has it."""
    return bytes.fromhex(text.removeprefix("\\x"))
