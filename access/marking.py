"""Marks are set and taken away, each with its event (PS3.15 A.5.3, 110135)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from access.links import revoke
from access.models import ShareLink
from access.people import Unknown
from access.restriction_models import Mark, Restriction
from access.restrictions import marks
from archive.models import Patient, Study
from audit.kinds import RESTRICTED, UNRESTRICTED
from audit.record import record

MOST_REASON = 500
_STUDIES_NAMED = 100


@dataclass(frozen=True, slots=True)
class Marked:
    """A new mark, and how many share links ended with it."""

    restriction: Restriction
    links_ended: int


def restrict(
    target: Study | Patient, mark: Mark, reason: str, until: datetime | None = None, *, by: Acting = COMMAND_LINE
) -> Marked:
    """Mark a study, or a patient and so all studies of theirs. Open share links that reach it end.

    The same mark set before is replaced. Grants of people and machines stay, and still open it.
    """
    with transaction.atomic():
        scope = _scope(target)
        Restriction.objects.active().filter(mark=mark, **scope).update(ended_at=timezone.now(), ended_by=by.user)
        made = Restriction.objects.create(mark=mark, reason=reason, until=until, set_by=by.user, **scope)
        ended = [link for link in _open_links(target) if revoke(link, by.request, by.principal)]
        end = f"until {until.isoformat(timespec='minutes')}" if until else "without end"
        text = f"{_what(made)} marked {made.get_mark_display()} {end}, {len(ended)} share links ended"
        record([by.event(RESTRICTED, text, **_about(made))])
        transaction.on_commit(marks.forget)
    return Marked(made, len(ended))


def unrestrict(restriction: Restriction, *, by: Acting = COMMAND_LINE) -> bool:
    """Take a mark away, from the next request on; False if it is away already."""
    with transaction.atomic():
        waiting = Restriction.objects.active().filter(pk=restriction.pk)
        if not waiting.update(ended_at=timezone.now(), ended_by=by.user):
            return False
        text = f"{_what(restriction)} no longer marked {restriction.get_mark_display()}"
        record([by.event(UNRESTRICTED, text, **_about(restriction))])
    return True


def marks_of(target: Study | Patient) -> QuerySet[Restriction]:
    """The marks that close this very study, or this very patient, now."""
    return Restriction.objects.active().filter(**_scope(target)).order_by("set_at")


def patient_called(patient_id: str, issuer: str = "") -> Patient:
    """The patient of this identifier, and of this issuer if one is given. Raises Unknown."""
    found = Patient.objects.filter(patient_id=patient_id).exclude(patient_id="")
    known = list((found.filter(issuer_of_patient_id=issuer) if issuer else found)[:2])
    if len(known) != 1:
        raise Unknown("no patient has this identifier" if not known else "several patients have it: name its issuer")
    return known[0]


def _scope(target: Study | Patient) -> dict[str, Any]:
    return {"patient": target} if isinstance(target, Patient) else {"study_instance_uid": target.study_instance_uid}


def _open_links(target: Study | Patient) -> QuerySet[ShareLink]:
    if isinstance(target, Patient):
        reaching = (
            Q(grants__patient=target)
            | Q(grants__patient__merged_into=target)
            | Q(grants__study__patient=target)
            | Q(grants__series__study__patient=target)
        )
    else:
        of_patient = Q(grants__patient=target.patient) | Q(grants__patient__merged_into=target.patient)
        reaching = of_patient | Q(grants__study=target) | Q(grants__series__study=target)
    now = timezone.now()
    return ShareLink.objects.filter(reaching, revoked_at__isnull=True, grants__valid_until__gt=now).distinct()


def _what(restriction: Restriction) -> str:
    return "patient" if restriction.patient_id else f"study {restriction.study_instance_uid}"


def _about(restriction: Restriction) -> dict[str, Any]:
    if restriction.patient is None:
        return {"study_uids": [restriction.study_instance_uid], "purpose": restriction.reason, "rule": "restriction"}
    studies = (
        Study.objects.filter(patient=restriction.patient.person)
        .order_by("-pk")
        .values_list("study_instance_uid", flat=True)
    )
    identifier = restriction.patient.patient_id
    return {
        "study_uids": list(studies[:_STUDIES_NAMED]),
        "patient_ids": [identifier] if identifier else [],
        "purpose": restriction.reason,
        "rule": "restriction",
    }
