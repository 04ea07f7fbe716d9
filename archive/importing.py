"""Bulk import: every file that is found, through the one way in."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from archive.import_sources import Source
from archive.standstill import refuse_writing
from archive.store import Batching, Record, Stored, store
from audit import kinds
from audit.kinds import Outcome
from audit.record import NewAccessEvent, record


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one source."""

    source: Source
    stored: Stored


def import_all(candidates: Iterable[Source], record_batch: Record) -> Iterator[Imported]:
    """Store every candidate; yields what became of each, in order. A file that can't be read is refused, not fatal.

    Raises ``Standstill`` while nothing may be stored, also when that begins under way; and what ``store`` raises.
    """
    limits = settings.PACS.limits
    batching = Batching(
        limits.store_batch_instances,
        limits.store_batch_bytes,
        limits.store_part_bytes,
        limits.archive_bytes,
        settings.PACS.quota.sites,
    )
    under_way: deque[Source] = deque()

    def objects() -> Iterator[Iterator[bytes]]:
        for source in candidates:
            refuse_writing()
            under_way.append(source)
            yield source.pieces()

    for stored in store(objects(), batching=batching, record=record_batch):
        yield Imported(under_way.popleft(), stored)


def record_import(batch: Sequence[Stored]) -> None:
    """The record of an import at the command line, inside the transaction that makes the batch visible."""
    kept = [s for s in batch if s.failure_reason is None]
    event = NewAccessEvent(
        kind=kinds.IMPORT,
        principal_kind="system",
        principal_name="command line",
        auth_method="shell",
        study_uids=sorted({s.study_instance_uid for s in kept}),
        instance_count=len(kept),
        bytes=sum(s.size for s in kept),
        outcome=Outcome.SUCCESS if len(kept) == len(batch) else Outcome.MINOR_FAILURE,
    )
    record([event])
