"""Deletions that the index has not seen, because a backup from before them was restored."""

from collections.abc import Mapping
from datetime import datetime

from archive.delete import Deleted, delete
from archive.locate import Address
from archive.models import Instance, Study
from audit import kinds
from audit.record import NewAccessEvent, record

BY = "rebuild"


def remove_gone(study_instance_uid: str, wanted: Mapping[str, str], at: datetime) -> int:
    """Delete the instances of a study that facts of the moment ``at`` do not have under the same key.

    ``wanted`` are object keys by SOP Instance UID. What came after that moment stays. Returns how many were deleted.
    Raises ``Held``.
    """
    stored = Instance.objects.filter(series__study__study_instance_uid=study_instance_uid, created_at__lt=at)
    found = list(stored.values_list("sop_instance_uid", "series__series_instance_uid", "object_key"))
    gone = [(series, uid) for uid, series, key in found if wanted.get(uid) != key]
    for series, uid in gone:
        address = Address(study_instance_uid, series, uid)
        delete(Study.objects.all(), address, deleted_by=BY, record=_record)
    return len(gone)


def _record(deleted: Deleted) -> None:
    event = NewAccessEvent(
        kind=kinds.DELETE_INSTANCES,
        principal_kind="system",
        principal_name="command line",
        auth_method="shell",
        study_uids=[deleted.address.study_instance_uid],
        series_uid=deleted.address.series_instance_uid or "",
        instance_uid=deleted.address.sop_instance_uid or "",
        instance_count=deleted.instances,
        bytes=deleted.bytes,
        outcome_description="deleted, or replaced, after the backup that was restored",
    )
    record([event])
