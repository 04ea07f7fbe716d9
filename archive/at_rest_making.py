"""One representation: written frame by frame under a key of its own, read back, compared, and only then a row.

Safe to be ended at any moment: what was written before the row is an orphan that the sweep removes, and the beginning
of each try is written down before the first frame is decoded, so that an instance that takes its worker with it again
and again is found out and left alone.
"""

import logging
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from archive.at_rest_equal import Differs, Equal, compare
from archive.errors import ArchiveDamaged, ArchiveUnavailable, NotFound, NotRenderable
from archive.locate import Located, locate_by_pk
from archive.models import Instance, Representation, Series, TranscodingAttempt
from archive.object_store import new_key, object_store
from archive.object_store.errors import ObjectMissing, ObjectStoreError
from archive.object_store.port import Staged
from archive.transcoding import transcode
from dicom.errors import DicomError
from dicom.pixels import PixelDescription
from dicom.transfer_syntaxes import TransferSyntax

log = logging.getLogger("archive.at_rest")

# A try that fails may have been somebody else's fault, one who killed a codec for instance. So far apart are two.
TRIES = 3
RETRY_AFTER = timedelta(seconds=60)
_KEYWORDS = {
    "photometric_interpretation": "PhotometricInterpretation",
    "planar_configuration": "PlanarConfiguration",
    "number_of_frames": "NumberOfFrames",
}
_BEGIN = """
    INSERT INTO archive_transcodingattempt (instance_id, transfer_syntax_uid, tries, outcome, reason, size, updated_at)
    SELECT id, %(syntax)s, 1, '', '', 0, statement_timestamp() FROM archive_instance WHERE id = %(pk)s
    ON CONFLICT (instance_id, transfer_syntax_uid) DO UPDATE SET
        tries = archive_transcodingattempt.tries + 1, updated_at = statement_timestamp()
    RETURNING tries
"""


class Outcome(StrEnum):
    """What became of one instance; the last three are written down."""

    GONE = "gone"
    LATER = "later"
    MADE = "made"
    LARGER = "larger"
    FAILED = "failed"


class _Larger(Exception):
    """As many bytes as the original has are written already."""


class _TooLong(Exception):
    """The time that it may take is over."""


def represent(pk: int, target: TransferSyntax, *, seconds: float | None = None) -> Outcome:
    """Make the representation of one instance in ``target``.

    ``seconds`` is the longest that it may take. Raises ``ArchiveUnavailable`` for what is no fault of the instance; the
    try doesn't count then, nor where the caller is interrupted.
    """
    tries = _begin(pk, target)
    if not tries:
        return Outcome.GONE
    if tries > TRIES:
        return _settle(pk, target, Outcome.FAILED, f"whoever transcoded it was lost {TRIES} times over it")
    try:
        instance = replace(locate_by_pk(pk), held=())
        return _make(instance, target, time.monotonic() + seconds if seconds else None)
    except Instance.DoesNotExist:
        return Outcome.GONE
    except _Larger:
        return _settle(pk, target, Outcome.LARGER, "it would not be smaller than the original", instance.object_size)
    except _TooLong:
        reason = f"it takes longer than {seconds:g} seconds; ./pacs transcode takes its time"
        return _settle(pk, target, Outcome.FAILED, reason)
    except (NotRenderable, NotFound, Differs, DicomError) as error:
        reason = str(error) or type(error).__name__
        if tries < TRIES:
            log.info("instance %s is tried again: %s", instance.sop_instance_uid, reason)
            return Outcome.LATER
        return _settle(pk, target, Outcome.FAILED, reason)
    except (ArchiveUnavailable, ObjectStoreError) as error:
        if isinstance(error, ArchiveDamaged) or _is_lost(instance):
            return _settle(pk, target, Outcome.FAILED, "its object is missing from the object store, or damaged")
        _take_back(pk, target)
        if isinstance(error, ArchiveUnavailable):
            raise
        raise ArchiveUnavailable("the object store can't be reached now") from error
    except (KeyboardInterrupt, SystemExit):
        _take_back(pk, target)
        raise


