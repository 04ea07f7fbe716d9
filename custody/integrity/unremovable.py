"""Findings about deleted objects that the sweep can't remove: it tries again each day, and settles what it could."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from archive.models import DeletedObject
from custody.integrity import findings
from custody.integrity.models import Finding, Kind, State


def tell(removed: Sequence[str], left: Mapping[str, str], **_: Any) -> None:
    """After a step of the sweep: keys that are ``removed``, and why those that are ``left`` are not."""
    for key, why in left.items():
        findings.file(Kind.UNREMOVABLE, key, None, why)
    if left:
        findings.alert()
    settled = Finding.objects.filter(kind=Kind.UNREMOVABLE, state=State.OPEN)
    if removed:
        settled.filter(object_key__in=removed).update(
            state=State.REPAIRED, settled_at=Now(), settled_by="sweep", reason="removed"
        )
    due = DeletedObject.objects.filter(object_key=OuterRef("object_key"))
    settled.exclude(Exists(due)).update(
        state=State.REPAIRED, settled_at=Now(), settled_by="sweep", reason="not deleted any more"
    )
