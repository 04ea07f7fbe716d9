"""Which workitems somebody may use: those of the studies and patients that they reach, and of their own worklists."""

from typing import Final

from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from access.closed_patients import closed_patients
from access.policy import scope, unclosed_studies, visible_studies
from access.principal import Principal
from access.roles import Permission, Scope
from archive.models import Patient, Study
from workitems.models import WorkItem, WorklistMember

_ABOUT_NOBODY: Final = Q(study_instance_uids=[], patient_id="")


def visible_workitems(principal: Principal, permission: Permission) -> QuerySet[WorkItem]:
    """The workitems on which the principal may use ``permission``; what is outside does not exist for it.

    A right that reaches everything reaches all workitems but those about studies that a mark closes, or, where no study
    is known, about a patient of whom every study is closed. A narrower one reaches what is about studies of which it
    reaches one, or, where no study is named, about a patient of whom it reaches a study; what is about nobody; what the
    principal made; and the worklists that it is a member of.
    """
    reach = scope(principal, permission)
    found = WorkItem.objects.all()
    if reach is Scope.NONE:
        return found.none()
    if reach is Scope.ALL:
        unclosed = unclosed_studies(principal, permission)
        if not unclosed.query.where:
            return found
        known = Study.objects.all()
        of_patient = Q(~Exists(known.filter(patient__in=_patient())) | Exists(unclosed.filter(patient__in=_patient())))
        if (closed := closed_patients(principal)) is not None:  # also before anything of them is stored
            of_patient &= Q(~Exists(Patient.objects.filter(pk__in=_patient()).filter(pk__in=closed)))
        return found.filter(Exists(unclosed.filter(_named())) | (~Exists(known.filter(_named())) & of_patient))
    studies = visible_studies(principal, permission)
    own = WorklistMember.objects.filter(holder=principal.id).values("worklist_label")
    return found.filter(
        _ABOUT_NOBODY
        | Q(created_by=principal.id)
        | Q(worklist_label__in=own)
        | Exists(studies.filter(_named()))
        | (Q(study_instance_uids=[]) & Exists(studies.filter(patient__in=_patient())))
    )


def reaches(principal: Principal, item: WorkItem) -> bool:
    """Whether somebody who is about to make this workitem reaches what it is about."""
    if scope(principal, Permission.WORKITEMS_MANAGE) is Scope.ALL:
        return True
    studies = visible_studies(principal, Permission.WORKITEMS_MANAGE)
    if item.study_instance_uids:
        named = studies.filter(study_instance_uid__in=item.study_instance_uids)
        return named.count() == len(item.study_instance_uids)
    if not item.patient_id:
        return True
    named_patient = Patient.objects.filter(
        patient_id=item.patient_id, issuer_of_patient_id=item.issuer_of_patient_id
    ).annotate(person_key=Coalesce("merged_into", "pk"))
    return studies.filter(patient__in=named_patient.values("person_key")).exists()


def may_manage(principal: Principal, item: WorkItem) -> bool:
    """Whether the workitem may be changed while nobody has claimed it; who performs may reach more than that."""
    return visible_workitems(principal, Permission.WORKITEMS_MANAGE).filter(pk=item.pk).exists()


def _named() -> "_IsIn":
    return _IsIn(F("study_instance_uid"), OuterRef("study_instance_uids"))


def _patient() -> "QuerySet[Patient, dict[str, int]]":
    """The patient whom the outer row's identifier names now, as keys."""
    named = Patient.objects.filter(
        patient_id=OuterRef(OuterRef("patient_id")), issuer_of_patient_id=OuterRef(OuterRef("issuer_of_patient_id"))
    ).exclude(patient_id="")
    return named.annotate(person_key=Coalesce("merged_into", "pk")).values("person_key")  # type: ignore[return-value]


class _IsIn(Func):
    """``value = ANY (array)``."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY ("
    output_field = BooleanField()
    conditional = True
