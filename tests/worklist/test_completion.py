"""Orders are done when their images have been quiet for a while; what comes later moves nothing back and is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from archive import metadata, outbox
from archive.models import Instance, OutboxEntry, Series, Study
from archive.tasks import TASKS
from tests.worklist.making import UID, A, image, send, work
from worklist.completion import COMPLETE
from worklist.models import Order, PerformedProcedureStep, ScheduledProcedureStep, StateEvent
from worklist.order_messages import EntityIdentifier, OrderFacts, ProcedureFacts, StepFacts
from worklist.queue import settle
from worklist.states import state_changed

pytestmark = pytest.mark.django_db


def finish() -> None:
    """Ask now whether studies are complete for which that is wished."""
    for entry in OutboxEntry.objects.filter(kind=COMPLETE).order_by("pk"):
        outbox.run(entry.pk, TASKS)
    assert not OutboxEntry.objects.filter(kind=COMPLETE).exclude(last_error="").exists()


def quiet(study: Study, minutes: int = 10) -> None:
    """Its images came so long ago."""
    Instance.objects.filter(series__study=study).update(created_at=timezone.now() - timedelta(minutes=minutes))


def states() -> tuple[str, set[str]]:
    return Order.objects.get().status, set(ScheduledProcedureStep.objects.values_list("status", flat=True))


def of_study() -> list[tuple[str, str]]:
    return list(StateEvent.objects.filter(machine="study").order_by("pk").values_list("before", "after"))


def test_a_quiet_study_completes_its_order_and_one_that_is_arriving_does_not() -> None:
    send()
    study = image(A, StudyInstanceUID=UID)
    work()
    finish()
    assert states() == ("STARTED", {"STARTED"})
    entry = OutboxEntry.objects.get(kind=COMPLETE)
    assert timedelta() < entry.not_before - timezone.now() <= timedelta(seconds=60)
    # A second series comes while the first is long there.
    quiet(study)
    image(A, StudyInstanceUID=UID)
    work()
    finish()
    assert states() == ("STARTED", {"STARTED"})
    quiet(study)
    finish()
    assert states() == ("COMPLETED", {"COMPLETED"})
    assert of_study() == [("", "COMPLETE")]
    assert not OutboxEntry.objects.filter(kind=COMPLETE).exists()


@pytest.mark.parametrize("new_series", [True, False])
def test_late_images_move_nothing_back_and_are_told(new_series: bool) -> None:
    send()
    study = image(A, StudyInstanceUID=UID, SeriesInstanceUID="1.2.7")
    work()
    quiet(study)
    finish()
    told: list[tuple[str, str]] = []

    def hear(sender: Any, event: StateEvent, **_: Any) -> None:
        told.append((event.machine, event.after))

    state_changed.connect(hear)
    try:
        image(A, StudyInstanceUID=UID, **({} if new_series else {"SeriesInstanceUID": "1.2.7"}))
        work()
        for series in Series.objects.filter(study=study):
            metadata.prepare(str(series.pk))
        assert told == [("study", "LATE")]
        assert states() == ("COMPLETED", {"COMPLETED"})
        quiet(study)
        finish()
    finally:
        state_changed.disconnect(hear)
    assert of_study() == [("", "COMPLETE"), ("COMPLETE", "LATE"), ("LATE", "COMPLETE")]
    assert states() == ("COMPLETED", {"COMPLETED"})


def test_what_is_being_performed_is_waited_for_but_not_for_ever() -> None:
    send()
    study = image(A, StudyInstanceUID=UID)
    work()
    quiet(study)
    row = PerformedProcedureStep.objects.create(mpps_uid="1.2.9", data_set={}, study_instance_uids=[UID])
    finish()
    assert states()[0] == "STARTED"
    PerformedProcedureStep.objects.filter(pk=row.pk).update(updated_at=timezone.now() - timedelta(days=1))
    finish()
    assert states()[0] == "COMPLETED"


def test_an_order_waits_for_each_procedure_and_for_steps_of_later_days() -> None:
    later = f"{timezone.localdate() + timedelta(days=2):%Y%m%d}"
    facts = OrderFacts(
        filler=EntityIdentifier("F1", "RIS"),
        procedures=(
            ProcedureFacts("RP1", "1.2.3", steps=(StepFacts("S1", "CT"), StepFacts("S2", "NM", start_date=later))),
            ProcedureFacts("RP2", "1.2.4", steps=(StepFacts("S3", "CT"),)),
        ),
    )
    send(facts)
    for uid in ("1.2.3", "1.2.4"):
        study = image(A, StudyInstanceUID=uid)
        work()
        quiet(study)
        finish()
        assert Order.objects.get().status == "STARTED"
    ScheduledProcedureStep.objects.filter(step_id="S2").update(start_date="20200101")
    image(A, StudyInstanceUID="1.2.3")
    work()
    quiet(Study.objects.get(study_instance_uid="1.2.3"))
    finish()
    assert Order.objects.get().status == "COMPLETED"
    assert ScheduledProcedureStep.objects.get(step_id="S2").status == "SCHEDULED"


def test_a_study_that_a_person_links_begins_and_completes_the_order() -> None:
    send()
    study = image(A)
    work()
    settle(study.study_instance_uid, [the_procedure()], "someone")
    assert states() == ("STARTED", {"STARTED"})
    quiet(study)
    finish()
    assert states() == ("COMPLETED", {"COMPLETED"})


def the_procedure() -> int:
    return Order.objects.get().procedures.get().pk


def test_what_nobody_ordered_is_left_alone() -> None:
    send()
    study = image(A, StudyInstanceUID="1.2.3")
    for series in Series.objects.filter(study=study):
        metadata.prepare(str(series.pk))
    assert not OutboxEntry.objects.filter(kind=COMPLETE).exists()
    TASKS[COMPLETE]("0")
    TASKS[COMPLETE](str(study.pk))
    assert of_study() == []
