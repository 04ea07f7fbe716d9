"""The FHIR door: what comes out is FHIR, finds what was asked, and goes on page after page."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client as Browser
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome

from audit.kinds import DELETE, KINDS, REFUSED, RETRIEVE, SEARCH, SIGN_IN, STORE
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from tests.access.conftest import MakeClient, MakePerson, MakeStudy, MakeToken
from tests.trail.conftest import NOON, Happen, identity
from trail.fhir import BALP

pytestmark = pytest.mark.django_db
ROUTE = "/dicom-web/studies/<str:study>"


def get(machine: Browser, query: Any = None, *, path: str = "/fhir/AuditEvent", status: int = 200) -> dict[str, Any]:
    answer = machine.get(path, query)
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/fhir+json"
    found: dict[str, Any] = answer.json()
    return found


def resources(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    Bundle.model_validate(bundle)
    return [entry["resource"] for entry in bundle.get("entry", ())]


def ids(bundle: dict[str, Any]) -> list[int]:
    return [int(resource["id"]) for resource in resources(bundle)]


def codes(parts: list[dict[str, Any]]) -> list[str]:
    return [part["code"] for part in parts]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_valid(name: str, machine: Browser, happen: Happen, make_study: MakeStudy) -> None:
    make_study("1.2.3", patient_id="P-3", accession_number="A-3")
    full = happen(
        KINDS[name], study_uids=["1.2.3"], path=ROUTE, method="GET", request_id="r-1", user_agent="x/1", query="a=b",
        token_id="ab", roles=["radiologist"], purpose="TREAT", instance_count=3, bytes=9, series_uid="1.2.3.4",
    )  # fmt: skip
    bare = happen(KINDS[name], principal_id="", principal_name="", source_ip="", auth_method="")
    for event in (full, bare):
        found = get(machine, path=f"/fhir/AuditEvent/{event.pk}")
        AuditEvent.model_validate(found)
        every = [found["type"], *found.get("subtype", [])]
        assert KINDS[name].event_id in codes(every)
        assert not KINDS[name].type_code or KINDS[name].type_code in codes(every)
        assert (found["outcome"], found["recorded"]) == ("0", event.recorded_at.isoformat(timespec="microseconds"))
        assert sum(agent["requestor"] for agent in found["agent"]) == 1


def agent_codes(found: dict[str, Any]) -> list[str]:
    return [agent["type"]["coding"][0]["code"] for agent in found["agent"]]


def test_a_read_is_the_patient_read_of_balp(machine: Browser, happen: Happen, make_study: MakeStudy) -> None:
    make_study("1.2.3", patient_id="P-3")
    event = happen(RETRIEVE, study_uids=["1.2.3"], path=ROUTE, request_id="r-9", user_agent="viewer/1", token_id="abcd")
    found = get(machine, path=f"/fhir/AuditEvent/{event.pk}")
    assert found["meta"]["profile"] == [f"{BALP}.PatientRead"]
    assert (found["type"]["code"], found["subtype"][0]["code"], found["action"]) == ("rest", "read", "R")
    assert agent_codes(found) == ["110152", "110153", "IRCP"]
    client, server, user = found["agent"]
    assert client["network"] == {"address": "192.0.2.9", "type": "2"}
    assert server["network"]["type"] == "5"
    assert (user["who"]["identifier"]["value"], user["policy"]) == (identity("rita"), ["urn:lightbox:token:abcd"])
    kinds = [(entity["type"]["code"], entity.get("role", {}).get("code")) for entity in found["entity"]]
    assert kinds == [("1", "1"), ("2", "4"), ("XrequestId", None)]
    assert found["entity"][0]["what"]["identifier"]["value"] == "P-3"
    assert found["entity"][1]["what"]["identifier"]["value"] == "urn:oid:1.2.3"
    assert found["entity"][2]["what"]["identifier"]["value"] == "r-9"


def test_the_other_patterns(machine: Browser, happen: Happen) -> None:
    asked = happen(SEARCH, path="/dicom-web/studies", query="PatientID=P-3&limit=5", method="GET")
    found = get(machine, path=f"/fhir/AuditEvent/{asked.pk}")
    assert found["meta"]["profile"] == [f"{BALP}.Query"]
    assert (found["subtype"][0]["code"], found["action"], agent_codes(found)[:2]) == (
        "search-type",
        "E",
        ["110153", "110152"],
    )
    query = next(entity for entity in found["entity"] if entity.get("role", {}).get("code") == "24")
    assert base64.b64decode(query["query"]) == b"PatientID=P-3&limit=5"
    for kind, profile in ((STORE, "PatientCreate"), (DELETE, "PatientDelete")):
        event = happen(kind, path=ROUTE, study_uids=["1.2"], patient_ids=["P-1"])
        assert get(machine, path=f"/fhir/AuditEvent/{event.pk}")["meta"]["profile"] == [f"{BALP}.{profile}"]
    failed = happen(RETRIEVE, path=ROUTE, outcome=8)
    assert "meta" not in get(machine, path=f"/fhir/AuditEvent/{failed.pk}")


class TestSearch:
    """ITI-81."""

    def test_by_each_parameter(
        self, machine: Browser, happen: Happen, make_study: MakeStudy, make_person: MakePerson
    ) -> None:
        make_study("1.2.3", patient_id="P-3")
        rita = str(make_person("radiologist", username="rita").external_id)
        one = happen(study_uids=["1.2.3"], principal_id=rita, at=NOON).pk
        two = happen(SIGN_IN, who="otto", source_ip="192.0.2.44", at=NOON + timedelta(hours=1)).pk
        three = happen(
            REFUSED, who="otto", outcome=4, decision="deny", patient_ids=["P-3"], at=NOON + timedelta(days=1)
        ).pk
        expected: dict[str, list[int]] = {
            "patient=P-3": [three, one],
            "patient=Patient/P-3": [three, one],
            "patient.identifier=|P-3": [three, one],
            "patient=nowhere|P-3": [],
            "study=1.2.3": [one],
            "entity=urn:oid:1.2.3": [one],
            "entity=urn:dicom:uid|urn:oid:1.2.3": [one],
            f"agent={rita}": [one],
            "agent-name=rita": [one],
            "address=192.0.2.44": [two],
            "date=2030-01-31": [two, one],
            "date=ge2030-01-31T12:30:00Z": [three, two],
            "date=ge2030-01-31&date=le2030-01-31T12:59": [one],
            "date=gt2030-01-31": [three],
            "date=2030-02": [three],
            "date=lt2030-01-31T13:00:00Z&date=2030": [one],
            "date=2030-01-31T21:00:00%2B09:00": [one],
            "outcome=4": [three],
            "outcome=4,8&date=2030": [three],
            "action=R&date=2030": [one],
            "type=110114": [two],
            "subtype=http://dicom.nema.org/resources/ontology/DCM|110122": [two],
            f"_id={two}": [two],
        }
        for query, found in expected.items():
            assert ids(get(machine, path=f"/fhir/AuditEvent?{query}")) == found, query

    def test_pages(self, machine: Browser, happen: Happen) -> None:
        wanted = [happen(study_uids=["1.2.3"], patient_ids=["SECRET-7"]).pk for _ in range(7)]
        found: list[int] = []
        bundle = get(machine, {"patient": "SECRET-7", "_count": 3})
        while True:
            found += ids(bundle)
            links = {link["relation"]: link["url"] for link in bundle["link"]}
            assert "SECRET-7" not in str(bundle["link"])
            assert ids(get(machine, path=_path(links["self"]))) == ids(bundle)
            if "next" not in links:
                break
            happen(patient_ids=["SECRET-7"])
            bundle = get(machine, path=_path(links["next"]))
        assert found == wanted[::-1]

    def test_by_post(self, machine: Browser, happen: Happen) -> None:
        event = happen(patient_ids=["P-3"])
        answer = machine.post("/fhir/AuditEvent/_search", {"patient": "P-3"})
        assert (answer.status_code, ids(answer.json())) == (200, [event.pk])

    def test_by_post_from_another_site(self, auditor: Any) -> None:
        browser = Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1")
        browser.force_login(auditor)
        for headers in ({"Origin": "https://evil.example"}, {}):
            answer = browser.post("/fhir/AuditEvent/_search", {"patient": "P-3"}, headers=headers)
            assert answer.status_code == 403
            OperationOutcome.model_validate(answer.json())

    def test_the_search_is_in_the_trail(self, machine: Browser, happen: Happen) -> None:
        happen(patient_ids=["P-3"])
        get(machine, {"patient": "P-3"})
        event = AccessEvent.objects.order_by("-sequence")[0]
        assert (event.kind, event.query, event.principal_name) == ("read_trail", "patient=P-3", "siem")
        assert (event.path, event.instance_count) == ("/fhir/AuditEvent", 1)

    @pytest.mark.parametrize(
        "query",
        ["colour=red", "date=yesterday", "date=2030-02-30", "date=ap2030", "date=9999-12-31", "outcome=5", "action=X",
         "_count=x", "_sort=date", "type=1", "_page=abc", "patient=", "patient=A&patient=B", "agent=a%00b", "study=%00",
         "study=%2500", "type=", "type=http://dicom.nema.org/resources/ontology/DCM|",
         "_page=gAAAA", "date=ne2030", "patient=" + "9" * 300],
    )  # fmt: skip
    def test_what_cannot_be_understood(self, query: str, machine: Browser) -> None:
        outcome = get(machine, path=f"/fhir/AuditEvent?{query}", status=400)
        OperationOutcome.model_validate(outcome)
        assert outcome["issue"][0]["code"] == "invalid"

    def test_odd_but_understood(self, machine: Browser) -> None:
        for query in (
            "_count=0",
            "_count=999999999",
            "_id=x",
            "_id=" + "9" * 40,
            "_format=json",
            "agent=%ED%A0%80",
            "address=fe80::1%25eth0",
            "address=fe80::1%25",
            "",
        ):
            assert resources(get(machine, path=f"/fhir/AuditEvent?{query}")) is not None, query


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


@pytest.mark.parametrize("event", ["0", "999999999", "x", "9" * 40, "1.5", "-1"])
def test_events_that_are_not_there(event: str, machine: Browser) -> None:
    OperationOutcome.model_validate(get(machine, path=f"/fhir/AuditEvent/{event}", status=404))


def test_capabilities(machine: Browser) -> None:
    found = get(machine, path="/fhir/metadata")
    statement = CapabilityStatement.model_validate(found)
    assert statement.fhirVersion == "4.0.1"
    named = {each["name"] for each in found["rest"][0]["resource"][0]["searchParam"]}
    assert {"patient", "date", "agent", "entity", "_count"} <= named


def test_others_get_an_outcome(make_client: MakeClient, make_token: MakeToken) -> None:
    machine = Browser(
        HTTP_HOST="127.0.0.1", headers={"Authorization": f"Bearer {make_token(make_client('ai_vendor'))}"}
    )
    for path in ("/fhir/AuditEvent", "/fhir/AuditEvent/1", "/fhir/metadata"):
        outcome = get(machine, path=path, status=403)
        OperationOutcome.model_validate(outcome)
        assert outcome["issue"][0]["code"] == "forbidden"
    assert Browser(HTTP_HOST="127.0.0.1").get("/fhir/metadata").status_code == 401


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_nothing_is_written_or_deleted(method: str, machine: Browser, happen: Happen) -> None:
    event = happen()
    for path in ("/fhir/AuditEvent", f"/fhir/AuditEvent/{event.pk}"):
        assert getattr(machine, method)(path).status_code == 405


def test_a_trail_that_cannot_be_written_shows_nothing(
    machine: Browser, happen: Happen, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(patient_ids=["P-3"])

    def broken(*events: object) -> None:
        raise AuditUnavailable("no")

    monkeypatch.setattr("trail.door.record", broken)
    outcome = get(machine, status=503)
    OperationOutcome.model_validate(outcome)
    assert "P-3" not in str(outcome)
