"""One study of the queue as a person judges it: what differs, why an order is proposed, and what may be decided.

``state_of`` is what somebody saw; a decision is made only on that.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from archive import patient_rows
from archive.errors import Conflict, NotFound
from archive.models import Patient, RequestAttributes, Series, Study
from archive.names import groups
from worklist.models import Order, Outcome, Reconciliation, RequestedProcedure, StudyOrderLink
from worklist.queue import reopen, settle

MOST_FOUND: Final = 20


class Decision(StrEnum):
    """What a person may decide about a study."""

    LINK = "link"  # it answers these procedures
    ACCEPT = "accept"  # it is right as it is
    UNSCHEDULED = "unscheduled"  # it answers no order that is known
    RELEASE = "release"  # it is shown again, without an order
    UNLINK = "unlink"  # it doesn't answer the order that it is linked to
    REOPEN = "reopen"  # let the machine look again


DECISIONS: Final = tuple((each.value, each.value) for each in Decision)


class Changed(Conflict):
    """Somebody, or the machine, decided in the meantime."""


@dataclass(frozen=True, slots=True)
class Line:
    """One attribute side by side: of the study as it came, of its patient now, and of each order that could be meant.

    ``differs`` says of each order whether its value is another than that of the study.
    """

    title: str
    came: str
    now: str
    orders: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A procedure that could be meant, and why; ``linked`` if the study answers it now. ``possible``: a study is not
    linked to an order of another patient."""

    procedure: RequestedProcedure
    patient: Patient
    reasons: tuple[str, ...]
    linked: bool
    possible: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A study to be judged. ``state`` goes back with the decision."""

    study: Study
    outcome: Outcome
    settled_by: str
    strangers: int
    proposals: tuple[Proposal, ...]
    lines: tuple[Line, ...]
    decisions: tuple[Decision, ...]
    state: str


def case(study: Study, orders: QuerySet[Order], *, sought: str = "") -> Case:
    """What there is to judge about a study; ``sought`` is a number of an order, or of a patient, to be proposed too.

    Only orders of ``orders`` are proposed. Raises ``NotFound`` for a study that nobody has looked at yet.
    """
    row = Reconciliation.objects.filter(study=study).first()
    if row is None:
        raise NotFound("the orders of this study have not been looked for yet")
    links = set(StudyOrderLink.objects.filter(study=study).values_list("procedure_id", flat=True))
    within = RequestedProcedure.objects.filter(order__in=orders) if orders.query.where else RequestedProcedure.objects
    rows = within.select_related("order__patient").prefetch_related("steps")
    named = list(rows.filter(pk__in=[*row.candidates, *links]).order_by("pk"))
    if sought:
        others = rows.filter(order__in=_found(sought)).exclude(pk__in=[each.pk for each in named])
        named += list(others.order_by("-pk")[:MOST_FOUND])
    persons = Patient.objects.in_bulk({each.order.patient.person for each in named})
    modalities = set(Series.objects.filter(study=study).values_list("modality", flat=True))
    items = set(RequestAttributes.objects.filter(series__study=study).values_list("accession_number", flat=True))
    proposals = tuple(
        _proposal(study, each, persons[each.order.patient.person], modalities, items, linked=each.pk in links)
        for each in named
    )
    return Case(
        study=study,
        outcome=Outcome(row.outcome),
        settled_by=row.settled_by,
        strangers=row.strangers,
        proposals=proposals,
        lines=tuple(_lines(study, proposals, modalities)),
        decisions=_decisions(study, row, linked=bool(links)),
        state=_state(study, row, links),
    )


def decide(
    study_instance_uid: str, decision: Decision, procedures: Sequence[int], by: str, seen: str
) -> tuple[int, ...]:
    """Do what a person decided who saw the state ``seen``; the procedures that the study answers now.

    Raises ``NotFound``, ``Changed`` where it is another state by now, ``Conflict`` where it can't be decided so.
    """
    with transaction.atomic():
        named = Study.objects.filter(study_instance_uid=study_instance_uid)
        patient_rows.lock_rows(named.values_list("patient_id", flat=True))
        study = named.select_for_update(of=("self",)).first()
        row = Reconciliation.objects.filter(study=study).first() if study else None
        if study is None or row is None:
            raise NotFound("the orders of this study have not been looked for yet")
        links = set(StudyOrderLink.objects.filter(study=study).values_list("procedure_id", flat=True))
        if _state(study, row, links) != seen:
            raise Changed("it was decided in the meantime, or the study has changed: look again")
        if decision not in _decisions(study, row, linked=bool(links)):
            raise Conflict("this can't be decided about the study as it is")
        if decision is Decision.REOPEN:
            reopen(study_instance_uid)
        else:
            settle(study_instance_uid, _CHOSEN[decision](procedures, sorted(links)), by)
        return tuple(StudyOrderLink.objects.filter(study=study).values_list("procedure_id", flat=True))


Choose = Callable[[Sequence[int], Sequence[int]], Sequence[int]]
# Of the procedures named and those linked now, the ones that the study answers from now on.
_CHOSEN: Final[Mapping[Decision, Choose]] = MappingProxyType(
    {
        Decision.LINK: lambda named, linked: named,
        Decision.ACCEPT: lambda named, linked: linked,
        Decision.UNSCHEDULED: lambda named, linked: (),
        Decision.RELEASE: lambda named, linked: (),
        Decision.UNLINK: lambda named, linked: (),
    }
)


def _decisions(study: Study, row: Reconciliation, *, linked: bool) -> tuple[Decision, ...]:
    possible = {
        Decision.LINK: True,
        Decision.ACCEPT: linked and not row.settled_by,
        Decision.RELEASE: study.quarantined,
        Decision.UNSCHEDULED: not (linked or study.quarantined or row.settled_by),
        Decision.UNLINK: linked,
        Decision.REOPEN: bool(row.settled_by),
    }
    return tuple(decision for decision, there in possible.items() if there)


def _state(study: Study, row: Reconciliation, links: set[int]) -> str:
    told = [
        *(study.patient_id, study.quarantined, row.outcome, row.method, row.strangers, row.settled_by),
        *(sorted(row.candidates), sorted(links)),
    ]
    return sha256(json.dumps(told).encode()).hexdigest()[:32]


def _found(sought: str) -> QuerySet[Order]:
    number = Q(accession_number=sought) | Q(placer_number=sought) | Q(filler_number=sought)
    persons = Patient.objects.filter(patient_id=sought).values("pk")
    return Order.objects.filter(number | Q(patient__in=persons) | Q(patient__merged_into__in=persons))


def _proposal(
    study: Study,
    procedure: RequestedProcedure,
    patient: Patient,
    modalities: set[str],
    items: set[str],
    *,
    linked: bool,
) -> Proposal:
    order = procedure.order
    number = order.accession_number
    same_patient = patient.pk == study.patient_id
    steps = list(procedure.steps.all())
    reasons = {
        "same Study Instance UID": procedure.study_instance_uid == study.study_instance_uid,
        "same accession number": bool(number) and number == study.accession_number,
        "named by the images' request attributes": bool(number) and number in items,
        "same patient": same_patient,
        "same modality on the same day": any(
            step.modality in modalities and step.start_date == study.study_date != "" for step in steps
        ),
    }
    told = tuple(words for words, holds in reasons.items() if holds)
    return Proposal(procedure, patient, told, linked, same_patient or not study.patient.patient_id)


def _lines(study: Study, proposals: Sequence[Proposal], modalities: set[str]) -> list[Line]:
    came, now = study.original_patient or study.patient, study.patient
    asked: list[tuple[str, str, str, Callable[[Proposal], str]]] = [
        ("Patient ID", came.patient_id, now.patient_id, lambda each: each.patient.patient_id),
        *(
            (
                "Issuer",
                came.issuer_of_patient_id,
                now.issuer_of_patient_id,
                lambda each: each.patient.issuer_of_patient_id,
            ),
            ("Patient's name", came.patient_name, now.patient_name, lambda each: each.patient.patient_name),
        ),
        ("Birth date", came.patient_birth_date, now.patient_birth_date, lambda each: each.patient.patient_birth_date),
        ("Sex", came.patient_sex, now.patient_sex, lambda each: each.patient.patient_sex),
        ("Accession number", study.accession_number, "", lambda each: each.procedure.order.accession_number),
        ("Study Instance UID", study.study_instance_uid, "", lambda each: each.procedure.study_instance_uid),
        ("Description", study.study_description, "", lambda each: each.procedure.description),
        ("Modality", ", ".join(sorted(modalities)), "", lambda each: _of_steps(each, "modality")),
        ("Date", study.study_date, "", lambda each: _of_steps(each, "start_date")),
    ]
    return [
        Line(title, first, second, tuple((value := read(each), _differ(first, value)) for each in proposals))
        for title, first, second, read in asked
    ]


def _of_steps(proposal: Proposal, name: str) -> str:
    return ", ".join(sorted({getattr(step, name) for step in proposal.procedure.steps.all()} - {""}))


def _differ(one: str, other: str) -> bool:
    """Whether two values contradict each other: one that is missing says nothing, and names are compared folded."""
    return bool(one and other) and one != other and groups(one) != groups(other)
