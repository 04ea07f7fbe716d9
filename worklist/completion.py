"""When all images of a study are there (order COMPLETED), and when there are more after all (LATE).

Nobody says which image is the last. A study is complete when nothing of it has come for a while, none of its series is
being performed by what modalities say, and nothing of its order is still to come. What comes later moves nothing back.
The state of a study is that of its newest StateEvent: COMPLETE, LATE, COMPLETE once more.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from archive import outbox, patient_rows
from archive.models import Instance, Study
from archive.outbox import Wish
from archive.patient_facts import Moment
from worklist import progress
from worklist.models import (
    Order,
    PerformedProcedureStep,
    PerformedStatus,
    ScheduledProcedureStep,
    StateEvent,
    StepStatus,
    StudyOrderLink,
)
from worklist.states import note

# The task that asks whether a study is complete; its subject is the study's primary key.
COMPLETE: Final = outbox.STUDY_COMPLETE
_ACTOR: Final = "archive"
_DONE, _LATE = "COMPLETE", "LATE"
# A modality that never says that it has finished keeps nobody waiting for longer.
_PERFORMED_AT_MOST: Final = timedelta(hours=12)
_ASKED_AGAIN: Final = timedelta(minutes=10)


def look(study: Study) -> None:
    """Something of a linked study may have come: ask whether it is complete when it has been quiet for a while."""
    last = _last_image(study.pk)
    event = _newest(study.pk)
    if event is not None and event.after == _DONE and last is not None and last > event.made_at:
        note("study", study, _DONE, _LATE, Moment(last, _ACTOR))
    outbox.wish([Wish(COMPLETE, str(study.pk), settings.PACS.worklist.quiet_seconds)])


def series_prepared(series: int, **_: Any) -> None:
    """The receiver of ``archive.metadata.series_prepared``: images of linked studies are news."""
    link = StudyOrderLink.objects.filter(study__series=series).select_related("study").first()
    if link is not None:
        with transaction.atomic():
            look(link.study)


def complete_study(subject: str) -> None:
    """The task: if the study with this primary key is complete, so are the orders of which it was the last."""
    with transaction.atomic():
        study, orders = _locked(int(subject))
        last = _last_image(study.pk) if study is not None else None
        if study is None or study.quarantined or last is None or not orders:
            return
        wait = _still_to_wait(study, orders, last)
        if wait is not None:
            outbox.wish([Wish(COMPLETE, subject, wait.total_seconds())])
            return
        moment = Moment(timezone.now(), _ACTOR)
        for order in orders:
            if _is_whole(order):
                progress.complete(order, moment)
        event = _newest(study.pk)
        if event is None or event.after != _DONE:
            note("study", study, event.after if event else "", _DONE, moment)


def _still_to_wait(study: Study, orders: list[Order], last: datetime) -> timedelta | None:
    """How long until it is worth asking again; ``None`` where there is nothing to wait for."""
    now = timezone.now()
    quiet = timedelta(seconds=settings.PACS.worklist.quiet_seconds)
    if now - last < quiet:
        return quiet - (now - last)
    about = Q(steps__procedure__order__in=orders) | Q(study_instance_uids__contains=[study.study_instance_uid])
    performed = PerformedProcedureStep.objects.filter(about, status=PerformedStatus.IN_PROGRESS)
    return _ASKED_AGAIN if performed.filter(updated_at__gt=now - _PERFORMED_AT_MOST).exists() else None


def _is_whole(order: Order) -> bool:
    """Whether each procedure has its images, or came to an end without any, and no step of a later day is to come."""
    steps = ScheduledProcedureStep.objects.filter(procedure__order=order)
    to_come = steps.filter(status__in=(StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY))
    if to_come.filter(start_date__gt=f"{timezone.localdate():%Y%m%d}").exists():
        return False
    quiet = timezone.now() - timedelta(seconds=settings.PACS.worklist.quiet_seconds)
    for procedure in order.procedures.all():
        studies: list[int] = list(procedure.study_links.values_list("study_id", flat=True))
        if any((last := _last_image(pk)) is not None and last > quiet for pk in studies):
            return False
        if not studies and procedure.steps.exclude(status__in=progress.ENDED).exists():
            return False
    return True


def _locked(pk: int) -> tuple[Study | None, list[Order]]:
    """The study and the orders that it answers, locked after the patients that it may concern."""
    named = Order.objects.filter(procedures__study_links__study=pk).distinct()
    persons = {order.patient.person for order in named.select_related("patient")}
    persons.update(Study.objects.filter(pk=pk).values_list("patient_id", flat=True))
    patient_rows.lock_rows(persons)
    study = Study.objects.select_for_update(of=("self",)).filter(pk=pk).first()
    orders = Order.objects.select_for_update(of=("self",)).filter(pk__in=named.values("pk"))
    return study, list(orders.order_by("pk"))


def _last_image(study: int) -> datetime | None:
    last: datetime | None = Instance.objects.filter(series__study=study).aggregate(last=Max("created_at"))["last"]
    return last


def _newest(study: int) -> StateEvent | None:
    return StateEvent.objects.filter(machine="study", subject=study).order_by("-pk").first()
