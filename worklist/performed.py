"""Modality Performed Procedure Steps: created, changed and read (PS3.4 F.7.2, F.8.2; IHE SWF RAD-6 and RAD-7).

What is said moves the scheduled steps that it names, and their orders. Where none is named, or the patient is another
one, it is kept as it is and moves nothing: what was done was not scheduled here.
"""

from collections.abc import Callable, Iterable, Sequence

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from archive import patient_rows
from archive.errors import Conflict, NotFound
from archive.models import Study
from archive.patient_facts import Moment
from dicom.json_items import items, text
from worklist import progress
from worklist.matching import identifiers_of
from worklist.models import Order, PerformedProcedureStep, PerformedStatus, ScheduledProcedureStep, StepStatus
from worklist.performed_rules import (
    SCHEDULED_STEPS,
    STATUS,
    STUDY_INSTANCE_UID,
    DataSet,
    changed,
    check_new,
    is_wrong_entry,
    well_formed,
)
from worklist.reconcile import wish
from worklist.states import born, transition

_STEP_ID, _ACCESSION_NUMBER = "00400009", "00080050"
_PATIENT_ID, _ISSUER = "00100020", "00100021"
Record = Callable[[PerformedProcedureStep], None]


def create(mpps_uid: str, data_set: DataSet, orders: QuerySet[Order], moment: Moment, record: Record) -> None:
    """Take up what a modality has begun; ``orders`` are those whose steps it may name.

    ``record`` is called in the transaction, just before the commit. Raises ``InvalidPerformedStep``; ``Conflict`` where
    the UID is in use.
    """
    data_set = well_formed(data_set)
    check_new(data_set)
    named = _named(data_set, orders)
    with transaction.atomic():
        by_order = _locked(step.pk for step in named)
        row, new = PerformedProcedureStep.objects.get_or_create(
            mpps_uid=mpps_uid,
            defaults={
                "data_set": {tag: data_set[tag] for tag in sorted(data_set)},
                "study_instance_uids": sorted(
                    {text(item, STUDY_INSTANCE_UID) for item in items(data_set, SCHEDULED_STEPS)}
                ),
                "made_by": moment.actor,
            },
        )
        if not new:
            raise Conflict("the UID is that of another performed procedure step (status 0111)")
        row.steps.set([step for _, steps in by_order for step in steps])
        born(row, moment)
        for order, steps in by_order:
            progress.begin(order, steps, moment)
        record(row)


def update(
    mpps_uid: str, changes: DataSet, scope: QuerySet[PerformedProcedureStep], moment: Moment, record: Record
) -> None:
    """Change what is said of a performed procedure step within ``scope``, and with its end end what it performed.

    Raises ``NotFound``, ``InvalidPerformedStep``, ``Conflict``.
    """
    changes = well_formed(changes)
    with transaction.atomic():
        seen = _within(mpps_uid, scope)
        by_order = _locked(seen.steps.values_list("pk", flat=True))
        row = PerformedProcedureStep.objects.select_for_update().get(pk=seen.pk)
        row.data_set = changed(row.data_set, changes)
        row.updated_at = timezone.now()
        row.wrong_entry = is_wrong_entry(row.data_set)
        row.save(update_fields=["data_set", "updated_at", "wrong_entry"])
        if transition(row, text(row.data_set, STATUS), moment):
            _end(row, by_order, moment)
        record(row)


def retrieve(mpps_uid: str, scope: QuerySet[PerformedProcedureStep]) -> PerformedProcedureStep:
    """What is said of a performed procedure step. Raises ``NotFound``."""
    return _within(mpps_uid, scope)


def _within(mpps_uid: str, scope: QuerySet[PerformedProcedureStep]) -> PerformedProcedureStep:
    found = scope.filter(mpps_uid=mpps_uid).first()
    if found is None:
        raise NotFound("there is no such performed procedure step (status 0112)")
    return found


def _named(data_set: DataSet, orders: QuerySet[Order]) -> Sequence[ScheduledProcedureStep]:
    """The scheduled steps that the data set says it performs, of the patient that it names.

    Step IDs and accession numbers come from several systems. What could be two persons' is of whom the study is planned
    for, and if it is planned for nobody, nobody's.
    """
    meant = Q(pk__in=[])
    for item in items(data_set, SCHEDULED_STEPS):
        if step_id := text(item, _STEP_ID):
            of = Q(procedure__study_instance_uid=text(item, STUDY_INSTANCE_UID))
            if number := text(item, _ACCESSION_NUMBER):
                of |= Q(procedure__order__accession_number=number)
            meant |= Q(step_id=step_id) & of
    steps = ScheduledProcedureStep.objects.select_related("procedure__order__patient").filter(meant)
    if orders.query.where:
        steps = steps.filter(procedure__order__in=orders)
    patient = text(data_set, _PATIENT_ID), text(data_set, _ISSUER)
    found = [step for step in steps if _is_of(step, *patient)]
    studies = {text(item, STUDY_INSTANCE_UID) for item in items(data_set, SCHEDULED_STEPS)}
    planned = [step for step in found if step.procedure.study_instance_uid in studies]
    persons = {step.procedure.order.patient.person for step in planned or found}
    return [step for step in found if step.procedure.order.patient.person in persons] if len(persons) == 1 else []


def _is_of(step: ScheduledProcedureStep, value: str, issuer: str) -> bool:
    """Who names no patient, or no issuer, may mean this one."""
    known = identifiers_of(step.procedure.order.patient.person)
    return not value or (value, issuer) in known or (not issuer and value in {each for each, _ in known})


def _locked(steps: Iterable[int]) -> list[tuple[Order, list[ScheduledProcedureStep]]]:
    """These steps by their orders, all locked: patients before orders before steps, as everywhere."""
    pks = list(steps)
    of_steps = Order.objects.filter(procedures__steps__in=pks).distinct()
    patient_rows.lock_rows({order.patient.person for order in of_steps.select_related("patient")})
    orders = Order.objects.select_for_update(of=("self",)).filter(pk__in=[order.pk for order in of_steps])
    return [
        (
            order,
            list(
                ScheduledProcedureStep.objects.select_for_update(of=("self",))
                .filter(pk__in=pks, procedure__order=order)
                .order_by("pk")
            ),
        )
        for order in orders.order_by("pk")
    ]


def _end(
    row: PerformedProcedureStep, by_order: Sequence[tuple[Order, list[ScheduledProcedureStep]]], moment: Moment
) -> None:
    for order, steps in by_order:
        if row.wrong_entry:
            progress.take_back(order, steps, moment)
            continue
        for step in steps:
            said = set(step.performed.filter(wrong_entry=False).values_list("status", flat=True))
            if PerformedStatus.IN_PROGRESS not in said:
                whole = PerformedStatus.COMPLETED in said
                progress.end([step], StepStatus.COMPLETED if whole else StepStatus.DISCONTINUED, moment)
        progress.end_if_done(order, moment)
    # Whatever comes of it is linked by a person, and complete only when nothing is being performed any more.
    wish(Study.objects.filter(study_instance_uid__in=row.study_instance_uids).values_list("pk", flat=True))
