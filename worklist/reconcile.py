"""Studies and orders find each other: tried for each new series, each order, each merge (IHE SWF, PIR).

Always by a worker, one study at a time, under the locks of the patients concerned: so that it does not matter what came
first. What is wrong is hidden, what is unclear or unknown stays readable and waits in the technologist's queue.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from archive import outbox, patient_rows
from archive.models import Instance, Patient, RequestAttributes, Series, Study
from archive.outbox import Wish
from archive.patient_facts import Moment
from archive.told_changes import tell
from audit.prepared import PreparedSql
from telemetry.metrics import RECONCILED
from worklist import completion, progress
from worklist.matching import Found, find, judge, suggestions
from worklist.models import (
    Order,
    OrderStatus,
    Outcome,
    Reconciliation,
    RequestedProcedure,
    ScheduledProcedureStep,
    StudyOrderLink,
)

# For so long an order may come after the images (and so long as it has been open already is waited in between).
RETRIED_FOR: Final = timedelta(days=30)
FIRST_RETRY: Final = timedelta(minutes=1)
_ACTOR: Final = "archive"
# The studies that an order may be about; each way to them is an index look-up.
_ABOUT: Final = PreparedSql("""
    SELECT id FROM archive_study WHERE study_instance_uid IN (
        SELECT study_instance_uid FROM worklist_requestedprocedure WHERE order_id = %s)
    UNION SELECT link.study_id FROM worklist_studyorderlink AS link
        JOIN worklist_requestedprocedure AS procedure ON procedure.id = link.procedure_id WHERE procedure.order_id = %s
    UNION SELECT study.id FROM archive_study AS study JOIN worklist_reconciliation AS found ON found.study_id = study.id
        WHERE study.patient_id = %s AND found.outcome = 'UNSCHEDULED'
    UNION SELECT id FROM archive_study WHERE accession_number = %s AND accession_number <> ''
    UNION SELECT series.study_id FROM archive_requestattributes AS request
        JOIN archive_series AS series ON series.id = request.series_id
        WHERE request.accession_number = %s AND request.accession_number <> ''
""")
# What nobody is to read before somebody has looked.
_HIDDEN: Final = (Outcome.CONFLICT, Outcome.WRONG_ENTRY)


def wish_for(order: Order, person: int) -> None:
    """Have the studies looked at that an order of this patient may be about."""
    wish(pk for (pk,) in _ABOUT.rows([order.pk, order.pk, person, *[order.accession_number] * 2]))


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
        RECONCILED.labels(str(row.outcome).lower()).inc()
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
        begin(study, procedure, moment)
    if linked:
        completion.look(study)
    hide(study, hidden=outcome in _HIDDEN)


def hide(study: Study, *, hidden: bool) -> None:
    """Keep a locked study from view, or show it again."""
    if study.quarantined != hidden:
        study.quarantined = hidden
        study.save(update_fields=["quarantined"])
        if not hidden:
            # Whoever was not shown it has read past the news of its objects.
            tell(study.series.values_list("pk", flat=True))


def begin(study: Study, procedure: RequestedProcedure, moment: Moment) -> None:
    """The order has images: it is STARTED with its steps for these modalities; cancelled before, it is flagged."""
    order = Order.objects.select_for_update().get(pk=procedure.order_id)
    if order.status == OrderStatus.CANCELED and not order.cancelled_with_images:
        order.cancelled_with_images = True
        order.save(update_fields=["cancelled_with_images"])
    modalities = Series.objects.filter(study=study).values("modality")
    steps = ScheduledProcedureStep.objects.select_for_update(of=("self",)).filter(procedure=procedure)
    named = RequestAttributes.objects.filter(series__study=study).exclude(scheduled_procedure_step_id="")
    named_steps = steps.filter(step_id__in=named.values("scheduled_procedure_step_id"))
    progress.begin(order, named_steps or steps.filter(modality__in=modalities), moment)
