"""The walk that gives a newly declared tag the values of what was stored before: one series at a time, resumable.

A series' values and the note that it is done are one transaction, so that a worker may die at any moment and two may
run at once.
"""

import time
from collections.abc import Iterator, Mapping
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from archive import extended_values, outbox
from archive.errors import ArchiveUnavailable
from archive.extended_extraction import DataSet
from archive.extended_models import ExtendedTag, Reindex
from archive.extended_tags import ADDING, READY, SLICE_SECONDS
from archive.extended_values import Indexable
from archive.metadata import objects_of, public_dicomweb_root, series_document
from archive.models import Instance, Series, Study
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from archive.outbox import Wish
from archive.payload import StoredSource
from dicom.errors import DicomError
from dicom.part10 import parse

UNREADABLE = "its object can't be read"
_SOP_INSTANCE_UID = "00080018"


def reindex(subject: str) -> None:
    """The task: go on with the walk of this id, for ``SLICE_SECONDS`` at the most. Raises ``ArchiveUnavailable``."""
    until = time.monotonic() + SLICE_SECONDS
    walk = UUID(subject)
    while _step(walk):
        if time.monotonic() >= until:
            outbox.wish([Wish(outbox.EXTENDED_REINDEX, subject)])
            return


def _step(walk: UUID) -> bool:
    """Index one series; ``False`` when there is nothing left to do."""
    row = Reindex.objects.filter(pk=walk, finished=False).first()
    if row is None:
        return False
    ahead = Series.objects.filter(pk__gt=row.last_series, pk__lte=row.until_series)
    series = ahead.order_by("pk").select_related("study", "document").first()
    if series is None or not row.tags.filter(status=ADDING).exists():
        _finish(walk)
        return False
    read = read_series(series)
    with transaction.atomic():
        locked = Reindex.objects.select_for_update().filter(pk=walk).first()
        if locked is None or locked.last_series != row.last_series:
            return True  # another worker was here meanwhile
        _write(series, read, walk)
        Reindex.objects.filter(pk=walk).update(last_series=series.pk, done=F("done") + len(read), updated_at=Now())
    return True


def _finish(walk: UUID) -> None:
    with transaction.atomic():
        Reindex.objects.filter(pk=walk).update(finished=True, updated_at=Now())
        ExtendedTag.objects.filter(reindex=walk, status=ADDING).update(status=READY)


def read_series(series: Series) -> dict[str, DataSet | str]:
    """What is known of each instance of ``series`` by its SOP Instance UID: its data set, or why there is none.

    Raises ``ArchiveUnavailable`` if that is so of the whole object store.
    """
    uids = Instance.objects.filter(series=series).values_list("sop_instance_uid", flat=True)
    known: dict[str, DataSet | str] = dict.fromkeys(uids, UNREADABLE)
    try:
        lines = objects_of(series_document(series, public_dicomweb_root()))
    except (ArchiveUnavailable, Series.DoesNotExist):
        _must_answer()
        return known | _read_each(series)
    data_sets = [extended_values.data_set(line) for line in lines if line]
    return known | {str(each[_SOP_INSTANCE_UID]["Value"][0]): each for each in data_sets}


def _read_each(series: Series) -> dict[str, DataSet | str]:
    """The same out of the objects themselves, where no document of the series can be made."""
    found: dict[str, DataSet | str] = {}
    rows = Instance.objects.filter(series=series).values_list(
        "sop_instance_uid", "object_key", "object_size", "block_crcs"
    )
    for uid, key, size, crcs in rows:
        try:
            found[uid] = extended_values.data_set(parse(StoredSource(key, size, crcs)).json_text)
        except (ArchiveUnavailable, DicomError):
            _must_answer()
            found[uid] = UNREADABLE
    return found


def _must_answer() -> None:
    try:
        object_store().check()
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the object store does not answer") from error


def _write(series: Series, read: Mapping[str, DataSet | str], walk: UUID) -> None:
    """Write what is still there: the study is locked as by a Store or a Delete about it, after the table of tags."""
    mine = set(ExtendedTag.objects.filter(reindex=walk).values_list("pk", flat=True))
    attributes = [attribute for attribute in extended_values.writable() if attribute.id in mine]
    if Study.objects.select_for_update().filter(pk=series.study_id).exists():
        extended_values.write(extended_values.extracted(attributes, indexables(series, read)))


def indexables(series: Series, read: Mapping[str, DataSet | str]) -> Iterator[Indexable]:
    """The instances of ``read`` that are in the index now."""
    ids = dict(Instance.objects.filter(series=series.pk).values_list("sop_instance_uid", "pk"))
    uids = (series.study.study_instance_uid, series.series_instance_uid)
    for uid, found in read.items():
        if uid in ids:
            readable = not isinstance(found, str)
            yield Indexable(
                (*uids, uid),
                {"study": series.study_id, "series": series.pk, "instance": ids[uid]},
                found if readable else {},  # type: ignore[arg-type]
                "" if readable else str(found),
            )
