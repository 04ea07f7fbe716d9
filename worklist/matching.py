"""Which procedures a study answers (IHE SWF, PIR): what is compared, and THE table of what follows from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Q, QuerySet

from archive.models import Patient, RequestAttributes, Series, Study
from worklist.models import OrderStatus, Outcome, PerformedProcedureStep, RequestedProcedure
from worklist.persons import orders_of

# Orders that nobody works on any more are found by the Study Instance UID alone.
_CLOSED: Final = (OrderStatus.CANCELED, OrderStatus.DISCONTINUED, OrderStatus.REPLACED)
_MOST_SUGGESTIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Found:
    """The procedures that a study names, how, and of how many patients, issuers and years their orders are.

    ``same``: the orders are of the study's patient. ``unqualified``: they are, but the study's objects do not say whose
    identifier they carry, so that the study becomes that of ``patient``. ``unknown``: the objects name no patient.
    ``wrong_entry``: the modality says that the wrong worklist entry was picked for it.
    """

    procedures: tuple[RequestedProcedure, ...]
    method: str
    groups: int
    patient: int | None
    same: bool
    unqualified: bool
    unknown: bool
    wrong_entry: bool


# In this order; the first that is true counts.
RULES: Final[Sequence[tuple[Callable[[Found], bool], Outcome]]] = (
    (lambda found: found.wrong_entry, Outcome.WRONG_ENTRY),
    (lambda found: not found.procedures, Outcome.UNSCHEDULED),
    (lambda found: found.groups > 1, Outcome.AMBIGUOUS),
    (lambda found: found.same or found.unqualified, Outcome.LINKED),
    (lambda found: found.unknown, Outcome.AMBIGUOUS),
    (lambda found: True, Outcome.CONFLICT),
)


def judge(found: Found) -> Outcome:
    """What is done with a study."""
    return next(outcome for applies, outcome in RULES if applies(found))


def find(study: Study) -> Found:
    """The procedures that ``study`` names: by its UID, by its accession number, by its request attributes."""
    requested = RequestAttributes.objects.filter(series__study=study).exclude(accession_number="")
    items = set(requested.values_list("accession_number", flat=True))
    everything = RequestedProcedure.objects.select_related("order__patient").order_by("pk")
    by_uid = list(everything.filter(study_instance_uid=study.study_instance_uid).exclude(order__status="REPLACED"))
    still_open = everything.exclude(order__status__in=_CLOSED)
    by_number = _by_number(still_open, {study.accession_number} - {""})
    by_item = _by_number(still_open, items)
    ways = (("study_uid", by_uid), ("accession", by_number), ("request_attributes", by_item))
    method = next((name for name, rows in ways if rows), "")
    if by_uid:
        # Of the other numbers those that belong to the same person: one study for several orders.
        persons = {row.order.patient.person for row in by_uid}
        others = [row for row in (*by_number, *by_item) if row.order.patient.person in persons]
        procedures, groups = [*by_uid, *others], len(persons)
    else:
        procedures = [*by_number, *by_item]
        groups = _groups(procedures)
    return _compared(study, list({row.pk: row for row in procedures}.values()), method, groups)


def suggestions(study: Study) -> list[int]:
    """Procedures of the study's patient for one of its modalities on its day: for a person to pick from."""
    modalities = Series.objects.filter(study=study).exclude(modality="").values("modality")
    found = RequestedProcedure.objects.filter(
        order__in=orders_of(study.patient_id).exclude(status__in=_CLOSED),
        steps__modality__in=modalities,
        steps__start_date=study.study_date,
    )
    return list(found.order_by("pk").values_list("pk", flat=True).distinct()[:_MOST_SUGGESTIONS])


def _by_number(rows: QuerySet[RequestedProcedure], numbers: set[str]) -> list[RequestedProcedure]:
    return list(rows.filter(order__accession_number__in=numbers)) if numbers else []


def _groups(procedures: Sequence[RequestedProcedure]) -> int:
    """Of how many patients, issuers and years the orders of one accession number are; the largest of them."""
    of_number: dict[str, set[tuple[int, str, int]]] = {}
    persons = set()
    for row in procedures:
        order = row.order
        persons.add(order.patient.person)
        key = (order.patient.person, order.accession_issuer, order.created_at.year)
        of_number.setdefault(order.accession_number, set()).add(key)
    return max([len(persons), *map(len, of_number.values())], default=0)


def _compared(study: Study, procedures: list[RequestedProcedure], method: str, groups: int) -> Found:
    patient, own = (procedures[0].order.patient if procedures else None), study.patient
    person = patient.person if patient else None
    values = identifiers_of(person) if person is not None else set()
    named = own.patient_id, own.issuer_of_patient_id
    # Who says no issuer may mean this one: the study names the order, and the value is the same.
    unqualified = bool(named[0]) and not named[1] and named[0] in {value for value, _ in values}
    wrong = PerformedProcedureStep.objects.filter(
        wrong_entry=True, study_instance_uids__contains=[study.study_instance_uid]
    )
    return Found(
        procedures=tuple(procedures),
        method=method,
        groups=groups,
        patient=person,
        same=person == own.pk or (named[0], "") in values,
        unqualified=unqualified and person != own.pk,
        unknown=not own.patient_id,
        wrong_entry=wrong.exists(),
    )


def identifiers_of(person: int) -> set[tuple[str, str]]:
    """Every identifier of a patient, as value and issuer."""
    rows = Patient.objects.filter(Q(pk=person) | Q(merged_into=person)).exclude(patient_id="")
    return set(rows.values_list("patient_id", "issuer_of_patient_id"))
