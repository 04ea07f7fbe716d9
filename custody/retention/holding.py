"""Legal holds are placed and released, each with its event and with the locks of a deletion.

The patient's row, then their studies, then what was deleted of them: a deletion, a merge or a sweep that meets this
waits until the hold stands, or has come before it as a whole.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from access.restriction_models import DeletedStudy
from archive.models import DeletedObject, LegalHold, Patient, Study
from archive.patient_rows import lock_rows, locked_studies
from audit.kinds import RESTRICTED, UNRESTRICTED
from audit.record import record

MOST_REASON: Final = 500
RULE: Final = "legal hold"
_STUDIES_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class Placed:
    """A new hold, the studies that it holds now, and the deleted instances that no sweep removes meanwhile."""

    hold: LegalHold
    studies: int
    deleted_instances: int


def place(target: Patient | str, reason: str, until: datetime | None = None, *, by: Acting = COMMAND_LINE) -> Placed:
    """Hold a study, by its Study Instance UID, or a patient and so all studies of theirs, those to come as well.

    A study need not be stored: it may be deleted, or not have come yet. Several holds on the same stand side by side,
    each for its own reason, and each has to be released.
    """
    with transaction.atomic():
        studies, deleted = _locked(target)
        scope = {"patient": target} if isinstance(target, Patient) else {"study_instance_uid": target}
        hold = LegalHold.objects.create(reason=reason, until=until, placed_by=by.name, **scope)
        end = f"until {until.isoformat(timespec='minutes')}" if until else "without end"
        text = (
            f"{_what(hold)} put under legal hold {hold.pk} {end}: {len(studies)} studies, {deleted} deleted instances"
        )
        record([by.event(RESTRICTED, text, **_about(hold, studies, reason))])
    return Placed(hold, len(studies), deleted)


def release(hold: LegalHold, reason: str, *, by: Acting = COMMAND_LINE) -> bool:
    """End a hold from now on, for a reason; False if it had ended already."""
    with transaction.atomic():
        waiting = LegalHold.objects.active().filter(pk=hold.pk)
        if not waiting.update(released_at=timezone.now(), released_by=by.name, release_reason=reason):
            return False
        studies = [hold.study_instance_uid] if hold.patient is None else _uids_of(hold.patient)
        text = f"{_what(hold)} no longer under legal hold {hold.pk}"
        record([by.event(UNRESTRICTED, text, **_about(hold, studies, reason))])
    return True


def _locked(target: Patient | str) -> tuple[list[str], int]:
    """What the hold is about, locked: UIDs of the studies that are stored, and how many deleted instances."""
    if isinstance(target, Patient):
        identifiers = lock_rows([target.pk, *_family(target)])
        leading = identifiers[target.pk].person
        if leading not in identifiers:
            identifiers |= lock_rows([leading])
        _say_whose(identifiers)
        pks = locked_studies(identifiers[leading])
        # What came under the identifier and is another patient's by now is held as well.
        apart = Study.objects.select_for_update().filter(original_patient=target).order_by("study_instance_uid")
        pks = [*pks, *apart.values_list("pk", flat=True)]
        studies = list(Study.objects.filter(pk__in=pks).order_by("pk").values_list("study_instance_uid", flat=True))
        deleted = DeletedObject.objects.filter(patient__in=list(identifiers))
    else:
        own = Study.objects.select_for_update().filter(study_instance_uid=target)
        studies = [study.study_instance_uid for study in own]
        deleted = DeletedObject.objects.filter(study_instance_uid=target)
    gone = deleted.exclude(sop_instance_uid="").select_for_update(of=("self",)).order_by("object_key")
    return studies, len(gone.values_list("pk", flat=True))


def _family(patient: Patient) -> list[int]:
    person = Patient.objects.values_list("merged_into", flat=True).get(pk=patient.pk) or patient.pk
    return [person, *Patient.objects.filter(merged_into=person).values_list("pk", flat=True)]


def _say_whose(identifiers: dict[int, Patient]) -> None:
    """A release that did not keep with a deleted object whose it was kept it with the study."""
    known = DeletedStudy.objects.filter(patient__in=list(identifiers))
    unsaid = DeletedObject.objects.filter(patient=None, study_instance_uid__in=known.values("study_instance_uid"))
    for uid in unsaid.values_list("study_instance_uid", flat=True).distinct():
        whose = DeletedStudy.objects.values_list("patient", flat=True).get(study_instance_uid=uid)
        DeletedObject.objects.filter(patient=None, study_instance_uid=uid).update(patient=whose)


def _uids_of(patient: Patient) -> list[str]:
    of_person = Study.objects.filter(Q(patient=patient.person) | Q(original_patient=patient))
    return list(of_person.order_by("-pk").values_list("study_instance_uid", flat=True)[:_STUDIES_NAMED])


def _what(hold: LegalHold) -> str:
    return "patient" if hold.patient_id else f"study {hold.study_instance_uid}"


def _about(hold: LegalHold, studies: list[str], reason: str) -> dict[str, Any]:
    named = studies[:_STUDIES_NAMED] or ([hold.study_instance_uid] if hold.study_instance_uid else [])
    identifier = hold.patient.patient_id if hold.patient else ""
    return {
        "study_uids": named,
        "patient_ids": [identifier] if identifier else [],
        "purpose": reason,
        "rule": RULE,
    }
