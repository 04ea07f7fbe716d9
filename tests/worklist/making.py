"""Patients, orders and images made on the spot, and the workers' part done at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

from django.db import connection, transaction
from pydicom.uid import generate_uid

from archive import outbox, patients
from archive.models import OutboxEntry, Study
from archive.patient_facts import Identifier, Moment, PatientFacts
from archive.store import Batching, store
from archive.tasks import TASKS
from tests.dicomweb.objects import make_object
from worklist import orders
from worklist.order_messages import (
    Code,
    EntityIdentifier,
    OrderApplied,
    OrderFacts,
    ProcedureFacts,
    StepFacts,
)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)
NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)
A, B = Identifier("123", "HOSP", type="MR"), Identifier("124", "HOSP", type="MR")
UID = "1.2.840.99.1"
PLACER, FILLER = EntityIdentifier("P1", "EPIC"), EntityIdentifier("F1", "RIS")
HEAD = OrderFacts(
    placer=PLACER,
    filler=FILLER,
    accession=EntityIdentifier("A100", "RIS"),
    priority="STAT",
    reason="trauma",
    referring="REF^RUTH",
    procedures=(
        ProcedureFacts(
            procedure_id="RP1",
            study_instance_uid=UID,
            code=Code("CTHEAD", "L", "CT HEAD"),
            description="CT HEAD",
            steps=(
                StepFacts("SPS1", "CT", ("CT01",), "R1", "CTROOM", "20250110", "090000", "Non contrast"),
                StepFacts("SPS2", "CT", ("CT01",), "R1", "CTROOM", "20250110", "091500", "Contrast"),
            ),
        ),
    ),
)


def at(minutes: int = 0) -> Moment:
    return Moment(NOON + timedelta(minutes=minutes), "ris", f"M{minutes}")


def send(
    facts: OrderFacts = HEAD, control: str = "NW", status: str = "SC", *, patient: Identifier = A, minutes: int = 0
) -> OrderApplied:
    """One message: its patient and its order, in one transaction."""
    with transaction.atomic():
        applied = patients.apply(PatientFacts((patient,), name="MÜLLER^JANE"), at(minutes))
        return orders.apply(applied.patient, facts, control, status, at(minutes))


def image(identifier: Identifier = A, **values: Any) -> Study:
    """Store one object of the patient; returns its study."""
    study = values.setdefault("StudyInstanceUID", generate_uid())
    if identifier.issuer:
        values["IssuerOfPatientID"] = identifier.issuer
    data = make_object(PatientID=identifier.value, **{"AccessionNumber": "", **values})
    [stored] = store([iter([data])], batching=BATCHING, record=lambda batch: None)
    assert stored.failure_reason is None
    return Study.objects.get(study_instance_uid=study)


def work() -> None:
    """Look for the orders of all studies for which that is wished now."""
    for entry in OutboxEntry.objects.filter(kind=outbox.RECONCILE).order_by("pk"):
        outbox.run(entry.pk, TASKS)
    assert not OutboxEntry.objects.filter(kind=outbox.RECONCILE, attempts__gt=0).exclude(last_error="").exists()


def at_once(calls: Sequence[Callable[[], object]]) -> None:
    """Each call by a worker of its own, all starting together."""
    start = Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            start.wait(60)
            call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as workers:
        list(workers.map(run, calls))
