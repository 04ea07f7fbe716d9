"""Delete: what is at an address leaves the index at once; its objects stay for a grace period, then they are swept.

PS3.18 has no Delete transaction; DELETE on the resources of the Retrieve transaction is what the peers agree on. The
archive answers the same request again the same way for as long as it remembers the deletion, that is until the sweep.
Deleted instances can be brought back until then (``archive.undelete``) or stored again, as new objects. Patients stay;
leave granted on a study goes with the study.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from archive import extended_refresh, extended_values, outbox
from archive.errors import NotFound
from archive.holds import refuse_held
from archive.index import METADATA_DELAY, THUMBNAIL_DELAY
from archive.index_recount import recount_series, recount_study
from archive.locate import Address, is_everything, untold
from archive.models import DeletedObject, MetadataFragment, Series, SeriesDocument, Study
from archive.outbox import Wish

DELETE = "delete"
# Whoever is just reading a document or a picture shall come to its end.
DERIVED_GRACE_SECONDS = 3600

# An object that a sweep took for an orphan while it was being stored has a row already.
_TAKE = """
    WITH gone AS (
        DELETE FROM archive_instance AS i USING archive_series AS e
        WHERE e.id = i.series_id AND e.id = ANY(%(series)s)
            AND (%(instance)s::text IS NULL OR i.sop_instance_uid = %(instance)s)
        RETURNING i.id, i.sop_instance_uid, i.instance_number, i.object_key, i.object_sha256, i.object_size,
            e.id AS series_id, e.series_instance_uid
    ), remembered AS (
        INSERT INTO archive_deletedobject (object_key, study_instance_uid, series_instance_uid, sop_instance_uid,
            sha256, size, deleted_at, sweep_after, deleted_by, patient_id)
        SELECT object_key, %(study)s, series_instance_uid, sop_instance_uid, object_sha256, object_size,
            statement_timestamp(), statement_timestamp() + make_interval(secs => %(grace)s), %(by)s, COALESCE((
                SELECT id FROM archive_patient WHERE id = %(came_under)s AND merged_into_id = %(patient)s), %(patient)s)
        FROM gone
        ON CONFLICT (object_key) DO UPDATE SET study_instance_uid = EXCLUDED.study_instance_uid,
            series_instance_uid = EXCLUDED.series_instance_uid, sop_instance_uid = EXCLUDED.sop_instance_uid,
            sha256 = EXCLUDED.sha256, size = EXCLUDED.size, deleted_at = EXCLUDED.deleted_at,
            sweep_after = EXCLUDED.sweep_after, deleted_by = EXCLUDED.deleted_by, patient_id = EXCLUDED.patient_id
    ), unrepresented AS (
        DELETE FROM archive_representation WHERE instance_id IN (SELECT id FROM gone)
        RETURNING object_key, object_sha256, object_size
    ), let_go AS (
        INSERT INTO archive_deletedobject (object_key, study_instance_uid, series_instance_uid, sop_instance_uid,
            sha256, size, deleted_at, sweep_after, deleted_by)
        SELECT object_key, '', '', '', object_sha256, object_size, statement_timestamp(),
            statement_timestamp() + make_interval(secs => %(derived_grace)s), 'derived' FROM unrepresented
        ON CONFLICT (object_key) DO NOTHING
    ), untried AS (
        DELETE FROM archive_transcodingattempt WHERE instance_id IN (SELECT id FROM gone)
    ), unvalued AS (
        DELETE FROM archive_extendedvalue AS v USING archive_extendedtag AS t
        WHERE t.level = 'instance' AND v.tag_id = t.id AND v.owner_id IN (SELECT id FROM gone)
    ), unfaulted AS (
        DELETE FROM archive_extendedtagerror WHERE sop_instance_uid IN (SELECT sop_instance_uid FROM gone)
    ), unfound AS (
        DELETE FROM archive_qualityfinding WHERE instance_id IN (SELECT id FROM gone)
    ), told AS (
        INSERT INTO archive_changefeedentry (action, study_instance_uid, series_instance_uid, sop_instance_uid)
        SELECT %(action)s, %(study)s, series_instance_uid, sop_instance_uid FROM gone
        ORDER BY series_id, instance_number, id
    )
    SELECT count(*), COALESCE(sum(object_size), 0)::bigint FROM gone
