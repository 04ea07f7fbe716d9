"""Studies and orders find each other: tried for each new series, each order, each merge (IHE SWF, PIR).

Always by a worker, one study at a time, under the locks of the patients concerned: so that it does not matter what came
first. What is wrong is hidden, what is unclear or unknown stays readable and waits in the technologist's queue.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from archive import outbox, patient_rows
from archive.models import Instance, Patient, RequestAttributes, Series, Study
from archive.outbox import Wish
from archive.patient_facts import Moment
from worklist.matching import Found, find, judge, suggestions
from worklist.models import (
    Order,
    OrderStatus,
    Outcome,
    Reconciliation,
    RequestedProcedure,
    ScheduledProcedureStep,
    StepStatus,
    StudyOrderLink,
)
from worklist.states import may, transition

# For so long an order may come after the images (and so long as it has been open already is waited in between).
RETRIED_FOR: Final = timedelta(days=30)
FIRST_RETRY: Final = timedelta(minutes=1)
_ACTOR: Final = "archive"
_NOT_BEGUN: Final = (OrderStatus.REQUESTED, OrderStatus.SCHEDULED, OrderStatus.ARRIVED)


def wish_for(order: Order) -> None:
    """Have the studies looked at that an order may be about; each way to them is an index look-up."""
    person = Patient.objects.get(pk=order.patient_id).person
    uids = list(order.procedures.values_list("study_instance_uid", flat=True))
    ways: list[QuerySet[Any, Any]] = [
        StudyOrderLink.objects.filter(procedure__order=order).values("study"),
        Reconciliation.objects.filter(outcome=Outcome.UNSCHEDULED, study__patient=person).values("study"),
    ]
    if number := order.accession_number:
        ways.append(Study.objects.filter(accession_number=number).values("pk"))
        ways.append(RequestAttributes.objects.filter(accession_number=number).values("series__study"))
    found = Study.objects.filter(study_instance_uid__in=uids).values("pk").union(*ways)
    wish(row["pk"] for row in found)


def wish(studies: Iterable[int]) -> None:
    """Have these studies looked at, in the current transaction."""
    outbox.wish(Wish(outbox.RECONCILE, str(pk)) for pk in studies)


def reconcile(subject: str) -> None:
    """The task: look for the orders of the study with this primary key."""
    if Order.objects.exists():
        with transaction.atomic():
            _reconcile(int(subject))


def _reconcile(pk: int) -> None:
    study = _locked(pk)
    if study is None:
        return
    row = Reconciliation.objects.select_for_update().filter(study=study).first() or Reconciliation(
        study=study, outcome=Outcome.UNSCHEDULED, opened_at=timezone.now()
    )
    row.strangers = Instance.objects.filter(series__study=study, patient_mismatch=True).count()
    row.tried_at = timezone.now()
    if not row.settled_by:
        found = find(study)
        row.outcome, row.method = judge(found), found.method
        row.candidates = [procedure.pk for procedure in found.procedures] or suggestions(study)
        _follow(study, found, row.outcome)
    row.save()
    age = row.tried_at - row.opened_at
    if row.outcome == Outcome.UNSCHEDULED and age < RETRIED_FOR:
        outbox.wish([Wish(outbox.RECONCILE, str(pk), max(age, FIRST_RETRY).total_seconds())])


def _locked(pk: int) -> Study | None:
    """The study, locked after the patients that it may concern; None if it is gone."""
    held: set[int] = set()
    while True:
        study = Study.objects.select_related("patient").filter(pk=pk).first()
        if study is None:
            return None
        wanted = {study.patient_id, *(row.order.patient.person for row in find(study).procedures)}
        if wanted <= held:
            return Study.objects.select_for_update(of=("self",)).select_related("patient").filter(pk=pk).first()
        held |= wanted
        patient_rows.lock_rows(held)


def _follow(study: Study, found: Found, outcome: Outcome) -> None:
    """Do what the outcome says: link, hide, or let be."""
    moment = Moment(timezone.now(), _ACTOR)
    linked = found.procedures if outcome is Outcome.LINKED else ()
    machine = StudyOrderLink.objects.filter(study=study, made_by="")
    machine.exclude(procedure__in=[procedure.pk for procedure in linked]).delete()
    if linked and found.unqualified and found.patient is not None:
        patient_rows.move_studies([study.pk], Patient.objects.get(pk=found.patient))
        patient_rows.refresh([study.pk])
    for procedure in linked:
        StudyOrderLink.objects.get_or_create(study=study, procedure=procedure, defaults={"method": found.method})
        _begin(study, procedure, moment)
    hide(study, hidden=outcome is Outcome.CONFLICT)


def hide(study: Study, *, hidden: bool) -> None:
    """Keep a locked study from view, or show it again."""
    if study.quarantined != hidden:
        study.quarantined = hidden
        study.save(update_fields=["quarantined"])


def _begin(study: Study, procedure: RequestedProcedure, moment: Moment) -> None:
    """The order has images: it is STARTED with its steps for these modalities; cancelled before, it is flagged."""
    order = Order.objects.select_for_update().get(pk=procedure.order_id)
    if order.status in _NOT_BEGUN:
        transition(order, OrderStatus.STARTED, moment)
    elif order.status == OrderStatus.CANCELED and not order.cancelled_with_images:
        order.cancelled_with_images = True
        order.save(update_fields=["cancelled_with_images"])
    modalities = Series.objects.filter(study=study).values("modality")
    steps = ScheduledProcedureStep.objects.select_for_update(of=("self",)).filter(procedure=procedure)
    named = RequestAttributes.objects.filter(series__study=study).exclude(scheduled_procedure_step_id="")
    named_steps = steps.filter(step_id__in=named.values("scheduled_procedure_step_id"))
    for step in named_steps or steps.filter(modality__in=modalities):
        if may(step, StepStatus.STARTED):
            transition(step, StepStatus.STARTED, moment)
