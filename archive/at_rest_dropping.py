"""A representation takes the place of what was received: only where the policy says so, and after a second comparison.

Every frame of both objects is decoded and compared once more, just before. Then one transaction switches the instance's
row, writes down both hashes (``DroppedOriginal``, a row that stays) and an access event; the original's object goes to
the sweep with the grace period of a deletion.
"""

import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from isal import igzip

from archive import copying, outbox
from archive.at_rest_equal import Differs, Equal, compare, is_intact
from archive.errors import ArchiveUnavailable, NotFound, NotRenderable
from archive.holds import REPLACED, held_studies
from archive.index import METADATA_DELAY
from archive.locate import Located, locate_by_pk
from archive.models import DeletedObject, DroppedOriginal, Instance, MetadataFragment, Representation, Series
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from archive.outbox import Wish
from archive.representations import forget
from audit import kinds
from audit.record import NewAccessEvent, record
from dicom.errors import DicomError

log = logging.getLogger("archive.at_rest")

# What the trail, and the row of the old object, say of who did it.
_TRANSCODED = REPLACED
# After this time it is looked again whether a legal hold still keeps the originals.
_HELD_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class _Proved:
    """An original and the representation that was compared with it just now."""

    original: Located
    representation: Representation
    equal: Equal


def drop_originals(series_pk: int, *, until: float | None = None) -> tuple[int, float | None]:
    """Let representations of a series that are old enough take the place of their originals.

    Returns how many did, and after how many seconds there is more to do. Raises ``ArchiveUnavailable``.
    """
    if held_studies().filter(series=series_pk).exists():
        return 0, _HELD_SECONDS
    age = timedelta(days=settings.PACS.at_rest.drop_after_days)
    waiting = Representation.objects.filter(
        instance__series=series_pk, exact=True, source_sha256=F("instance__object_sha256")
    ).order_by("instance_id", "made_at")
    first_of = {row.instance_id: row for row in reversed(waiting.filter(made_at__lte=Now() - age))}
    proved: list[_Proved] = []
    again: float | None = None
    for representation in first_of.values():
        if until is not None and proved and time.monotonic() >= until:
            again = 0.0
            break
        found = _prove(representation)
        if found is not None:
            proved.append(found)
    dropped = _switch(series_pk, proved) if proved else 0
    if again is None:
        youngest = waiting.filter(made_at__gt=Now() - age).order_by("made_at").first()
        if youngest is not None:
            again = max(1.0, (youngest.made_at + age - timezone.now()).total_seconds())
    return dropped, again


def _prove(representation: Representation) -> _Proved | None:
    """Compare every frame; a representation that doesn't stand it is let go, and made again.

    Where the original itself is no longer what was received, both are let be.
    """
    try:
        located = locate_by_pk(representation.instance_id)
    except Instance.DoesNotExist:
        return None
    original = replace(located, held=())
    key, size = representation.object_key, representation.object_size
    try:
        if not is_intact(original):
            log.error("a stored object is missing or damaged, and not dropped: %s", original.object_key)
            return None
        equal = compare(original, key, size, bytes(representation.object_sha256))
    except (Differs, NotRenderable, NotFound, DicomError, ObjectMissing, ObjectDamaged) as error:
        log.warning("a representation is not what it was: %s: %s", key, error)
        for held in located.held:
            if held.pk == representation.pk:
                forget(held, located.series_pk)
        return None
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the object store can't be reached now") from error
    return _Proved(original, representation, equal) if equal.exact else None


def _switch(series_pk: int, proved: list[_Proved]) -> int:
    grace = timedelta(days=settings.PACS.delete_grace_days)
    dropped: list[_Proved] = []
    with transaction.atomic():
        if Series.objects.select_for_update().filter(pk=series_pk).first() is None:
            return 0
        if held_studies().filter(series=series_pk).exists():
            return 0
        for each in proved:
            # One that somebody has let go meanwhile is the sweep's.
            still = Representation.objects.select_for_update().filter(pk=each.representation.pk).first()
            if still is None or not _switch_row(each):
                continue
            old, new = each.original, each.equal.frames.instance
            DroppedOriginal.objects.create(
                sop_instance_uid=old.sop_instance_uid,
                study_instance_uid=old.study_instance_uid,
                transfer_syntax_uid=old.transfer_syntax.uid,
                object_key=old.object_key,
                object_size=old.object_size,
                object_sha256=old.object_sha256,
                stored_transfer_syntax_uid=new.transfer_syntax.uid,
                stored_sha256=new.object_sha256,
                number_of_frames=each.equal.frames.count,
                changed=each.representation.changed,
                verified_at=Now(),
            )
            # A sweep that took it for an orphan while it was being stored may have noted it.
            DeletedObject.objects.update_or_create(
                object_key=old.object_key,
                defaults={
                    "sha256": old.object_sha256,
                    "size": old.object_size,
                    "sweep_after": Now() + grace,
                    "deleted_by": _TRANSCODED,
                },
            )
            each.representation.delete()
            copying.wish_copy(old.pk)
            dropped.append(each)
        if dropped:
            _tell(series_pk, dropped)
    return len(dropped)


def _switch_row(each: _Proved) -> bool:
    """The instance's row is that of the new object from now on, if it is still that of the old one."""
    parsed, new = each.equal.parsed, each.equal.frames.instance
    if parsed.pixels is None or parsed.frames is None:
        return False
    bulk = {path: [b.vr, b.offset, b.length] for path, b in parsed.bulk.items()}
    rows = Instance.objects.filter(pk=each.original.pk, object_key=each.original.object_key)
    return bool(
        rows.update(
            transfer_syntax_uid=new.transfer_syntax.uid,
            object_key=new.object_key,
            object_size=new.object_size,
            object_sha256=new.object_sha256,
            header_length=new.header_length,
            pixels=asdict(parsed.pixels),
            frame_table=parsed.frames.pack(),
            bulk=bulk or None,
            block_crcs=new.block_crcs,
        )
    )


def _tell(series_pk: int, dropped: list[_Proved]) -> None:
    """Metadata name the transfer syntax; the trail names who is answerable, which is the policy."""
    Series.objects.filter(pk=series_pk).update(version=F("version") + 1, updated_at=Now())
    MetadataFragment.objects.create(
        series_id=series_pk,
        instance_ids=[each.original.pk for each in dropped],
        lines=igzip.compress(b"\n".join(each.equal.parsed.json_text for each in dropped), 1),
    )
    outbox.wish([Wish(outbox.SERIES_METADATA, str(series_pk), METADATA_DELAY)])
    event = NewAccessEvent(
        kind=kinds.DELETE_INSTANCES,
        principal_kind="system",
        principal_name=_TRANSCODED,
        study_uids=sorted({each.original.study_instance_uid for each in dropped}),
        instance_count=len(dropped),
        bytes=sum(each.original.object_size for each in dropped),
        outcome_description="originals replaced by lossless representations, every frame compared",
    )
    record([event])
