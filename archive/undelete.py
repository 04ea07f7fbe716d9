"""Undelete: the instances of a study that were deleted, and not yet swept, come in again by the one way in."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Greatest, Now

from archive.errors import NotFound, UnreadableObject
from archive.holds import held_objects
from archive.models import DeletedObject
from archive.object_store import recalled
from archive.object_store.errors import ObjectDamaged, ObjectMissing
from archive.store import Batching, Stored, store
from archive.sweep import ORPHAN_GRACE
from audit import kinds
from audit.kinds import Outcome
from audit.record import NewAccessEvent, record

# No sweep removes what is being brought back.
_RESERVED = timedelta(days=1)
SHELL: Final = "command line"


def returnable() -> QuerySet[DeletedObject]:
    """What can be brought back: its grace period is not over, or a legal hold keeps it beyond."""
    return DeletedObject.objects.filter(Q(sweep_after__gt=Now()) | held_objects())


def undelete(study_instance_uid: str, actor: str = SHELL) -> Iterator[Stored]:
    """Store the deleted instances of a study again, byte for byte; yields what became of each.

    Of several deleted under one SOP Instance UID the last is taken. What has been stored anew under such a UID in the
    meantime stays, and is refused here. ``actor`` is who the trail says did it. Raises ``NotFound`` when nothing of the
    study can be brought back, ``ArchiveUnavailable``, ``ArchiveFull``; safe to repeat.
    """
    rows = _reserved(study_instance_uid)
    if not rows:
        raise NotFound("nothing of this study was deleted and is not yet swept")
    keys = {row.sop_instance_uid: row.object_key for row in rows}

    def settle(batch: Sequence[Stored]) -> None:
        kept = [s for s in batch if s.failure_reason is None]
        # Their bytes live on in new objects.
        DeletedObject.objects.filter(object_key__in=[keys[s.sop_instance_uid] for s in kept]).update(
            study_instance_uid="",
            series_instance_uid="",
            sop_instance_uid="",
            sweep_after=Now() + ORPHAN_GRACE,
            deleted_by="undelete",
        )
        _record(study_instance_uid, actor, batch, kept)

    limits = settings.PACS.limits
    batching = Batching(limits.store_batch_instances, limits.store_batch_bytes, max(row.size for row in rows))
    yield from store((_pieces(row) for row in rows), batching=batching, record=settle)


def _reserved(study_instance_uid: str) -> list[DeletedObject]:
    rows = returnable().filter(study_instance_uid=study_instance_uid)
    with transaction.atomic():
        rows.update(sweep_after=Greatest("sweep_after", Now() + _RESERVED))
    last = {row.sop_instance_uid: row for row in rows.order_by("deleted_at", "pk")}
    return sorted(last.values(), key=lambda row: (row.series_instance_uid, row.pk))


def _pieces(row: DeletedObject) -> Iterator[bytes]:
    """The object's bytes; what is no longer as it was received is refused."""
    digest = hashlib.sha256()
    try:
        for piece in recalled(row.object_key).open_range(row.object_key):
            digest.update(piece)
            yield piece
    except (ObjectMissing, ObjectDamaged) as error:
        raise UnreadableObject(f"instance {row.sop_instance_uid}: its object can't be read any more") from error
    if digest.digest() != bytes(row.sha256):
        raise UnreadableObject(f"instance {row.sop_instance_uid}: its object has not the bytes that were received")


def _record(study_instance_uid: str, actor: str, batch: Sequence[Stored], kept: Sequence[Stored]) -> None:
    event = NewAccessEvent(
        kind=kinds.STORE,
        principal_kind="system",
        principal_name=actor,
        auth_method="shell" if actor == SHELL else "",
        study_uids=[study_instance_uid],
        instance_count=len(kept),
        bytes=sum(s.size for s in kept),
        outcome=Outcome.SUCCESS if len(kept) == len(batch) else Outcome.MINOR_FAILURE,
        outcome_description="brought back after a deletion",
    )
    record([event])
