"""PS3.18 14 and 15: the modality worklist, and what modalities say that they performed."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.uid import generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import JSON, XML, Site
from tests.conformance.trap_server import problem_of, value

WORKLIST = "modality-scheduled-procedure-steps"
PERFORMED = "modality-performed-procedure-steps"
HEADERS = {"Content-Type": JSON, "Accept": JSON}
NOTHING = "00400100.00400001=NOBODY"


def of(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def begun() -> dict[str, Any]:
    return {
        "00080060": of("CS", "CT"),
        "00400241": of("AE", "CT01"),
        "00400244": of("DA", "20250110"),
        "00400245": of("TM", "090500"),
        "00400252": of("CS", "IN PROGRESS"),
        "00400253": of("SH", "PPS1"),
        "00400270": of("SQ", {"0020000D": of("UI", str(generate_uid()))}),
        "00400340": {"vr": "SQ"},
    }


def ended() -> dict[str, Any]:
    return {
        "00400250": of("DA", "20250110"),
        "00400251": of("TM", "091500"),
        "00400252": of("CS", "COMPLETED"),
        "00400340": of("SQ", {"0020000E": of("UI", str(generate_uid())), "00181030": of("LO", "HEAD")}),
    }


@clause("14.1.3")
def test_14_1_3_media_types(site: Site) -> None:
    for accept in (JSON, None, "application/json"):
        answer = site.get(f"{WORKLIST}?{NOTHING}", accept)
        assert (answer.status_code, answer.headers["Content-Type"], answer.json()) == (200, JSON, [])
    assert site.get(f"{WORKLIST}?{NOTHING}", XML).status_code == 204


@clause("14.1.3-multipart")
def test_14_1_3_json_in_a_multipart_body(site: Site) -> None:
    problem_of(site.get(WORKLIST, 'multipart/related; type="application/dicom+json"'), 406)


@clause("14.4")
@pytest.mark.parametrize(
    "query",
    [
        "00400100.00080060=CT&00400100.00400001=CT01&PatientName=A*&00100020=1&limit=1&offset=0",
        "ScheduledProcedureStepSequence.ScheduledProcedureStepStartDate=20250110-20250111"
        "&ScheduledProcedureStepSequence.ScheduledProcedureStepStartTime=0900-1000",
        "includefield=all&fuzzymatching=true&ScheduledProcedureStepSequence.ScheduledPerformingPhysicianName=a",
    ],
)
def test_14_4_keys_and_parameters(site: Site, query: str) -> None:
    answer = site.get(f"{WORKLIST}?{query}", JSON)
    assert (answer.status_code, answer.json()) == (200, [])
    assert "Warning" not in answer.headers


@clause("14.4-unsupported")
def test_14_4_what_is_not_supported_is_named(site: Site) -> None:
    assert "The Rows parameter is not supported." in site.get(f"{WORKLIST}?Rows=1", JSON).headers["Warning"]
    problem_of(site.get(f"{WORKLIST}?00400100.00400002=soon", JSON), 400)


@clause("15.4", "15.5", "15.6")
def test_15_4_to_15_6_created_updated_retrieved(site: Site) -> None:
    path = f"{PERFORMED}/{generate_uid()}"
    made = site.send("POST", path, json=[begun()], headers=HEADERS)
    assert (made.status_code, made.content) == (201, b"")
    done = site.send("POST", f"{path}?update", json=[ended()], headers=HEADERS)
    assert (done.status_code, done.content) == (200, b"")
    [found] = site.get(path, JSON).json()
    assert (value(found, "00400252"), value(found, "00400241")) == ("COMPLETED", "CT01")
    assert site.get(path, "application/dicom+xml").headers["Content-Type"] == "application/dicom+xml"


@clause("15.4-refused")
def test_15_4_refused(site: Site) -> None:
    path = f"{PERFORMED}/{generate_uid()}"
    problem_of(site.send("POST", path, json=[begun() | {"00400252": of("CS", "COMPLETED")}], headers=HEADERS), 400)
    problem_of(site.send("POST", path, data=b"x", headers=HEADERS), 400)
    site.send("POST", path, json=[begun()], headers=HEADERS)
    problem_of(site.send("POST", path, json=[begun()], headers=HEADERS), 409)


@clause("15.5-refused")
def test_15_5_refused(site: Site) -> None:
    path = f"{PERFORMED}/{generate_uid()}"
    problem_of(site.send("POST", f"{path}?update", json=[ended()], headers=HEADERS), 404)
    site.send("POST", path, json=[begun()], headers=HEADERS)
    problem_of(site.send("POST", f"{path}?update", json=[ended() | {"00400340": {"vr": "SQ"}}], headers=HEADERS), 409)
    site.send("POST", f"{path}?update", json=[ended()], headers=HEADERS)
    problem_of(site.send("POST", f"{path}?update", json=[ended()], headers=HEADERS), 409)


@clause("15.6-refused")
def test_15_6_refused(site: Site) -> None:
    problem_of(site.get(f"{PERFORMED}/{generate_uid()}", JSON), 404)
