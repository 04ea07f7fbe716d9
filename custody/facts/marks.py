"""Marks as facts: what was closed must not come back open (``access.restrictions``)."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from access.models import Restriction

_SAID = ("mark", "reason", "until", "set_at")


def of_study(subject: str) -> Any:
    """The marks that close a study now."""
    return _of(study_instance_uid=subject)


def of_patient(subject: str) -> Any:
    """The marks that close a patient now."""
    return _of(patient_id=int(subject))


def restore_of_study(subject: str, value: Any, at: datetime) -> None:
    """Set them again; who set them is not known any more."""
    _restore(value or [], at, study_instance_uid=subject)


def restore_of_patient(subject: str, value: Any, at: datetime) -> None:
    """The same of a patient."""
    _restore(value or [], at, patient_id=int(subject))


def _of(**scope: Any) -> Any:
    rows = Restriction.objects.active().filter(**scope).order_by("set_at", "pk").values_list(*_SAID)
    return [dict(zip(_SAID, row, strict=True)) for row in rows] or None


def _restore(value: list[dict[str, Any]], at: datetime, **scope: Any) -> None:
    known = {row.mark: row for row in Restriction.objects.active().filter(**scope)}
    for said in value:
        if said["mark"] not in known:
            Restriction.objects.create(**scope, **{name: said[name] for name in _SAID})
    # Taken away after what the index remembers.
    gone = [row.pk for mark, row in known.items() if mark not in {said["mark"] for said in value} and row.set_at < at]
    Restriction.objects.filter(pk__in=gone).update(ended_at=timezone.now())
