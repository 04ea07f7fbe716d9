"""Modality performed procedure steps over DICOMweb (PS3.18 15, PS3.4 F.7.2), and what they do to the schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydicom.uid import generate_uid

from archive.patient_facts import Identifier
from audit.models import AccessEvent
from dicom.xml import to_xml
from tests.dicomweb.conftest import Door
from tests.dicomweb.reading import problem_of, value
from tests.worklist.making import HEAD, UID, A, B, image, send, work
from worklist.models import (
    Order,
    Outcome,
    PerformedProcedureStep,
    Reconciliation,
    ScheduledProcedureStep,
    StudyOrderLink,
)
from worklist.order_messages import EntityIdentifier

pytestmark = pytest.mark.django_db
ADDRESS = "modality-performed-procedure-steps"
SERIES = "1.2.840.99.1.1"


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def begun(*steps: str, patient: str = "123", study: str = UID) -> dict[str, Any]:
    """What a modality says at the beginning."""
    named = [
        {
            "0020000D": attribute("UI", study),
            "00080050": attribute("SH", "A100"),
            "00400009": attribute("SH", step) if step else attribute("SH"),
        }
        for step in steps
    ]
    return {
        "00080060": attribute("CS", "CT"),
        "00100010": attribute("PN", {"Alphabetic": "MÜLLER^JANE"}),
        "00100020": attribute("LO", patient),
        "00400241": attribute("AE", "CT01"),
        "00400244": attribute("DA", "20250110"),
        "00400245": attribute("TM", "090500"),
        "00400252": attribute("CS", "IN PROGRESS"),
        "00400253": attribute("SH", "PPS1"),
        "00400270": attribute("SQ", *named),
        "00400340": attribute("SQ"),
    }


def ended(status: str = "COMPLETED", reason: str = "", series: str = SERIES) -> dict[str, Any]:
    """What it says at the end."""
    found = {
        "00400250": attribute("DA", "20250110"),
        "00400251": attribute("TM", "091500"),
        "00400252": attribute("CS", status),
        "00400340": attribute("SQ", {"0020000E": attribute("UI", series), "00181030": attribute("LO", "HEAD")}),
    }
    if reason:
        code = {"00080100": attribute("SH", reason), "00080102": attribute("SH", "DCM")}
        found["00400281"] = attribute("SQ", code)
    return found


def post(door: Door, mpps: str, body: Any, query: str = "", content_type: str = "application/dicom+json") -> Any:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {"origin": "http://testserver", "accept": "application/dicom+json"}
    return door.http.post(f"/dicom-web/{ADDRESS}/{mpps}{query}", data=data, content_type=content_type, headers=headers)


def states() -> tuple[str, dict[str, str]]:
    return Order.objects.get().status, dict(ScheduledProcedureStep.objects.values_list("step_id", "status"))


@pytest.fixture
def mpps() -> str:
    return str(generate_uid())


def test_a_step_from_its_beginning_to_its_end(technologist: Door, mpps: str) -> None:
    send()
    response = post(technologist, mpps, [begun("SPS1")])
    assert (response.status_code, response.content) == (201, b"")
    assert response["Location"].endswith(f"/{ADDRESS}/{mpps}")
    assert states() == ("STARTED", {"SPS1": "STARTED", "SPS2": "SCHEDULED"})
    assert post(technologist, mpps, {"00400254": attribute("LO", "Head")}, "?update").status_code == 200
    assert post(technologist, mpps, ended(), "?update").status_code == 200
    assert states() == ("STARTED", {"SPS1": "COMPLETED", "SPS2": "SCHEDULED"})
    [found] = technologist.get(f"{ADDRESS}/{mpps}").json()
    assert (value(found, "00400252"), value(found, "00400254")) == ("COMPLETED", "Head")
    assert technologist.get(f"{ADDRESS}/{mpps}", accept="application/dicom+xml").content.startswith(b"<?xml")
    other = str(generate_uid())
    assert post(technologist, other, begun("SPS2")).status_code == 201
    assert post(technologist, other, ended(), "?update").status_code == 200
    assert states() == ("COMPLETED", {"SPS1": "COMPLETED", "SPS2": "COMPLETED"})
    kinds = AccessEvent.objects.filter(kind="procedure_record").order_by("sequence").values_list("action", flat=True)
    assert list(kinds) == ["C", "U", "U", "R", "R", "C", "U"]


def test_what_was_not_scheduled_is_kept_and_moves_nothing(technologist: Door, mpps: str) -> None:
    send()
    for number, data_set in enumerate((begun(""), begun("SPS1", patient="999"), begun("SPS1", study="1.2.3"))):
        data_set["00400270"]["Value"][0].pop("00080050")
        assert post(technologist, f"{mpps[:60]}.{number}", data_set).status_code == 201
    assert states() == ("SCHEDULED", {"SPS1": "SCHEDULED", "SPS2": "SCHEDULED"})
    assert PerformedProcedureStep.objects.filter(steps=None).count() == 3


def test_what_could_be_two_persons_is_nobodys_unless_the_study_says_whose(technologist: Door, mpps: str) -> None:
    """Two systems that number alike; the modality doesn't say whose patient identifier it read."""
    send()
    procedure = replace(HEAD.procedures[0], study_instance_uid="1.2.840.99.2")
    elsewhere = EntityIdentifier("P1", "OTHER"), EntityIdentifier("F1", "OTHER")
    other = replace(HEAD, placer=elsewhere[0], filler=elsewhere[1], procedures=(procedure,))
    send(other, patient=Identifier("123", "ELSEWHERE"))

    def under_way() -> list[str]:
        return list(Order.objects.filter(status="STARTED").values_list("patient__issuer_of_patient_id", flat=True))

    assert post(technologist, f"{mpps[:60]}.1", begun("SPS1", study="1.2.3")).status_code == 201
    assert under_way() == []
    assert post(technologist, f"{mpps[:60]}.2", begun("SPS1", study="1.2.840.99.2")).status_code == 201
    assert under_way() == ["ELSEWHERE"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"00400252": attribute("CS", "COMPLETED")}, "0106"),
        ({"00400252": attribute("CS")}, "0106"),
        ({"00400253": attribute("SH")}, "0121"),
        ({"00400270": attribute("SQ")}, "0121"),
        ({"00400270": attribute("SQ", {"0020000D": attribute("UI", "one")})}, "0106"),
        ({"00080060": None}, "0121"),
    ],
)
def test_a_new_step_that_is_none(technologist: Door, mpps: str, change: dict[str, Any], status: str) -> None:
    body = {tag: found for tag, found in (begun("SPS1") | change).items() if found is not None}
    assert status in problem_of(post(technologist, mpps, body), 400)["detail"]
    assert not PerformedProcedureStep.objects.exists()


