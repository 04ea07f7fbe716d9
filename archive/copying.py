"""Objects brought into the second store (``archive.object_store.copies``): by a task soon after they came, and all that
an archive has when it gets a second store.

What is copied is compared with the SHA-256 of what was received on its way, so that damage is never copied. Safe to
repeat at any moment: a row (``SecondCopy``) is written after the copy is durable.
"""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection, transaction

from archive import damage, outbox
from archive.errors import ArchiveUnavailable
from archive.models import Instance, SecondCopy
from archive.object_store import object_store
from archive.object_store.copies import CopiedObjectStore
from archive.object_store.errors import (
    KeyExists,
    ObjectDamaged,
    ObjectMissing,
    ObjectRecalling,
    ObjectStoreError,
    ObjectStoreUnavailable,
)
from archive.object_store.key_service import KeyDestroyed
from archive.object_store.port import ObjectStore
from archive.outbox import Wish

log = logging.getLogger("archive.copying")

_UNCOPIED = """
    FROM archive_instance i LEFT JOIN archive_secondcopy c ON c.instance = i.id AND c.object_key = i.object_key
    WHERE c.instance IS NULL
"""
_STEP = 200


@dataclass(frozen=True, slots=True)
class Received:
    """An object as its row says it came."""

    instance: int
    key: str
    size: int
    sha256: bytes


def second_store() -> CopiedObjectStore | None:
    """The two stores as one; None where there is no second."""
    store = object_store()
    return store if isinstance(store, CopiedObjectStore) else None


def copy_series(subject: str) -> None:
    """The task: bring what the series with this primary key has into the second store. Raises ``ArchiveUnavailable``.

    An object that is damaged, or lies where it has to be recalled from, is left out; the scrub finds both.
    """
    both = second_store()
    if both is None:
        return
    after = 0
    while rows := _rows("AND i.series_id = %s AND i.id > %s ORDER BY i.id LIMIT %s", [int(subject), after, _STEP]):
        after = rows[-1].instance
        _copy(both, rows)
        outbox.progress(outbox.COPY_SERIES, subject)


def copy_all() -> Iterator[int]:
    """Bring all that isn't there into the second store, in steps; yields how many objects each has copied.

    Raises ``ArchiveUnavailable``; the next call goes on where this one ended.
    """
    both = second_store()
    after = 0
    while both is not None and (rows := _rows("AND i.id > %s ORDER BY i.id LIMIT %s", [after, _STEP])):
        after = rows[-1].instance
        yield _copy(both, rows)
    if both is not None:
        yield _copy_others(both)


def wish_copy(instance: int) -> None:
    """In the transaction that gave an instance another object: that one is copied too."""
    if second_store() is None:
        return
    series = Instance.objects.filter(pk=instance).values_list("series_id", flat=True)
    outbox.wish([Wish(outbox.COPY_SERIES, str(pk)) for pk in series])


def waiting() -> int:
    """How many objects of instances are not in the second store, or not known to be."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) {_UNCOPIED}")
        [(count,)] = cursor.fetchall()
    return int(count)


def copy_one(both: CopiedObjectStore, row: Received) -> None:
    """The object into the second store, unless it lies there as it was received; what lies there otherwise goes first.

    Raises ``ObjectStoreError``: ``ObjectDamaged`` where the first store has not what was received.
    """
    try:
        lies_there = both.second.size(row.key) == row.size and digest(both.second, row.key) == row.sha256
    except (ObjectMissing, ObjectDamaged):
        lies_there = False
    if lies_there:
        return
    both.copy_over(row.key, row.sha256, anew=True)


def copied(rows: list[Received]) -> None:
    """Write down that these are in the second store."""
    SecondCopy.objects.bulk_create(
        [SecondCopy(instance=row.instance, object_key=row.key) for row in rows],
        update_conflicts=True,
        unique_fields=["instance"],
        update_fields=["object_key", "made_at"],
    )


def digest(store: ObjectStore, key: str) -> bytes:
    """SHA-256 of what lies under ``key``. Raises ``ObjectStoreError``."""
    counted = hashlib.sha256()
    for piece in store.open_range(key):
        counted.update(piece)
    return counted.digest()


def _rows(condition: str, values: list[int]) -> list[Received]:
    columns = "SELECT i.id, i.object_key, i.object_size, i.object_sha256"
    with connection.cursor() as cursor:
        cursor.execute(f"{columns} {_UNCOPIED} {condition}", values)
        return [Received(pk, key, size, bytes(sha256)) for pk, key, size, sha256 in cursor.fetchall()]


def _copy(both: CopiedObjectStore, rows: list[Received]) -> int:
    done: list[Received] = []
    try:
        for row in rows:
            try:
                copy_one(both, row)
            except (ObjectRecalling, KeyDestroyed):
                continue
            except (ObjectMissing, ObjectDamaged) as error:
                damage.note(row.key, error)
                continue
            done.append(row)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("one of the two object stores can't be reached now") from error
    finally:
        with transaction.atomic():
            copied(done)
    return len(done)


def _copy_others(both: CopiedObjectStore) -> int:
    """What belongs to no instance, and has been put since the walk began."""
    count = 0
    try:
        there = set(both.second.keys("facts/"))
        for key in both.first.keys("facts/"):
            if key not in there:
                try:
                    both.copy_over(key)
                    count += 1
                except (ObjectMissing, KeyExists):  # replaced, or written, this moment
                    continue
    except ObjectStoreUnavailable as error:
        raise ArchiveUnavailable("one of the two object stores can't be reached now") from error
    return count
