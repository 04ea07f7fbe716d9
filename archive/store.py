"""The one way in: a stream of bytes becomes a durable object, then a visible instance (PS3.18 10.5, PS3.4 annex B).

Bytes first, index second, news last. The object is durable before its row is committed, so a row never points at
nothing; an object whose row was never committed is an orphan that nobody can see.
"""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from django.db import InterfaceError, NotSupportedError, OperationalError
from psycopg.errors import DeadlockDetected, FeatureNotSupported, SerializationFailure

from archive.errors import ArchiveUnavailable
from archive.index import Indexed, index
from archive.index_rows import StoredObject, trimmed
from archive.intake import (
    COERCION,
    DUPLICATE_SOP_INSTANCE,
    NOT_AUTHORIZED,
    OUT_OF_RESOURCES,
    Received,
    Stored,
    Terms,
    receive,
    translated,
)
from archive.object_store import new_key, object_store
from archive.object_store.errors import ObjectStoreError, ObjectStoreUnavailable
from archive.object_store.overlap import Beside
from archive.object_store.port import ObjectStore
from archive.quota import check_quota, without_room
from archive.site_quota import without_room_at
from audit.prepared import PreparedSql

__all__ = ["Batching", "Record", "Stored", "store"]

log = logging.getLogger("archive.store")

# PostgreSQL ends one of two transactions that wait for each other; the one that was ended just has to come again. So
# has one that met a plan from before a migration: it knows none after the rollback.
COLLISIONS = (DeadlockDetected, SerializationFailure, FeatureNotSupported)
ATTEMPTS = 5
# Bytes of memory that one byte of metadata costs until its batch is written.
_METADATA_WEIGHT = 8
# A batch of so many bytes at the most becomes durable while its rows are written, before they are committed: the locks
# of its studies are held meanwhile.
_BESIDE_BYTES = 32 << 20
# A refusal takes no room worth speaking of until its batch is recorded, which costs a transaction.
_MOST_REFUSALS = 4096


# The array is read within: by a parameter itself PostgreSQL expects few rows of few UIDs, and plans it anew each time.
_KNOWN = PreparedSql("""
    SELECT i.sop_instance_uid, s.study_instance_uid, ARRAY(
        WITH RECURSIVE same (sha256) AS (
            SELECT i.object_sha256 UNION
            SELECT d.object_sha256 FROM archive_droppedoriginal d JOIN same ON d.stored_sha256 = same.sha256
            WHERE d.sop_instance_uid = i.sop_instance_uid)
        SELECT sha256 FROM same)
    FROM archive_instance i JOIN archive_series e ON e.id = i.series_id JOIN archive_study s ON s.id = e.study_id
    WHERE i.sop_instance_uid = ANY(ARRAY(SELECT unnest(%s::text[])))
""")


