"""Representations read back and compared with the stored objects, whenever somebody wants to know."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from django.db.models.functions import Now

from archive.at_rest_equal import Differs, compare, is_intact
from archive.errors import ArchiveUnavailable, NotFound, NotRenderable
from archive.locate import Located, locate_by_pk
from archive.models import Instance, Representation
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from archive.representations import forget
from dicom.errors import DicomError

# Said of one that is let be: it may be all that is left of the image.
KEPT = "the stored object is not what was received; its representation is kept"


def check(series: Sequence[int] | None) -> Iterator[tuple[str, str]]:
    """SOP Instance UID and "" for each representation that is sound; with what is wrong for one that is not, and that
    is made again; with ``KEPT`` where it is the stored object that is wrong. Raises ``ArchiveUnavailable``.
    """
    rows = Representation.objects.order_by("pk")
    if series is not None:
        rows = rows.filter(instance__series__in=series)
    for row in rows.iterator(chunk_size=500):
        try:
            located = locate_by_pk(row.instance_id)
            compare(replace(located, held=()), row.object_key, row.object_size, bytes(row.object_sha256))
        except Instance.DoesNotExist:
            continue
        except (ObjectMissing, ObjectDamaged, Differs, NotRenderable, NotFound, DicomError) as error:
            reason = str(error) or type(error).__name__
        except (ArchiveUnavailable, ObjectStoreError) as error:
            if _is_intact(located):
                raise ArchiveUnavailable("the object store can't be reached now") from error
            reason = KEPT
        else:
            Representation.objects.filter(pk=row.pk).update(verified_at=Now())
            yield located.sop_instance_uid, ""
            continue
        held = next((each for each in located.held if each.pk == row.pk), None)
        if held is None:
            continue
        if reason == KEPT or not _is_intact(located):
            yield located.sop_instance_uid, KEPT
            continue
        forget(held, located.series_pk)
        yield located.sop_instance_uid, reason


def _is_intact(located: Located) -> bool:
    try:
        return is_intact(located)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the object store can't be reached now") from error
