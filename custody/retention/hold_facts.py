"""Legal holds as facts: what was held must not come back free (``custody.facts.providers``)."""

from datetime import datetime
from typing import Any, Final

from archive.models import LegalHold

_SAID: Final = ("reason", "until", "placed_by", "placed_at")


def of_study(subject: str) -> Any:
    """The holds on a study that stand now."""
    return _of(study_instance_uid=subject, patient=None)


def of_patient(subject: str) -> Any:
    """The holds on a patient that stand now."""
    return _of(patient_id=int(subject))


def restore_of_study(subject: str, value: Any, at: datetime) -> None:
    """Place them again."""
    _restore(value or [], study_instance_uid=subject)


def restore_of_patient(subject: str, value: Any, at: datetime) -> None:
    """The same of a patient."""
    _restore(value or [], patient_id=int(subject))


def _of(**scope: Any) -> Any:
    rows = LegalHold.objects.active().filter(**scope).order_by("placed_at", "pk").values_list(*_SAID)
    return [dict(zip(_SAID, row, strict=True)) for row in rows] or None


def _restore(value: list[dict[str, Any]], **scope: Any) -> None:
    """What the index remembers as released stays so; nothing is released because a document does not name it."""
    for said in value:
        moment = datetime.fromisoformat(str(said["placed_at"]))
        if not LegalHold.objects.filter(**scope, placed_at=moment).exists():
            LegalHold.objects.create(**scope, **{name: said[name] for name in _SAID})
