"""The modality worklist by its keys: what is answered, what is left out, and what an entry says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset

from archive import patients
from archive.errors import InvalidQuery
from archive.patient_facts import PatientFacts
from tests.worklist.making import HEAD, UID, A, B, at, send
from worklist.models import Order
from worklist.order_messages import EntityIdentifier, OrderFacts, ProcedureFacts, StepFacts
from worklist.worklist_search import KEYS, WorklistFound, WorklistQuery
from worklist.worklist_search import search as search_of

pytestmark = pytest.mark.django_db


def search(query: WorklistQuery) -> WorklistFound:
    return search_of(query, Order.objects.all())


def found(**matches: str) -> list[str]:
    """The ids of the steps that are answered."""
    items = search(WorklistQuery(matches)).items
    return [one["00400100"]["Value"][0]["00400009"]["Value"][0] for one in items]


def second(**step: Any) -> OrderFacts:
    facts = StepFacts("S9", "MR", ("MR01", "MR02"), start_date="20250111", start_time="080000", **step)
    return OrderFacts(
        filler=EntityIdentifier("F2", "RIS"),
        accession=EntityIdentifier("B200", "RIS"),
        procedures=(ProcedureFacts("RP9", "1.2.3.4", steps=(facts,)),),
    )


@pytest.fixture
def _two_orders() -> None:
    send()
    send(second(performing_physician="Tech^Tom"), patient=B)


@pytest.mark.usefixtures("_two_orders")
@pytest.mark.parametrize(
    ("matches", "steps"),
    [
        ({}, ["SPS1", "SPS2", "S9"]),
        ({"Modality": "CT"}, ["SPS1", "SPS2"]),
        ({"ScheduledStationAETitle": "MR02"}, ["S9"]),
        ({"ScheduledProcedureStepStartDate": "20250110-20250110"}, ["SPS1", "SPS2"]),
        (
            {
                "ScheduledProcedureStepStartDate": "20250110-20250111",
                "ScheduledProcedureStepStartTime": "091000-080000",
            },
            ["SPS2", "S9"],
        ),
        ({"ScheduledPerformingPhysicianName": "tech*"}, ["S9"]),
        ({"PatientID": "123"}, ["SPS1", "SPS2"]),
        ({"PatientID": "12?"}, ["SPS1", "SPS2", "S9"]),
        ({"PatientName": "muller^jane"}, ["SPS1", "SPS2", "S9"]),
        ({"AccessionNumber": "B200"}, ["S9"]),
        ({"StudyInstanceUID": UID}, ["SPS1", "SPS2"]),
        ({"RequestedProcedureID": "RP9"}, ["S9"]),
        ({"PatientID": "*"}, ["SPS1", "SPS2", "S9"]),
        ({"ScheduledProcedureStepStatus": "CANCELED"}, []),
    ],
)
def test_keys(matches: dict[str, str], steps: list[str]) -> None:
    assert found(**matches) == steps


def test_what_is_over_or_on_hold_is_left_out() -> None:
    send()
    keys = OrderFacts(filler=HEAD.filler)
    send(keys, "HD", "HD")
    assert found() == []
    send(keys, "RL", "SC")
    assert len(found()) == 2
    send(keys, "CA", "CA")
    assert found() == []


def test_an_entry_says_what_a_modality_needs() -> None:
    attributes = (("PatientWeight", "70.5"), ("Allergies", "latex"), ("PatientSize", "tall"), ("NoSuchThing", "x"))
    send(replace(HEAD, attributes=attributes))
    entry = search(WorklistQuery({"ScheduledProcedureStepID": "SPS1"})).items[0]
    assert list(entry) == sorted(entry)
    ds = Dataset.from_json(entry)
    assert (ds.PatientName, ds.PatientID, ds.IssuerOfPatientID) == ("MÜLLER^JANE", "123", "HOSP")
    assert (ds.AccessionNumber, ds.RequestedProcedureID, ds.StudyInstanceUID) == ("A100", "RP1", UID)
    assert (ds.PatientWeight, ds.Allergies, ds.RequestedProcedurePriority) == (70.5, "latex", "STAT")
    assert ds.RequestedProcedureCodeSequence[0].CodeValue == "CTHEAD"
    assert ds.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "RIS"
    step = ds.ScheduledProcedureStepSequence[0]
    assert (step.ScheduledStationAETitle, step.ScheduledProcedureStepStartDate) == ("CT01", "20250110")
    assert (step.Modality, step.ScheduledProcedureStepStatus) == ("CT", "SCHEDULED")


def test_an_entry_is_of_the_patient_that_a_merge_left() -> None:
    send(patient=B)
    with transaction.atomic():
        patients.merge(B, PatientFacts((A,), name="SURVIVOR^S"), at(1))
    assert found(PatientID="123") == ["SPS1", "SPS2"]
    assert found(PatientID="124") == []
    assert Dataset.from_json(search(WorklistQuery()).items[0]).PatientName == "SURVIVOR^S"


def test_pages_and_queries() -> None:
    send()
    send(second(), patient=B)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = search(WorklistQuery(limit=2))
    assert (len(page.items), page.truncated, len(queries)) == (2, True, 2)
    assert not search(WorklistQuery(limit=2, offset=2)).truncated
    with pytest.raises(InvalidQuery):
        search(WorklistQuery({"Rows": "1"}))
    with pytest.raises(InvalidQuery):
        search(WorklistQuery({"ScheduledProcedureStepStartDate": "soon"}))
    assert len({key.tag for key in KEYS.values()}) == len(KEYS)