@pytest.mark.parametrize("odd", [True, {"Alphabetic": "x"}])
def test_a_value_that_its_vr_has_not_is_refused(technologist: Door, mpps: str, odd: Any) -> None:
    """It could be given as JSON, and not as XML."""
    for wrong in ({"00400254": attribute("LO", odd)}, {"00400270": attribute("LO", "x")}):
        assert "0106" in problem_of(post(technologist, mpps, begun("SPS1") | wrong), 400)["detail"]
    assert post(technologist, mpps, begun("SPS1")).status_code == 201
    change = ended() | {"00400254": attribute("LO", odd)}
    assert "0106" in problem_of(post(technologist, mpps, change, "?update"), 400)["detail"]
    assert technologist.get(f"{ADDRESS}/{mpps}", accept="application/dicom+xml").status_code == 200


def test_a_uid_is_used_once_and_an_unknown_one_is_not_changed(technologist: Door, mpps: str) -> None:
    assert "0112" in problem_of(post(technologist, mpps, ended(), "?update"), 404)["detail"]
    assert post(technologist, mpps, begun("")).status_code == 201
    assert "0111" in problem_of(post(technologist, mpps, begun("")), 409)["detail"]
    problem_of(technologist.get(f"{ADDRESS}/1.2.3"), 404)
    problem_of(post(technologist, mpps, ended(), "?updaet"), 400)


@pytest.mark.parametrize("end", ["COMPLETED", "DISCONTINUED"])
def test_what_has_ended_stays_as_it_is(technologist: Door, mpps: str, end: str) -> None:
    send()
    post(technologist, mpps, begun("SPS1", "SPS2"))
    assert post(technologist, mpps, ended(end, "110513" if end == "DISCONTINUED" else ""), "?update").status_code == 200
    assert states() == (end, {"SPS1": end, "SPS2": end})
    before = PerformedProcedureStep.objects.get().data_set
    assert "0110" in problem_of(post(technologist, mpps, ended("IN PROGRESS"), "?update"), 409)["detail"]
    assert PerformedProcedureStep.objects.get().data_set == before


@pytest.mark.parametrize(
    ("change", "http"),
    [
        (ended() | {"00400340": attribute("SQ")}, 409),
        (ended() | {"00400251": attribute("TM")}, 409),
        (ended(series="none"), 409),
        (ended("FINISHED"), 400),
        ({"00400241": attribute("AE", "CT02")}, 409),
        ({"00100020": attribute("LO", "124")}, 409),
    ],
)
def test_a_change_that_may_not_be(technologist: Door, mpps: str, change: dict[str, Any], http: int) -> None:
    send()
    post(technologist, mpps, begun("SPS1"))
    before = PerformedProcedureStep.objects.get()
    problem_of(post(technologist, mpps, change, "?update"), http)
    after = PerformedProcedureStep.objects.get()
    assert (after.data_set, after.status) == (before.data_set, "IN PROGRESS")
    assert states()[1]["SPS1"] == "STARTED"