@dataclass(frozen=True, slots=True)
class Batching:
    """How much is gathered before it is made durable and visible together, and how large one object may be.

    ``archive_bytes`` is the quota of the whole archive, 0 for none; ``site_bytes`` those of sites, by Institution Name.
    """

    instances: int
    total_bytes: int
    object_bytes: int
    archive_bytes: int = 0
    site_bytes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is in the archive under a SOP Instance UID: the hash of what was received, and its study.

    Where a representation took the place of that (``DroppedOriginal``), it may be sent again in either form.
    """

    hashes: frozenset[bytes]
    study_instance_uid: str


Record = Callable[[Sequence[Stored]], None]


def store(
    objects: Iterable[Iterable[bytes]],
    *,
    batching: Batching,
    record: Record,
    study_instance_uid: str | None = None,
    permitted: Callable[[str, str], bool] = lambda study_instance_uid, sop_class_uid: True,
) -> Iterator[Stored]:
    """Store each of ``objects`` (the pieces of one Part 10 object), in order; yields one ``Stored`` for each.

    ``study_instance_uid`` refuses objects of other studies (PS3.18 10.5.1.1), ``permitted`` those of studies and SOP
    classes that the caller may not add. ``record`` is called with the outcome of each batch, inside the transaction
    that makes it visible; it may be called again if that transaction has to be repeated. Raises ``ArchiveUnavailable``
    or ``ArchiveFull`` when a batch could not be stored; batches before it stay. An error raised by ``objects`` itself
    discards what is not yet durable. Objects that the quota leaves no room for are refused one by one; where there is
    no room at all ``ArchiveFull`` is raised before the first.
    """
    check_quota(batching.archive_bytes)
    keeper = object_store()
    terms = Terms(batching.object_bytes, study_instance_uid, permitted, batching.archive_bytes, batching.site_bytes)
    batch: list[Received | Stored] = []
    waiting = gathered = 0
    try:
        for pieces in objects:
            item = receive(keeper, pieces, terms)
            batch.append(item)
            if isinstance(item, Received):
                waiting += 1
                # Metadata wait in memory: those of a deflated object can be far larger than the object itself.
                gathered += item.staged.size + _METADATA_WEIGHT * len(item.parsed.json_text)
            full = waiting >= batching.instances or gathered >= batching.total_bytes
            if full or len(batch) >= _MOST_REFUSALS:
                yield from _flush(keeper, batch, record, terms)
                batch, waiting, gathered = [], 0, 0
        if batch:
            yield from _flush(keeper, batch, record, terms)
    finally:
        for item in _received(batch):
            item.discard()


def _received(batch: Sequence[Received | Stored]) -> list[Received]:
    return [item for item in batch if isinstance(item, Received)]


def _flush(keeper: ObjectStore, batch: Sequence[Received | Stored], record: Record, terms: Terms) -> list[Stored]:
    """Make a batch durable, then visible; a failure leaves nothing of it visible."""
    try:
        return _commit(keeper, batch, record, terms)
    except ObjectStoreError as error:
        raise translated(error) from error
    except (OperationalError, InterfaceError) as error:
        log.warning("the index can't be reached: %s", type(error).__name__)
        raise ArchiveUnavailable("the index can't be reached now; nothing of this batch is confirmed") from error
    finally:
        for item in _received(batch):
            item.discard()


def _commit(keeper: ObjectStore, batch: Sequence[Received | Stored], record: Record, terms: Terms) -> list[Stored]:
    received = _received(batch)
    known = known_objects(item.uid for item in received)
    fresh: dict[str, Received] = {}
    for item in received:
        if item.uid not in known:
            fresh.setdefault(item.uid, item)
    for text, full in _over_quota(terms, fresh):
        batch = [
            item.refused(OUT_OF_RESOURCES, text) if isinstance(item, Received) and item.uid in full else item
            for item in batch
        ]
        fresh = {uid: item for uid, item in fresh.items() if uid not in full}
    folder = datetime.now(UTC).strftime("instances/%Y/%m/%d/%H-%M")
    keys = {uid: new_key(f"{folder}/{uuid4().hex}.dcm") for uid in fresh}
    objects = [
        StoredObject(i.parsed, keys[uid], i.staged.size, i.staged.sha256, i.block_crcs) for uid, i in fresh.items()
    ]
    results: list[Stored] = []

    def settle(indexed: Indexed) -> None:
        there = known | {
            uid: _Known(frozenset([fresh[uid].staged.sha256]), fresh[uid].parsed.study_instance_uid)
            for uid in indexed.created
        }
        results[:] = [
            item if isinstance(item, Stored) else _settled(item, fresh.get(item.uid) is item, indexed, there, terms)
            for item in batch
        ]
        published.done()
        record(results)

    def attempt(first: bool) -> Indexed:
        if not first:
            known.update(known_objects(keys))
        return index([o for o in objects if o.uid not in known], settle)

    moves = [(item.staged, keys[uid]) for uid, item in fresh.items()]
    with _unless_indexed(keeper, keys.values()):
        if sum(item.staged.size for item in fresh.values()) > _BESIDE_BYTES:
            keeper.publish(moves)
            moves = []
        with Beside(lambda: keeper.publish(moves)) as published:
            indexed = _with_patience(attempt)
    # Another writer was first with these; this copy was never visible.
    _remove(keeper, [keys[uid] for uid in keys.keys() - indexed.created])
    return results


def _over_quota(terms: Terms, fresh: Mapping[str, Received]) -> Iterator[tuple[str, set[str]]]:
    """The objects that a quota leaves no room for, by what is said of them; asks nothing where there is no quota."""
    full = without_room(terms.archive_bytes, {uid: item.staged.size for uid, item in fresh.items()})
    if full:
        yield f"the archive's quota of {terms.archive_bytes} bytes leaves no room for it", full
    if terms.site_bytes:
        sites = {
            uid: (trimmed(item.parsed.values["InstitutionName"]), item.staged.size)
            for uid, item in fresh.items()
            if uid not in full
        }
        if over := without_room_at(terms.site_bytes, sites):
            yield "the quota of this institution leaves no room for it", over


def _with_patience(call: Callable[[bool], Indexed]) -> Indexed:
    """Call until no other writer is in the way, with whether it is the first time; raises what the last one raised."""
    for attempt in range(1, ATTEMPTS):
        try:
            return call(attempt == 1)
        except (OperationalError, NotSupportedError) as error:
            if not isinstance(error.__cause__, COLLISIONS):
                raise
            log.info("%s in attempt %s; trying again", type(error.__cause__).__name__, attempt)
            time.sleep(random.uniform(0, 0.1 * attempt))  # noqa: S311 - spreads the writers, guards nothing
    return call(False)


@contextlib.contextmanager
def _unless_indexed(keeper: ObjectStore, keys: Iterable[str]) -> Iterator[None]:
    """Remove objects that surely no row points at; where it isn't known whether the commit came through they stay."""
    try:
        yield
    except (OperationalError, InterfaceError, ObjectStoreUnavailable):
        raise
    except Exception:  # not KeyboardInterrupt and its like: they may come just after the commit
        _remove(keeper, keys)
        raise


