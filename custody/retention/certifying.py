"""Certificates of removal: what a sweep removed for good is written down in the transaction that removes it.

One certificate stands for what was deleted of one study at one moment by one hand; each step of a sweep adds to it. It
holds UIDs, sizes and hashes of what is gone, never whose it was, and the number of the event in the signed trail.
"""

import gzip
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F

from access.models import Client, User
from archive.models import DeletedObject
from audit.record import Recorded
from custody.retention.carrying_out import BY
from custody.retention.models import Certificate, CertifiedObjects, PlannedRemoval, RetentionPlan

_STORES: Final[Mapping[str, str]] = {
    "file": "the file store, with its tiers and copies where there are any",
    "s3": "the S3 bucket, with its tiers and copies where there are any",
}
_UNKNOWN: Final = "an account that is no more"


def certify(rows: Sequence[DeletedObject], event: Recorded, **_: Any) -> None:
    """Certify the removal of ``rows``: their objects are gone, the event of it has just been written."""
    for (uid, at, by), group in groupby(sorted(rows, key=_key), key=_key):
        gone = list(group)
        where = _where(event.at)
        made, is_new = Certificate.objects.get_or_create(
            study_instance_uid=uid, deleted_at=at, deleted_by=by, defaults=_decided(uid, by) | where
        )
        lines = b"\n".join(_line(row) for row in gone)
        CertifiedObjects.objects.create(
            certificate=made,
            instances=len(gone),
            lines=gzip.compress(lines, mtime=0),
            sha256=hashlib.sha256(lines).digest(),
            audit_sequence=event.sequence,
            removed_at=event.at,
        )
        begun = {"begun_at": event.at} if is_new else {}
        Certificate.objects.filter(pk=made.pk).update(
            instances=F("instances") + len(gone),
            bytes=F("bytes") + sum(row.size for row in gone),
            removed_at=event.at,
            backups_until=where["backups_until"],
            **begun,
        )


def document(certificate: Certificate) -> Mapping[str, Any]:
    """The certificate as JSON: everything an auditor needs, and nothing of the patient."""
    parts = certificate.parts.order_by("pk")
    return {
        "certificate": certificate.pk,
        "study_instance_uid": certificate.study_instance_uid,
        "deleted_at": certificate.deleted_at,
        "decided_by": certificate.decided_by,
        "reason": certificate.reason,
        "removed_from_stores": certificate.stores,
        "may_remain_in_backups_until": certificate.backups_until,
        "removed_since": certificate.begun_at,
        "removed_until": certificate.removed_at,
        "instances": certificate.instances,
        "bytes": certificate.bytes,
        "proof": [
            {
                "audit_sequence": part.audit_sequence,
                "removed_at": part.removed_at,
                "instances": part.instances,
                "objects_sha256": bytes(part.sha256).hex(),
                "objects_unaltered": hashlib.sha256(lines).digest() == bytes(part.sha256),
            }
            for part, lines in ((part, gzip.decompress(bytes(part.lines))) for part in parts)
        ],
        "objects": [each for part in parts for each in _objects(bytes(part.lines))],
    }


def _objects(lines: bytes) -> Iterable[Any]:
    return [orjson.loads(line) for line in gzip.decompress(lines).split(b"\n")]


def _key(row: DeletedObject) -> tuple[str, datetime, str]:
    return row.study_instance_uid, row.deleted_at, row.deleted_by


def _line(row: DeletedObject) -> bytes:
    return orjson.dumps(
        {
            "series_instance_uid": row.series_instance_uid,
            "sop_instance_uid": row.sop_instance_uid,
            "sha256": bytes(row.sha256).hex(),
            "bytes": row.size,
            "object": row.object_key,
        }
    )


def _decided(uid: str, by: str) -> dict[str, Any]:
    """Who decided, and why, in words."""
    if by.startswith(BY):
        plan = RetentionPlan.objects.filter(pk=int(by.removeprefix(BY))).first()
        removal = PlannedRemoval.objects.filter(plan=plan, study_instance_uid=uid).select_related("rule").first()
        if plan is None or removal is None:
            return {"decided_by": "retention", "reason": ""}
        decided = f"retention rule “{removal.rule.name}”, plan {plan.pk}, confirmed by {plan.confirmed_by}"
        return {"decided_by": decided, "reason": removal.words}
    return {"decided_by": _name(by), "reason": "deleted on request"}


def _where(at: datetime) -> dict[str, Any]:
    """From what it was removed, and what may remain of it for how long."""
    backup = getattr(settings.PACS, "backup", None)
    until = None
    if backup is not None and backup.target:
        days = max(backup.keep_daily, backup.keep_weekly * 7, backup.keep_monthly * 31)
        until = (at + timedelta(days=days)).date()
    return {"stores": _STORES[settings.PACS.object_store], "backups_until": until}


def _name(by: str) -> str:
    try:
        person = User.objects.filter(external_id=by).first()
        client = Client.objects.filter(external_id=by).first()
    except (ValueError, ValidationError):  # no account: a task or a command
        return by
    return person.username if person else client.name if client else _UNKNOWN
