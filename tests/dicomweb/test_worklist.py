"""The modality worklist over DICOMweb (PS3.18 14): who asks, by which keys, in which form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.reading import parts_of, problem_of, value
from tests.worklist.making import HEAD, A, B, send
from worklist.order_messages import EntityIdentifier, OrderFacts, ProcedureFacts, StepFacts

pytestmark = pytest.mark.django_db
LIST = "modality-scheduled-procedure-steps"
STEPS = "00400100"


def second() -> OrderFacts:
    facts = StepFacts("S9", "MR", ("MR01", "MR02"), start_date="20250111", start_time="080000")
    return OrderFacts(
        filler=EntityIdentifier("F2", "RIS"),
        accession=EntityIdentifier("B200", "RIS"),
        attributes=(("InstitutionName", "North Clinic"),),
        procedures=(ProcedureFacts("RP9", "1.2.3.4", steps=(facts,)),),
    )


@pytest.fixture
def _orders() -> None:
    send()
    send(second(), patient=B)


def steps(door: Door, query: str = "") -> list[str]:
    """The ids of the steps that are answered."""
    response = door.get(f"{LIST}?{query}")
    assert response.status_code == 200, response.content
    return [value(item[STEPS]["Value"][0], "00400009") for item in response.json()]


@pytest.mark.usefixtures("_orders")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["SPS1", "SPS2", "S9"]),
        ("ScheduledProcedureStepSequence.Modality=CT", ["SPS1", "SPS2"]),
        ("00400100.00080060=MR", ["S9"]),
        ("Modality=MR", ["S9"]),
        ("00400001=MR02", ["S9"]),
        ("00400100.00400001=CT*", ["SPS1", "SPS2"]),
        ("ScheduledStationAETitle=?R01", ["S9"]),
        ("ScheduledStationAETitle=MR", []),
        ("00400002=20250110-20250111&00400003=091000-080000", ["SPS2", "S9"]),
        ("PatientName=muller*&fuzzymatching=true", ["SPS1", "SPS2", "S9"]),
        ("00100020=124", ["S9"]),
        ("AccessionNumber=A1??", ["SPS1", "SPS2"]),
        ("StudyInstanceUID=1.2.3.4,1.2.3.5", ["S9"]),
        ("limit=1&offset=1", ["SPS2"]),
        ("limit=0", []),
        ("includefield=all&includefield=00400100.00400010", ["SPS1", "SPS2", "S9"]),
    ],
)
def test_keys(technologist: Door, query: str, found: list[str]) -> None:
    assert steps(technologist, query) == found


@pytest.mark.usefixtures("_orders")
@pytest.mark.parametrize(
    "query",
    [
        "00400002=soon",
        "limit=many",
        "fuzzymatching=perhaps",
        "Modality=CT&00080060=CT",
        "PatientID=%00",
        "PatientID=%zz",
    ],
)
def test_what_is_malformed(technologist: Door, query: str) -> None:
    problem_of(technologist.get(f"{LIST}?{query}"), 400)


@pytest.mark.usefixtures("_orders")
def test_what_is_asked_for_in_vain_is_named_and_so_is_a_list_that_is_cut(technologist: Door) -> None:
    response = technologist.get(f"{LIST}?Rows=1&RequestedProcedureCodeSequence.CodeValue=X&limit=2")
    assert len(response.json()) == 2
    warning = response["Warning"]
    assert 'The Rows parameter is not supported."' in warning
    assert "RequestedProcedureCodeSequence.CodeValue" in warning
    assert "exceeds the limit of 2" in warning
    assert "Warning" not in technologist.get(f"{LIST}?includefield=PatientWeight")


@pytest.mark.usefixtures("_orders")
def test_xml_and_what_is_not_acceptable(technologist: Door) -> None:
    response = technologist.get(f"{LIST}?Modality=MR", accept='multipart/related; type="application/dicom+xml"')
    [(headers, body)] = parts_of(response)
    assert headers["content-type"] == "application/dicom+xml"
    assert b'keyword="ScheduledProcedureStepSequence"' in body
    nothing = technologist.get(f"{LIST}?Modality=US", accept='multipart/related; type="application/dicom+xml"')
    assert nothing.status_code == 204
    problem_of(technologist.get(LIST, accept="image/png"), 406)


@pytest.mark.usefixtures("_orders")
def test_the_search_is_in_the_trail_without_whom_it_found(technologist: Door) -> None:
    technologist.get(f"{LIST}?Modality=CT")
    event = AccessEvent.objects.order_by("-sequence").first()
    assert event is not None
    assert (event.kind, event.query, event.instance_count) == ("search", "Modality=CT", 2)
    assert event.path.endswith(f"/{LIST}")


@pytest.mark.usefixtures("_orders")
@pytest.mark.parametrize(
    ("kind", "limit", "found"),
    [
        ("site", "North Clinic", ["S9"]),
        ("site", "South Clinic", []),
        ("department", "Ward 3", []),
        ("issuer", "HOSP", ["SPS1", "SPS2", "S9"]),
        ("issuer", "CLINIC", []),
    ],
)
def test_a_limit_of_the_role_is_one_of_the_orders(limited: Any, kind: str, limit: str, found: list[str]) -> None:
    assert steps(limited(kind, limit)) == found


@pytest.mark.usefixtures("_orders")
def test_a_device_asks_and_others_do_not(door_for: Callable[..., Door]) -> None:
    assert steps(door_for("device"), "Modality=MR") == ["S9"]
    for role in ("administrator", "radiologist", "nurse", "patient", "auditor"):
        problem_of(door_for(role).get(LIST), 403)


def test_steps_that_came_to_an_end_leave_the_list(technologist: Door) -> None:
    send()
    send(HEAD, "CA", "CA", minutes=1)
    assert steps(technologist) == []
    assert steps(technologist, f"00400020=CANCELED&PatientID={A.value}") == []
