"""The technologist's queue: studies that found no order, too many, or that of another patient; and what is decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from archive import patient_rows
from archive.errors import Conflict, NotFound
from archive.locate import within
from archive.models import Patient, Study
from archive.patient_facts import Moment
from worklist import completion
from worklist.models import Outcome, Reconciliation, RequestedProcedure, StudyOrderLink
from worklist.reconcile import begin, hide, wish


@dataclass(frozen=True, slots=True)
class Candidate:
    """A procedure that could be meant; ``same_patient``: its order is of the study's patient."""

    procedure: int
    accession_number: str
    procedure_id: str
    description: str
    same_patient: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A study in the queue. ``strangers`` of its objects came under another patient."""

    study: Study
    outcome: Outcome
    opened_at: datetime
    strangers: int
    candidates: tuple[Candidate, ...]


def waiting(
    scope: QuerySet[Study], outcome: Outcome | None = None, *, limit: int = 50, offset: int = 0
) -> list[Waiting]:
    """What waits within ``scope``, the newest first. Two queries whatever the number of rows."""
    rows = Reconciliation.objects.filter(~Q(outcome=Outcome.LINKED) | Q(strangers__gt=0), settled_by="")
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    seen = Study.objects.filter(pk__in=rows.values("study"))
    rows = rows.filter(study__in=within(seen, scope, "pk").values("pk"))
    found = list(rows.select_related("study__patient").order_by("-opened_at", "-study")[offset : offset + limit])
    named = {pk for row in found for pk in row.candidates}
    procedures = RequestedProcedure.objects.select_related("order__patient").in_bulk(named)
    return [_waiting(row, [procedures[pk] for pk in row.candidates if pk in procedures]) for row in found]


def settle(study_instance_uid: str, procedures: Sequence[int], by: str) -> None:
    """What a person decided: the study answers these procedures, or none that is known; it is shown again.

    The machine leaves it alone from then on. An order of another patient is not linked: either the patients are merged,
    or the study is moved. Raises ``NotFound``, ``Conflict``.
    """
    with transaction.atomic():
        study = _locked(study_instance_uid)
        chosen = list(
            RequestedProcedure.objects.select_related("order__patient").filter(pk__in=procedures).order_by("pk")
        )
        if len(chosen) != len(set(procedures)):
            raise NotFound("a requested procedure of these is not there any more")
        persons = {procedure.order.patient.person for procedure in chosen}
        if len(persons) > 1 or (persons and study.patient.patient_id and study.patient_id not in persons):
            raise Conflict("the order is that of another patient")
        if persons and study.patient_id not in persons:
            patient_rows.move_studies([study.pk], Patient.objects.get(pk=persons.pop()))
            patient_rows.refresh([study.pk])
        StudyOrderLink.objects.filter(study=study).delete()
        StudyOrderLink.objects.bulk_create(
            StudyOrderLink(study=study, procedure=procedure, method="person", made_by=by) for procedure in chosen
        )
        Reconciliation.objects.update_or_create(
            study=study,
            defaults={
                "outcome": Outcome.LINKED if chosen else Outcome.UNSCHEDULED,
                "method": "person",
                "settled_by": by,
                "tried_at": timezone.now(),
            },
        )
        hide(study, hidden=False)
        for procedure in chosen:
            begin(study, procedure, Moment(timezone.now(), by))
        if chosen:
            completion.look(study)


def reopen(study_instance_uid: str) -> None:
    """Let the machine look for the orders of a study again, whatever was decided. Raises ``NotFound``."""
    with transaction.atomic():
        study = _locked(study_instance_uid)
        StudyOrderLink.objects.filter(study=study).exclude(made_by="").delete()
        Reconciliation.objects.filter(study=study).update(settled_by="", opened_at=timezone.now())
        wish([study.pk])


def _locked(study_instance_uid: str) -> Study:
    named = Study.objects.filter(study_instance_uid=study_instance_uid)
    patient_rows.lock_rows(named.values_list("patient_id", flat=True))
    study = named.select_for_update(of=("self",)).select_related("patient").first()
    if study is None:
        raise NotFound("nothing is stored under these UIDs")
    return study


def _waiting(row: Reconciliation, procedures: Sequence[RequestedProcedure]) -> Waiting:
    return Waiting(
        study=row.study,
        outcome=Outcome(row.outcome),
        opened_at=row.opened_at,
        strangers=row.strangers,
        candidates=tuple(
            Candidate(
                procedure=each.pk,
                accession_number=each.order.accession_number,
                procedure_id=each.procedure_id,
                description=each.description,
                same_patient=each.order.patient.person == row.study.patient_id,
            )
            for each in procedures
        ),
    )