def test_of_two_about_one_step_the_last_one_ends_it(technologist: Door) -> None:
    send()
    for name in ("1.2.1", "1.2.2"):
        post(technologist, name, begun("SPS1", "SPS2"))
    post(technologist, "1.2.1", ended(), "?update")
    assert states()[0] == "STARTED"
    post(technologist, "1.2.2", ended("DISCONTINUED"), "?update")
    assert states() == ("COMPLETED", {"SPS1": "COMPLETED", "SPS2": "COMPLETED"})


def test_the_wrong_entry_gives_the_step_back_and_a_person_looks_at_the_images(technologist: Door, mpps: str) -> None:
    send()
    post(technologist, mpps, begun("SPS1"))
    study = image(A, StudyInstanceUID=UID)
    work()
    assert StudyOrderLink.objects.exists()
    assert post(technologist, mpps, ended("DISCONTINUED", "110514"), "?update").status_code == 200
    work()
    study.refresh_from_db()
    assert study.quarantined
    assert Reconciliation.objects.get().outcome == Outcome.WRONG_ENTRY
    assert not StudyOrderLink.objects.exists()
    # What comes later under the same study is not linked either.
    image(A, StudyInstanceUID=UID)
    send(minutes=5)
    work()
    assert not StudyOrderLink.objects.exists()


def test_a_wrong_entry_without_images_leaves_the_list_as_it_was(technologist: Door, mpps: str) -> None:
    send()
    post(technologist, mpps, begun("SPS1"))
    post(technologist, mpps, ended("DISCONTINUED", "110514"), "?update")
    assert states() == ("SCHEDULED", {"SPS1": "SCHEDULED", "SPS2": "SCHEDULED"})


@pytest.mark.parametrize(
    ("body", "content_type", "http"),
    [
        (b" ", "application/dicom+json", 400),
        (b"[1]", "application/dicom+json", 400),
        (b"[]", "application/dicom+json", 400),
        (b'{"one":{"vr":"CS"}}', "application/dicom+json", 400),
        (b'{"00080060":{"vr":"CS","Value":"CT"}}', "application/dicom+json", 400),
        (b'{"00080060":{"vr":"CS","Value":["\\u0000"]}}', "application/dicom+json", 400),
        (b'{"00080060":{"vr":"CS","Value":[["CT"]]}}', "application/dicom+json", 400),
        (b'{"00080060":{"vr":"PN","Value":[{"A\\u0000":"CT"}]}}', "application/dicom+json", 400),
        (b'{"00400270":{"vr":"SQ","Value":[1]}}', "application/dicom+json", 400),
        (b'{"00080060":' * 2000, "application/dicom+json", 400),
        (b"<NativeDicomModel>", "application/dicom+xml", 400),
        (b"CT", "text/plain", 415),
        (b"--b\r\n\r\n{}\r\n--b--", "multipart/related", 400),
        (b"--b--\r\n", 'multipart/related; type="application/dicom+json"; boundary=b', 400),
    ],
)
def test_bodies_that_are_none(technologist: Door, mpps: str, body: bytes, content_type: str, http: int) -> None:
    problem_of(post(technologist, mpps, body, content_type=content_type), http)
    assert not PerformedProcedureStep.objects.exists()


def test_xml_and_a_body_of_one_part(technologist: Door, mpps: str) -> None:
    xml = to_xml(orjson.dumps(begun("")))
    assert post(technologist, mpps, xml, content_type="application/dicom+xml").status_code == 201
    part = b"--b\r\nContent-Type: application/dicom+json\r\n\r\n%s\r\n--b--\r\n" % orjson.dumps(ended())
    multipart = 'multipart/related; type="application/dicom+json"; boundary=b'
    assert post(technologist, mpps, part, "?update", content_type=multipart).status_code == 200


def test_who_does_not_perform_says_and_reads_nothing(door_for: Callable[..., Door], mpps: str) -> None:
    for role in ("administrator", "radiologist", "nurse"):
        problem_of(post(door_for(role), mpps, begun("")), 403)
        problem_of(door_for(role).get(f"{ADDRESS}/{mpps}"), 403)


def test_a_limited_performer_reaches_its_own_and_those_of_its_orders(
    limited: Callable[..., Door], technologist: Door, mpps: str
) -> None:
    send(patient=B)
    post(technologist, mpps, begun("SPS1", patient="124"))
    site = limited("site", "North Clinic")
    problem_of(site.get(f"{ADDRESS}/{mpps}"), 404)
    problem_of(post(site, mpps, ended(), "?update"), 404)
    own = str(generate_uid())
    assert post(site, own, begun("SPS2", patient="124")).status_code == 201
    assert site.get(f"{ADDRESS}/{own}").status_code == 200
    assert states()[1]["SPS2"] == "SCHEDULED"  # an order that it does not reach
