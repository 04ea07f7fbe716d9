"""PS3.18 11 to 13 and Annex J: worklist, non-patient instances, storage commitment."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from pydicom.uid import generate_uid

from tests.conformance.marks import clause
from tests.conformance.site import JSON, Corpus, Site, Stored
from tests.conformance.trap_server import problem_of, value

HEADERS = {"Content-Type": JSON, "Accept": JSON}


@clause("12.4", "12.5", "12.6")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "color-palettes/1.2.3"),
        ("POST", "hanging-protocols"),
        ("GET", "protocol-approvals"),
        ("GET", "inventories"),
    ],
)
def test_12_4_to_6_non_patient_resources_are_not_found(site: Site, method: str, path: str) -> None:
    problem_of(site.send(method, path, headers=HEADERS), 404)


def reference(sop_class_uid: str, sop_instance_uid: str) -> dict[str, Any]:
    return {
        "00081150": {"vr": "UI", "Value": [sop_class_uid]},
        "00081155": {"vr": "UI", "Value": [sop_instance_uid]},
    }


def commit(site: Site, *items: dict[str, Any], transaction: str = "") -> requests.Response:
    module = {"00081199": {"vr": "SQ", "Value": list(items)}}
    path = f"commitment-requests/{transaction or generate_uid()}"
    return site.send("POST", path, json=module, headers=HEADERS)


def kept(of: Stored) -> dict[str, Any]:
    return reference(of.ds.SOPClassUID, of.ds.SOPInstanceUID)


@clause("13.4", "J.1")
def test_13_4_what_is_stored_is_committed(site: Site, stored: Corpus) -> None:
    answer = commit(site, *(kept(each) for each in stored.slices))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, JSON)
    committed = answer.json()["00081199"]["Value"]
    assert {value(each, "00081155") for each in committed} == {each.ds.SOPInstanceUID for each in stored.slices}


@clause("13.4-repeated")
def test_13_4_repeated_transactions(site: Site, stored: Corpus) -> None:
    transaction = str(generate_uid())
    first = commit(site, kept(stored.slices[0]), transaction=transaction)
    again = commit(site, kept(stored.slices[0]), transaction=transaction)
    assert (again.status_code, again.json()) == (200, first.json())
    problem_of(commit(site, kept(stored.slices[1]), transaction=transaction), 409)


@clause("13.4-malformed")
def test_13_4_malformed_requests(site: Site, stored: Corpus) -> None:
    path = f"commitment-requests/{generate_uid()}"
    for body in (b"", b"{", b"[]", b"{}", b'{"00081199":{"vr":"SQ","Value":[{}]}}'):
        problem_of(site.send("POST", path, data=body, headers=HEADERS), 400)
    problem_of(commit(site, reference("1.2.x", "1.2.3")), 400)
    problem_of(site.send("POST", path, data=b"x", headers={"Content-Type": "text/plain"}), 415)


@clause("13.5")
def test_13_5_the_result_can_be_had_again(site: Site, stored: Corpus) -> None:
    transaction = str(generate_uid())
    first = commit(site, kept(stored.slices[0]), transaction=transaction)
    again = site.get(f"commitment-requests/{transaction}", JSON)
    assert (again.status_code, again.json()) == (200, first.json())
    problem_of(site.get(f"commitment-requests/{generate_uid()}", JSON), 404)


@clause("J.1-study", "J.2-study")
def test_J_1_instances_by_study(site: Site, stored: Corpus) -> None:
    nobody = str(generate_uid())
    module = by_study(stored.slices[0], stored.slices[0].ds.SOPInstanceUID, nobody)
    answer = site.send("POST", f"commitment-requests/{generate_uid()}", json=module, headers=HEADERS)
    assert answer.status_code == 200
    assert answer.json()["00081110"] == by_study(stored.slices[0], stored.slices[0].ds.SOPInstanceUID)["00081110"]
    failed = answer.json()["0008119B"]["Value"][0]["00081115"]["Value"][0]["00081112"]["Value"][0]["0008114A"]["Value"]
    assert [(value(each, "00081155"), value(each, "00081197")) for each in failed] == [(nobody, 0x0112)]


def test_J_1_a_study_without_its_instances_is_refused(site: Site, stored: Corpus) -> None:
    study = {"0020000D": {"vr": "UI", "Value": [stored.slices[0].ds.StudyInstanceUID]}}
    module = {"00081110": {"vr": "SQ", "Value": [study]}}
    answer = site.send("POST", f"commitment-requests/{generate_uid()}", json=module, headers=HEADERS)
    assert "(0008,1115)" in problem_of(answer, 400)["detail"]


def by_study(of: Stored, *uids: str) -> dict[str, Any]:
    """A request about instances of the series of ``of``."""
    items = [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in uids]
    group = {
        "00081150": {"vr": "UI", "Value": [of.ds.SOPClassUID]},
        "0008114A": {"vr": "SQ", "Value": items},
    }
    series = {
        "0020000E": {"vr": "UI", "Value": [of.ds.SeriesInstanceUID]},
        "00081112": {"vr": "SQ", "Value": [group]},
    }
    study = {
        "0020000D": {"vr": "UI", "Value": [of.ds.StudyInstanceUID]},
        "00081115": {"vr": "SQ", "Value": [series]},
    }
    return {"00081110": {"vr": "SQ", "Value": [study]}}


@clause("J.2")
def test_J_2_committed_and_failed_instances(site: Site, stored: Corpus) -> None:
    nobody = str(generate_uid())
    wrong = reference("1.2.840.10008.5.1.4.1.1.4", stored.slices[1].ds.SOPInstanceUID)
    answer = commit(site, kept(stored.slices[0]), reference(stored.slices[0].ds.SOPClassUID, nobody), wrong)
    assert answer.status_code == 200
    reasons = {value(e, "00081155"): value(e, "00081197") for e in answer.json()["00081198"]["Value"]}
    assert reasons == {nobody: 0x0112, stored.slices[1].ds.SOPInstanceUID: 0x0119}
    [committed] = answer.json()["00081199"]["Value"]
    assert value(committed, "00081155") == stored.slices[0].ds.SOPInstanceUID
    only = commit(site, reference("1.2.840.10008.5.1.4.1.1.2", nobody)).json()
    assert "00081199" not in only
