"""The alert rules and the board: each query asks for what there is, each rule fires when it should and not otherwise,
and each has a section in the runbooks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from telemetry.metrics import names
from tests.telemetry.promql import NOW, Figures, Points, evaluate, metrics_in

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "deploy/prometheus/alerts.yaml"
DAY = 86400.0


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def steady(value: float) -> Points:
    return [(-float(seconds), value) for seconds in range(7 * 86400, -1, -60 * 60)] + [(-60.0, value), (0.0, value)]


def rising(per_second: float, since: float = 7 * DAY) -> Points:
    """A counter that was nought before, or a figure that falls by so much from a great height."""
    base = 1e6 if per_second < 0 else 0.0
    times = [*(-hour * 3600.0 for hour in range(7 * 24, 0, -1)), *(-minute * 60.0 for minute in range(59, -1, -1))]
    return [(t, base + per_second * max(0.0, t + since)) for t in times]


def counted(*series: tuple[Mapping[str, str], float]) -> list[tuple[Mapping[str, str], Points]]:
    return [(labels, rising(per_second)) for labels, per_second in series]


def buckets(recent: float) -> Figures:
    """First frames took 50 ms in the week, and ``recent`` seconds in the last quarter of an hour."""
    edges = (0.05, 0.1, 0.5, 1.0)
    found = []
    for edge in (*edges, float("inf")):
        before = rising(1.0)
        if recent > edge:
            before = [(t, min(v, 7 * DAY - 1200)) for t, v in before]
        found.append(({"le": "+Inf" if edge == float("inf") else str(edge)}, before))
    return {"pacs_first_frame_seconds_bucket": found}


def one(name: str, value: float, **labels: str) -> Figures:
    return {name: [(labels, steady(value))]}


# Rule -> figures at which it fires, and at which it doesn't.
CASES: dict[str, tuple[Figures, Figures]] = {
    "IntegrityFailures": (
        {"pacs_integrity_failures_total": [({}, rising(0.01))]},
        one("pacs_integrity_failures_total", 3),
    ),
    "AuditWriteFailures": (
        {"pacs_audit_write_failures_total": [({}, rising(0.1, since=120))]},
        one("pacs_audit_write_failures_total", 12),
    ),
    "StoreFailures": (
        {"pacs_stow_requests_total": counted(({"code": "200"}, 1.0), ({"code": "503"}, 0.05))},
        {"pacs_stow_requests_total": counted(({"code": "200"}, 1.0), ({"code": "503"}, 0.01), ({"code": "409"}, 1.0))},
    ),
    "NotReady": (
        one("pacs_up_services", 0, service="trail"),
        {"pacs_up_services": [({"service": "trail"}, steady(1)), ({"service": "broker"}, steady(0))]},
    ),
    "NotScraped": ({}, one("pacs_up_services", 1, service="trail")),
    "ServerErrors": (
        {
            "pacs_http_requests_total": counted(
                ({"route": "a", "code": "500"}, 0.1), ({"route": "b", "code": "200"}, 1.0)
            )
        },
        {
            "pacs_http_requests_total": counted(
                ({"route": "a", "code": "404"}, 9.0), ({"route": "b", "code": "200"}, 1.0)
            )
        },
    ),
    "SilentFeed": (one("pacs_hl7_silent", 1, interface="ris"), one("pacs_hl7_silent", 0, interface="ris")),
    "OutboundLate": (
        one("pacs_hl7_out_oldest_seconds", 601, dest="ris"),
        one("pacs_hl7_out_oldest_seconds", 599, dest="ris"),
    ),
    "MessagesParked": (one("pacs_hl7_parked", 1), one("pacs_hl7_parked", 0)),
    "FirstFrameSlow": (buckets(0.4), buckets(0.05)),
    "DiskFull": (
        {"pacs_store_free_bytes": [({}, rising(-1.3))]},
        {"pacs_store_free_bytes": [({}, rising(-0.1))]},
    ),
    "BackupOld": (
        one("pacs_backup_last_success_timestamp", NOW - 27 * 3600),
        one("pacs_backup_last_success_timestamp", NOW - 25 * 3600),
    ),
    "TasksLate": (one("pacs_celery_oldest_task_seconds", 4000), one("pacs_celery_oldest_task_seconds", 60)),
    "TasksDead": (one("pacs_celery_dead_tasks", 1), one("pacs_celery_dead_tasks", 0)),
    "SealingLate": (one("pacs_audit_unsealed_seconds", 700), one("pacs_audit_unsealed_seconds", 2)),
    "ObjectStoreErrors": (
        {"pacs_store_errors_total": counted(({"kind": "unavailable"}, 0.2))},
        {"pacs_store_errors_total": counted(({"kind": "missing"}, 5.0), ({"kind": "full"}, 0.0))},
    ),
    "SpoolWaits": (one("pacs_spool_oldest_seconds", 1000), one("pacs_spool_oldest_seconds", 800)),
    "DatabaseConnections": (
        {**one("pacs_db_connections", 180, state="idle"), **one("pacs_db_connections_max", 200)},
        {
            # Eight web servers tell of the same sessions.
            "pacs_db_connections": [({"state": "idle", "instance": f"web-{n}"}, steady(30)) for n in range(8)],
            **one("pacs_db_connections_max", 200),
        },
    ),
    "Unscheduled": (
        {"pacs_reconcile_total": counted(({"outcome": "unscheduled"}, 1.0), ({"outcome": "linked"}, 2.0))},
        {"pacs_reconcile_total": counted(({"outcome": "unscheduled"}, 0.1), ({"outcome": "linked"}, 2.0))},
    ),
    "CertificateEnds": (
        one("pacs_cert_expiry_seconds", 20 * DAY, certificate="hl7"),
        one("pacs_cert_expiry_seconds", 60 * DAY, certificate="hl7"),
    ),
    "FindingsOpen": (one("pacs_findings_open", 2, kind="missing"), one("pacs_findings_open", 0, kind="missing")),
    "SignInsFail": (
        {"pacs_login_failures_total": [({}, rising(0.1))]},
        {"pacs_login_failures_total": [({}, rising(0.001))]},
    ),
    "GaugesMissing": (one("pacs_scrape_failed", 1, group="tasks"), one("pacs_scrape_failed", 0, group="tasks")),
}


def test_every_rule_has_its_figures() -> None:
    assert set(rules()) == set(CASES)


@pytest.mark.parametrize("alert", CASES)
def test_it_fires_when_it_should_and_not_otherwise(alert: str) -> None:
    firing, quiet = CASES[alert]
    expression = rules()[alert]["expr"]
    assert evaluate(expression, firing), expression
    assert not evaluate(expression, quiet), evaluate(expression, quiet)


@pytest.mark.parametrize("alert", CASES)
def test_it_asks_for_what_there_is_and_is_explained(alert: str) -> None:
    rule = rules()[alert]
    assert metrics_in(rule["expr"]) <= names()
    assert rule["labels"]["severity"] in ("P1", "P2", "P3")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == alert.lower()
    sections = (ROOT / page).read_text().split("\n### ")
    [section] = [each for each in sections if each.startswith(f"{alert}\n")]
    for part in ("**What it means.**", "**Look at.**", "**Do.**"):
        assert part in section


def test_runbooks_are_of_rules() -> None:
    told = set(re.findall(r"^### (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.M))
    assert told == set(rules())
    assert metrics_in((ROOT / "docs/runbooks.md").read_text()) <= names()


def test_promtool_agrees() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH")
    subprocess.run([promtool, "check", "rules", str(RULES)], check=True, timeout=60)


def queries(board: Any) -> Iterator[str]:
    if isinstance(board, dict):
        if isinstance(board.get("expr"), str):
            yield board["expr"]
        for each in board.values():
            yield from queries(each)
    elif isinstance(board, list):
        for each in board:
            yield from queries(each)


def test_the_board_asks_for_what_there_is() -> None:
    board = json.loads((ROOT / "deploy/grafana/lightbox.json").read_text())
    asked = list(queries(board))
    assert len(asked) > 20
    for query in asked:
        assert metrics_in(query), query
        assert metrics_in(query) <= names(), metrics_in(query) - names()
        # In the subset, and so well formed; nothing is there to be found.
        assert evaluate(query.replace("$__rate_interval", "5m"), {}) == {}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("wrong", ["sum(", "pacs_x{", "rate(pacs_x[5m]) >", "pacs_x pacs_y", "5"])
def test_what_is_no_rule_is_refused(wrong: str) -> None:
    with pytest.raises((SyntaxError, IndexError, AssertionError)):
        evaluate(wrong, {})
