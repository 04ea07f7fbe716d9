"""Deletions and moves that the index has not seen, because a backup from before them was restored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from archive.delete import Deleted, delete
from archive.index_rows import octets
from archive.locate import Address
from archive.models import Instance, Study
from archive.object_store import ObjectDamaged, ObjectMissing, object_store
from audit import kinds
from audit.record import NewAccessEvent, record

BY = "rebuild"


def follow(study_instance_uid: str, said: Mapping[str, Mapping[str, Any]]) -> int:
    """Let instances point to where their bytes lie by now: they were moved to another tier, or sealed anew.

    ``said`` are instances as facts have them, by SOP Instance UID. Returns how many were moved. Raises
    ``ObjectStoreError``.
    """
    moved = 0
    for pk, uid, _, key, size, digest in _stored(study_instance_uid):
        there = said.get(uid)
        if there and there["object_key"] != key and _same(there, digest) and _lies_there(there["object_key"], size):
            moved += Instance.objects.filter(pk=pk, object_key=key).update(object_key=there["object_key"])
    return moved


def remove_gone(study_instance_uid: str, said: Mapping[str, Mapping[str, Any]], at: datetime) -> int:
    """Delete the instances of a study that facts of the moment ``at`` do not have, or have with other bytes.

    ``said`` as in ``follow``. What came after that moment stays. Returns how many were deleted. Raises ``Held``.
    """
    found = _stored(study_instance_uid, created_at__lt=at)
    gone = [(series, uid) for _, uid, series, _, _, digest in found if uid not in said or not _same(said[uid], digest)]
    for series, uid in gone:
        address = Address(study_instance_uid, series, uid)
        delete(Study.objects.all(), address, deleted_by=BY, record=_record)
    return len(gone)


def _stored(study_instance_uid: str, **more: Any) -> list[tuple[Any, ...]]:
    stored = Instance.objects.filter(series__study__study_instance_uid=study_instance_uid, **more)
    names = ("pk", "sop_instance_uid", "series__series_instance_uid", "object_key", "object_size", "object_sha256")
    return list(stored.values_list(*names))


def _same(said: Mapping[str, Any], digest: bytes) -> bool:
    return bool(said["object_sha256"] == octets(bytes(digest)))


def _lies_there(key: str, size: int) -> bool:
    try:
        return object_store().size(key) == size
    except (ObjectMissing, ObjectDamaged):
        return False


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
