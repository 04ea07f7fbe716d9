"""A running installation measures itself: all processes in one scrape, times for those who are signed in, logs for
machines; and no patient in any of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from standalone.programs import Web
from telemetry.metrics import names
from tests.live.marker import PATIENT, leaks
from tests.live.senders import make_sent, store
from tests.live.server import LivePacs

TOKEN = "a-token-of-this-test"
Scrape = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def live() -> Iterator[LivePacs]:
    installation = LivePacs()
    installation.environment |= {
        "PACS_METRICS__TOKEN": TOKEN,
        "PACS_METRICS__SLOW_MS": "1",
        "PACS_METRICS__GAUGE_SECONDS": "1",
        "PACS_LOG_FORMAT": "json",
        "PACS_LOG_REQUESTS": "true",
    }
    try:
        yield installation.start()
    finally:
        installation.stop()


@pytest.fixture(scope="module")
def session(live: LivePacs) -> requests.Session:
    return live.machine("technologist")


@pytest.fixture(scope="module")
def stored(live: LivePacs, session: requests.Session) -> str:
    """The path of an instance of the marked patient."""
    sent = make_sent()
    answer = store(live, session, [sent])
    assert answer.status_code == 200, answer.text
    return sent.path


def scrape(live: LivePacs) -> Scrape:
    answer = requests.get(f"{live.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert not leaks({"metrics": answer.content})
    families = text_string_to_metric_families(answer.text)
    found: Scrape = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(found: Scrape, name: str, **labels: str) -> float:
    return sum(value for has, value in found.get(name, []) if labels.items() <= has.items())


def test_one_scrape_sees_all_processes(live: LivePacs, session: requests.Session, stored: str) -> None:
    for _ in range(3):
        answer = session.get(f"{live.url}/dicom-web/{stored}/metadata", timeout=30)
        assert answer.status_code == 200
    until = time.monotonic() + 120
    thumbnail = {"kind": "series_thumbnail", "result": "done"}
    while not (drawn := total(found := scrape(live), "pacs_celery_tasks_total", **thumbnail)):
        assert time.monotonic() < until
        time.sleep(0.5)
    assert drawn >= 1
    assert total(found, "pacs_stow_instances_total", result="stored") == 1
    assert total(found, "pacs_stow_requests_total", code="200") == 1
    assert total(found, "pacs_wado_seconds_count", kind="metadata") == 3
    assert total(found, "pacs_http_requests_total", route="instance-metadata", method="GET", code="200") == 3
    assert total(found, "pacs_db_queries_total") > 5
    assert total(found, "pacs_wado_bytes_total") > 100
    # Gauges, asked when scraped.
    assert total(found, "pacs_scrape_failed") == 0, found["pacs_scrape_failed"]
    assert total(found, "pacs_store_bytes") > 0
    assert total(found, "pacs_celery_dead_tasks") == 0
    assert {labels["service"] for labels, value in found["pacs_up_services"] if value} >= {"database", "broker"}
    assert set(found) <= names()


def test_a_scrape_is_not_for_everybody(live: LivePacs, session: requests.Session) -> None:
    there = f"{live.url}/metrics"
    assert requests.get(there, timeout=30).status_code == 401
    assert requests.get(there, headers={"Authorization": "Bearer no"}, timeout=30).status_code == 401
    assert requests.get(there, headers={"Authorization": "Bearer "}, timeout=30).status_code == 401
    assert session.get(there, timeout=30).status_code == 403
    assert live.machine("administrator").get(there, timeout=30).status_code == 200
    assert live.query("SELECT count(*) FROM audit_accessevent WHERE query = 'metrics'") == [(1,)]


def test_times_are_told_to_those_who_are_known(live: LivePacs, session: requests.Session, stored: str) -> None:
    told = session.get(f"{live.url}/dicom-web/{stored}/frames/1", headers={"Accept": "*/*"}, timeout=30)
    assert told.status_code == 200
    parts = dict(part.strip().split(";dur=") for part in told.headers["Server-Timing"].split(","))
    assert {"auth", "db", "store", "total"} <= set(parts)
    assert float(parts["db"]) <= float(parts["total"])
    untold = requests.get(f"{live.url}/dicom-web/{stored}/frames/1", timeout=30)
    assert untold.status_code == 401
    assert "Server-Timing" not in untold.headers


def test_logs_are_lines_of_json_with_the_request(live: LivePacs, session: requests.Session, stored: str) -> None:
    asked = {"PatientID": PATIENT["PatientID"], "PatientName": PATIENT["PatientName"]}
    headers = {"X-Request-ID": "a-request-of-this-test"}
    answer = session.get(f"{live.url}/dicom-web/studies", params=asked, headers=headers, timeout=30)
    assert answer.status_code == 200
    until = time.monotonic() + 30
    ours: list[dict[str, Any]] = []
    while not ours and time.monotonic() < until:  # it is written once the answer has gone
        whole, _, _ = (live.home / "web.log").read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines()]
        # A request that took long has a line for that, too.
        ours = [line for line in lines if line.get("request_id") == "a-request-of-this-test" and "route" in line]
        time.sleep(0.05)
    [told] = ours
    assert (told["method"], told["route"], told["status"]) == ("GET", "studies", 200)
    assert told["ms"] > 0
    assert told["bytes"] == len(answer.content)
    assert len(told["principal"]) == 36
    for name in ("worker", "relay"):
        for line in (live.home / f"{name}.log").read_text().splitlines():
            assert not line.startswith(("20", "[20")), f"{name}: {line}"
    # Neither what was searched for nor where: the file of counts, the slow requests and the logs (also when it stops).
    folder = live.home / "metrics"
    assert not leaks({path.name: path.read_bytes() for path in folder.iterdir()})
    assert any(path.name.startswith("slow-") for path in folder.iterdir())


def test_restarts_leave_no_files(live: LivePacs) -> None:
    before = total(scrape(live), "pacs_http_requests_total", route="studies")
    count = len(list((live.home / "metrics").glob("*.db")))
    live.kill("web")
    web = Web("127.0.0.1", live.port, log=live.home / "web.log", environment=live.environment)
    web.start()
    live.services.insert(0, web)
    after = scrape(live)
    assert total(after, "pacs_http_requests_total", route="studies") == before
    assert len(list((live.home / "metrics").glob("*.db"))) <= count + 1