"""
_GIVE_UP_DERIVED = """
    INSERT INTO archive_deletedobject (object_key, study_instance_uid, series_instance_uid, sop_instance_uid,
        sha256, size, deleted_at, sweep_after, deleted_by)
    SELECT key, '', '', '', '', 0, statement_timestamp(), statement_timestamp() + make_interval(secs => %(grace)s),
        'derived' FROM (
        SELECT object_key FROM archive_seriesdocument WHERE series_id = ANY(%(gone)s)
        UNION SELECT object_key FROM archive_thumbnailpack WHERE series_id = ANY(%(gone)s)
    ) AS derived (key) ON CONFLICT (object_key) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion took: instances, bytes of their objects, and whether the study itself is gone.

    No instances where the same had been deleted before. ``patient`` is the key of the patient whose it was.
    """

    address: Address
    instances: int = 0
    bytes: int = 0
    study_gone: bool = False
    patient: int | None = None


def delete(scope: QuerySet[Study], address: Address, *, deleted_by: str, record: Callable[[Deleted], None]) -> Deleted:
    """Delete the instances at ``address`` in one transaction; ``record`` is called inside it, just before the commit.

    What had been deleted before and is still in its grace period is deleted again without effect. Raises ``NotFound``
    for what is not, or no longer, known within ``scope``, ``Held`` for what is under a legal hold. ``deleted_by`` is
    the immutable id of who asked.
    """
    with transaction.atomic():
        deleted = _delete(scope, address, deleted_by)
        if deleted is None:
            if not _is_remembered(scope, address):
                raise NotFound("nothing is stored under these UIDs")
            deleted = Deleted(address)
        record(deleted)
    return deleted


def _delete(scope: QuerySet[Study], address: Address, deleted_by: str) -> Deleted | None:
    """Locks study, then series, as ``archive.index`` does, so that a Store about them waits and never deadlocks."""
    locked = scope.select_for_update(of=("self",)).filter(study_instance_uid=address.study_instance_uid)
    study = locked.first()
    if study is None:
        return None
    refuse_held(study.pk)
    touched = _locked_series(study, address)
    if not touched and address.series_instance_uid is not None:
        return None
    instances, size = _take(address, study, touched, deleted_by)
    if not instances and address.sop_instance_uid is not None:
        return None
    wishes = _settle_series(touched)
    study_gone = not recount_study(study.pk)
    if study_gone:
        extended_values.forget("study", [study.pk])
        study.delete()
    else:
        wishes += extended_refresh.wishes(study.pk)
    outbox.wish(wishes)
    return Deleted(address, instances, size, study_gone, study.patient_id)


def _locked_series(study: Study, address: Address) -> list[int]:
    rows = Series.objects.select_for_update().filter(study=study).order_by("study_id", "series_instance_uid")
    if address.series_instance_uid is not None:
        rows = rows.filter(series_instance_uid=address.series_instance_uid)
    return list(rows.values_list("pk", flat=True))


def _take(address: Address, study: Study, series: list[int], deleted_by: str) -> tuple[int, int]:
    """Whose it was is the identifier that it came under, as long as that names the patient: merges are taken back."""
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "series": series,
                "instance": address.sop_instance_uid,
                "study": address.study_instance_uid,
                "grace": settings.PACS.delete_grace_days * 86_400,
                "derived_grace": DERIVED_GRACE_SECONDS,
                "by": deleted_by,
                "patient": study.patient_id,
                "came_under": study.original_patient_id,
                "action": DELETE,
            },
        )
        [(instances, size)] = cursor.fetchall()
    return instances, size


def _settle_series(touched: list[int]) -> list[Wish]:
    """Remove the series that are empty now, bring the others up to date; returns the tasks these need."""
    left, empty = recount_series(touched)
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_UP_DERIVED, {"grace": DERIVED_GRACE_SECONDS, "gone": empty})
    # The picture of a series may show what is gone; its document is made again, being of an older version, and its
    # packs of thumbnails without what is gone.
    Series.objects.filter(pk__in=left).update(thumbnail_instance=None)
    MetadataFragment.objects.filter(series__in=empty).delete()
    SeriesDocument.objects.filter(series__in=empty).delete()
    extended_values.forget("series", empty)
    Series.objects.filter(pk__in=empty).delete()
    return [Wish(outbox.SERIES_METADATA, str(pk), METADATA_DELAY) for pk in left] + [
        Wish(outbox.SERIES_THUMBNAIL, str(pk), THUMBNAIL_DELAY) for pk in left
    ]


def _is_remembered(scope: QuerySet[Study], address: Address) -> bool:
    """Whether something at ``address`` was deleted and is not yet swept; only whoever may see all studies is told, and
    nobody of what was closed to them."""
    if not is_everything(scope):
        return False
    rows = DeletedObject.objects.filter(study_instance_uid=address.study_instance_uid)
    if (hidden := untold(scope)) is not None:
        rows = rows.exclude(study_instance_uid__in=hidden)
    if address.series_instance_uid is not None:
        rows = rows.filter(series_instance_uid=address.series_instance_uid)
    if address.sop_instance_uid is not None:
        rows = rows.filter(sop_instance_uid=address.sop_instance_uid)
    return rows.exists()
