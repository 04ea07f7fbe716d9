"""One object read from one store and compared with its row: SHA-256, length, the CRCs of its blocks, its identity."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

from archive.block_crcs import BlockCrcs
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectRecalling, ObjectStoreError
from archive.object_store.key_service import KeyUnavailable
from archive.object_store.port import ObjectStore
from archive.object_store.reach import check_holder
from custody.integrity.models import Kind
from dicom.errors import DicomError
from dicom.part10 import parse

_ROWS = """
    SELECT i.id, i.object_key, i.object_size, i.object_sha256, i.block_crcs, i.sop_instance_uid, i.sop_class_uid,
        i.transfer_syntax_uid, e.series_instance_uid, s.study_instance_uid, i.series_id, i.header_length
    FROM archive_instance i JOIN archive_series e ON e.id = i.series_id JOIN archive_study s ON s.id = e.study_id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """An instance as the index has it."""

    pk: int
    key: str
    size: int
    sha256: bytes
    crcs: bytes | None
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str
    series: int
    header_length: int


@dataclass(frozen=True, slots=True)
class Examined:
    """``kind`` is empty for what is as it was received; then ``crcs`` are those of its blocks."""

    kind: str
    detail: str = ""
    crcs: bytes = b""


def rows(condition: str, values: Sequence[str | int]) -> list[Row]:
    """The instances that ``condition``, from WHERE on, finds."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_ROWS} {condition}", values)
        return [
            Row(pk, key, size, bytes(sha256), None if crcs is None else bytes(crcs), *more)
            for pk, key, size, sha256, crcs, *more in cursor.fetchall()
        ]


def examine(store: ObjectStore, key: str, size: int, sha256: bytes) -> Examined:
    """Read the whole object. Raises ``ObjectStoreError``: the store is away, or the object can't be read for now.

    What can't be read twice, while the store says that it is there, is ``UNREADABLE``.
    """
    try:
        return _examined(store, key, size, sha256)
    except (ObjectRecalling, KeyUnavailable):
        raise
    except ObjectStoreError:
        check_holder(store, key)
    try:
        return _examined(store, key, size, sha256)
    except ObjectStoreError as error:
        check_holder(store, key)
        return Examined(Kind.UNREADABLE, str(error))


def _examined(store: ObjectStore, key: str, size: int, sha256: bytes) -> Examined:
    digest, crcs, length = hashlib.sha256(), BlockCrcs(), 0
    try:
        for piece in store.open_range(key):
            digest.update(piece)
            crcs.add(piece)
            length += len(piece)
    except ObjectMissing:
        return Examined(Kind.MISSING)
    except ObjectDamaged as error:
        return Examined(_shorter(store, key, size), f"after {length} bytes: {type(error).__name__}")
    if length < size:
        return Examined(Kind.TRUNCATED, f"{length} bytes of {size}")
    if digest.digest() != sha256:
        return Examined(Kind.ALTERED, f"{length} bytes with another SHA-256")
    return Examined("", crcs=crcs.packed())


def disagreement(store: ObjectStore, row: Row) -> str:
    """What the index says other than the object, which is as it was received; "" for nothing."""
    try:
        parsed = parse(_Source(store, row.key, row.size))
    except DicomError:
        return "it can't be parsed any more"
    return ", ".join(_differences(row, parsed))


def _differences(row: Row, parsed: object) -> Iterator[str]:
    for name in (
        "sop_instance_uid",
        "sop_class_uid",
        "transfer_syntax_uid",
        "series_instance_uid",
        "study_instance_uid",
        "header_length",
    ):
        if getattr(parsed, name) != getattr(row, name):
            yield name


def _shorter(store: ObjectStore, key: str, size: int) -> str:
    try:
        return Kind.TRUNCATED if store.size(key) < size else Kind.ALTERED
    except ObjectMissing:
        return Kind.MISSING
    except ObjectDamaged:
        return Kind.ALTERED


@dataclass(frozen=True, slots=True)
class _Source:
    store: ObjectStore
    key: str
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        return self.store.read_range(self.key, offset, max(0, min(length, self.size - offset)))