def _remove(keeper: ObjectStore, keys: Iterable[str]) -> None:
    for key in keys:
        try:
            keeper.delete(key)
        except ObjectStoreError as error:
            log.warning("an object that nothing points at could not be removed: %s", error)


def known_objects(uids: Iterable[str]) -> dict[str, _Known]:
    """What is in the archive under those of the SOP Instance UIDs that are in the index."""
    wanted = list(uids)
    rows = _KNOWN.rows([wanted]) if wanted else []
    return {uid: _Known(frozenset(map(bytes, hashes)), study) for uid, study, hashes in rows}


def _settled(item: Received, first: bool, indexed: Indexed, there: dict[str, _Known], terms: Terms) -> Stored:
    """What became of an object: new, the same bytes again (fine), or other bytes under a known UID (refused).

    ``first`` is true for the object of the batch that was offered to the index under its UID.
    """
    if first and item.uid in indexed.created:
        if item.uid not in indexed.patient_mismatch:
            return item.kept()
        text = "the study is already known under another Patient ID (0010,0020) or issuer; it stays with that patient"
        return item.warned(COERCION, text)
    known = there[item.uid]
    if not terms.permitted(known.study_instance_uid, item.parsed.sop_class_uid):
        # That the UID exists in somebody else's study is none of the caller's business.
        return item.refused(NOT_AUTHORIZED, "you may not store this instance")
    if item.staged.sha256 in known.hashes:
        return item.kept(duplicate=True)
    text = "a different object is stored under this SOP Instance UID (0008,0018); nothing was overwritten"
    return item.refused(DUPLICATE_SOP_INSTANCE, text)