def _begin(pk: int, target: TransferSyntax) -> int:
    """Which try this is, 0 for an instance that is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, {"pk": pk, "syntax": target.uid})
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _is_lost(instance: Located) -> bool:
    """Whether it is the instance's own object that can't be read; the others needn't wait for it."""
    try:
        return object_store().size(instance.object_key) != instance.object_size
    except ObjectMissing:
        return True
    except ObjectStoreError:
        return False


def _take_back(pk: int, target: TransferSyntax) -> None:
    rows = TranscodingAttempt.objects.filter(instance=pk, transfer_syntax_uid=target.uid)
    rows.update(tries=F("tries") - 1, updated_at=Now() - RETRY_AFTER)


def _settle(pk: int, target: TransferSyntax, outcome: Outcome, reason: str, size: int = 0) -> Outcome:
    """Write down that it isn't tried again."""
    rows = TranscodingAttempt.objects.filter(instance=pk, transfer_syntax_uid=target.uid)
    rows.update(outcome=outcome, reason=reason[:500], size=size, updated_at=Now())
    return outcome


def _make(instance: Located, target: TransferSyntax, until: float | None) -> Outcome:
    key = new_key(f"derived/transcoded/{datetime.now(UTC):%Y/%m/%d}/{uuid4().hex}.dcm")
    with object_store().stage() as staged:
        _write(staged, instance, target, until)
        staged.seal()
        object_store().publish([(staged, key)])
        size, sha256 = staged.size, staged.sha256
    try:
        equal = compare(instance, key, size, sha256)
    except (NotRenderable, Differs, DicomError):
        object_store().delete(key)
        raise
    if _commit(instance, equal):
        return Outcome.MADE
    object_store().delete(key)
    return Outcome.GONE


def _write(staged: Staged, instance: Located, target: TransferSyntax, until: float | None) -> None:
    for piece in transcode(instance, target).pieces():
        staged.write(piece)
        if staged.size >= instance.object_size:
            raise _Larger
        if until is not None and time.monotonic() > until:
            raise _TooLong


def _commit(instance: Located, equal: Equal) -> bool:
    """Whether the row is written: not if the instance is gone, or has another object by now."""
    new, before, after = equal.frames.instance, instance.pixels, equal.parsed.pixels
    if before is None or after is None or equal.parsed.frames is None:
        return False
    with transaction.atomic():
        # As Store and Delete do: whoever changes a series waits for the other.
        Series.objects.select_for_update().filter(pk=instance.series_pk).first()
        if not Instance.objects.filter(pk=instance.pk, object_key=instance.object_key).exists():
            return False
        _, created = Representation.objects.get_or_create(
            instance_id=instance.pk,
            transfer_syntax_uid=new.transfer_syntax.uid,
            defaults={
                "object_key": new.object_key,
                "object_size": new.object_size,
                "object_sha256": new.object_sha256,
                "header_length": new.header_length,
                "pixels": asdict(after),
                "frame_table": equal.parsed.frames.pack(),
                "changed": changes(before, after),
                "block_crcs": new.block_crcs,
                "exact": equal.exact,
                "source_sha256": instance.object_sha256,
                "source_size": instance.object_size,
            },
        )
        TranscodingAttempt.objects.filter(instance=instance.pk, transfer_syntax_uid=new.transfer_syntax.uid).delete()
    return created


def changes(before: PixelDescription, after: PixelDescription) -> dict[str, list[str]]:
    """Keyword -> value before and now, of the attributes that describe the encoding (PS3.3 C.7.6.3)."""
    return {
        keyword: [str(getattr(before, name)), str(getattr(after, name))]
        for name, keyword in _KEYWORDS.items()
        if getattr(before, name) != getattr(after, name)
    }
