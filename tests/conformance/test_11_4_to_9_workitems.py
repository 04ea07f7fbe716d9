"""PS3.18 11.4 to 11.9: workitems. The whole state machine is in ``tests/dicomweb/test_workitems.py``."""

from __future__ import annotations

from typing import Any

import requests

from tests.conformance.marks import clause
from tests.conformance.site import JSON, Site
from tests.conformance.trap_server import problem_of
from tests.workitems.making import data_set, performed, state, uid

HEADERS = {"Content-Type": JSON, "Accept": JSON}
NOBODY = "1.2.826.0.1.3680043.8.498.0"


def send(site: Site, method: str, path: str, body: Any) -> requests.Response:
    return site.send(method, path, json=[body], headers=HEADERS)


def made(site: Site, **values: Any) -> str:
    named = uid()
    assert send(site, "POST", f"workitems?workitem={named}", data_set(**values)).status_code == 201
    return named


def claimed(site: Site) -> tuple[str, str]:
    named, key = made(site), uid()
    assert send(site, "PUT", f"workitems/{named}/state", state("IN PROGRESS", key)).status_code == 200
    return named, key


def warned(answer: requests.Response, status: int, text: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Warning"].startswith("299 ")
    assert text in answer.headers["Warning"]


@clause("11.4")
def test_11_4_create(site: Site) -> None:
    named = uid()
    answer = send(site, "POST", f"workitems?{named}", data_set())
    assert (answer.status_code, answer.content) == (201, b"")
    url = f"{site.root}/workitems/{named}"
    assert (answer.headers["Location"], answer.headers["Content-Location"]) == (url, url)
    problem_of(send(site, "POST", f"workitems?{named}", data_set()), 409)
    problem_of(send(site, "POST", f"workitems?{uid()}", data_set(WorklistLabel=None)), 400)


@clause("11.5")
def test_11_5_retrieve(site: Site) -> None:
    named, key = claimed(site)
    answer = site.get(f"workitems/{named}", JSON)
    assert answer.status_code == 200
    assert answer.headers["Content-Location"] == f"{site.root}/workitems/{named}"
    [item] = answer.json()
    assert item["00741000"]["Value"] == ["IN PROGRESS"]
    assert key not in answer.text
    assert site.get(f"workitems/{named}", "application/dicom+xml").headers["Content-Type"] == "application/dicom+xml"
    problem_of(site.get(f"workitems/{NOBODY}", JSON), 404)


@clause("11.6")
def test_11_6_update(site: Site) -> None:
    named, key = claimed(site)
    assert send(site, "POST", f"workitems/{named}?{key}", performed()).status_code == 200
    warned(send(site, "POST", f"workitems/{named}", performed()), 400, "The Transaction UID is missing.")
    warned(send(site, "POST", f"workitems/{named}?{uid()}", performed()), 400, "The Transaction UID is incorrect.")
    unclaimed = f"workitems/{made(site)}?{uid()}"
    warned(send(site, "POST", unclaimed, performed()), 409, "The target URI did not reference a claimed Workitem.")
    problem_of(send(site, "POST", f"workitems/{NOBODY}?{key}", performed()), 404)


@clause("11.7")
def test_11_7_change_of_state(site: Site) -> None:
    named, key = claimed(site)
    path = f"workitems/{named}/state"
    inconsistent = "The submitted request is inconsistent with the current state of the Workitem."
    warned(send(site, "PUT", path, state("IN PROGRESS", uid())), 409, inconsistent)
    warned(send(site, "PUT", path, state("COMPLETED", key)), 409, inconsistent)
    assert send(site, "POST", f"workitems/{named}?{key}", performed()).status_code == 200
    assert send(site, "PUT", path, state("COMPLETED", key)).status_code == 200
    already = "The UPS is already in the requested state of COMPLETED."
    warned(send(site, "PUT", path, state("COMPLETED", key)), 200, already)
    problem_of(send(site, "PUT", f"workitems/{NOBODY}/state", state("COMPLETED", key)), 404)
    problem_of(send(site, "PUT", path, {}), 400)


@clause("11.8")
def test_11_8_request_to_cancel(site: Site) -> None:
    named = made(site)
    path = f"workitems/{named}/cancelrequest"
    assert site.send("POST", path).status_code == 202
    already = "The UPS is already in the requested state of CANCELED."
    warned(send(site, "POST", path, {}), 202, already)
    busy, _ = claimed(site)
    warned(send(site, "POST", f"workitems/{busy}/cancelrequest", {}), 409, "The performer cannot be contacted.")
    assert site.send("POST", f"workitems/{busy}/subscribers/ELEVEN-8").status_code == 201
    assert send(site, "POST", f"workitems/{busy}/cancelrequest", {}).status_code == 202
    problem_of(send(site, "POST", f"workitems/{NOBODY}/cancelrequest", {}), 404)


@clause("11.9")
def test_11_9_search(site: Site) -> None:
    label = f"ELEVEN-{uid()[-12:]}"
    for _ in range(3):
        made(site, WorklistLabel=label)
    query = f"workitems?WorklistLabel={label}&00741000=SCHEDULED"
    assert len(site.search(f"{query}&ScheduledStationNameCodeSequence.CodeValue=CT01")) == 3
    first = site.get(f"{query}&limit=2", JSON)
    assert (first.status_code, len(first.json())) == (206, 2)
    assert len(site.search(f"{query}&limit=2&offset=2")) == 1
    assert site.get("workitems?WorklistLabel=NO-SUCH-LABEL", JSON).status_code == 204
    problem_of(site.get("workitems?limit=x", JSON), 400)
