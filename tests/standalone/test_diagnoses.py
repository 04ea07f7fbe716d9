"""The doctor's words: each figure that is wrong says so, why it matters and what to type; what is right says that."""

from __future__ import annotations

import json

import pytest

from standalone.diagnoses import (
    RULES,
    known,
    of_backups,
    of_clock,
    of_database,
    of_disk,
    of_figures,
    of_rebuild,
    of_trail,
)
from standalone.findings import Finding, as_json
from standalone.inspection import _without_credentials
from standalone.status import rebuild_lines
from telemetry.metrics import GAUGES

GOOD = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "autovacuum": "on",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "max_connections": "200",
    "jit": "off",
    "random_page_cost": "1.1",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_figure_in_plain_words(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule.name in GAUGES
    far = rule.most - 2 if rule.least else rule.most + 2
    near = rule.most + 2 if rule.least else rule.most - 0.01
    [bad] = of_figures({rule.name: {"ris": far * rule.unit}})
    assert bad.good is False
    assert bad.why
    assert bad.do
    assert "{" not in bad.text + bad.do
    [good] = of_figures({rule.name: {"ris": near * rule.unit}})
    assert good == Finding(True, rule.fine)


def test_times_are_told_in_their_unit() -> None:
    [late] = of_figures({"pacs_celery_oldest_task_seconds": {"": 7200}})
    assert late.text == "the oldest background task has waited for 120 minutes"
    [ends] = of_figures({"pacs_cert_expiry_seconds": {"hl7": 5 * 86400}})
    assert ends.text == "the certificate of hl7 ends in 5 days"


def test_what_could_not_be_asked_is_no_silence() -> None:
    [unknown] = of_figures({"pacs_scrape_failed": {"tasks": 1.0, "hl7": 0.0, "trail": 1.0}})
    assert unknown.good is False
    assert "tasks, trail" in unknown.text


def test_sessions_of_the_database() -> None:
    figures = {"pacs_db_connections": {"idle": 90.0, "active": 85.0}, "pacs_db_connections_max": {"": 200.0}}
    [finding] = of_figures(figures)
    assert finding.good is False
    assert "175 of 200" in finding.text


@pytest.mark.parametrize(("objects", "oldest", "good"), [(0.0, 0.0, True), (3.0, 60.0, None), (3.0, 3600.0, False)])
def test_what_waits_for_the_object_store(objects: float, oldest: float, good: bool | None) -> None:
    found = {"objects": objects, "bytes": objects * (1 << 20), "oldest_seconds": oldest}
    [finding] = of_figures({f"pacs_spool_{name}": {"": figure} for name, figure in found.items()})
    assert finding.good is good
    assert (
        not objects
        or f"3 objects (3.0 MiB) wait on this machine for the object store, the oldest for {oldest / 60:.0f}"
        in finding.text
    )


def test_postgresql() -> None:
    [fine] = of_database(GOOD)
    assert fine.good
    [wrong] = of_database(GOOD | {"fsync": "off"})
    assert (wrong.good, "ALTER SYSTEM SET fsync = 'on'" in wrong.do) == (False, True)
    [slow] = of_database(GOOD | {"jit": "on"})
    assert slow.good is None
    logs = list(of_database(GOOD | {"log_statement": "all", "log_min_duration_statement": "0"}))
    assert all("Patients" in each.why for each in logs)
    assert len(logs) == 2


def test_clock_disk_backups_and_trail() -> None:
    assert of_clock(0.4).good
    assert of_clock(-61).good is False
    assert of_disk(100 << 30, None).good is None
    assert of_disk(100 << 30, 1 << 30).good
    assert of_disk(10 << 30, 1 << 30).good is False
    assert of_backups("", "", None, False, "").good is None
    assert of_backups("/b", "2026-11-22 10:00 UTC", 3.0, False, "").good
    assert of_backups("/b", "2026-11-20 10:00 UTC", 50.0, True, "").good is False
    assert of_backups("/b", "", None, False, "no room").good is False
    assert of_trail(10, 10, 0, 0).good
    assert of_trail(5, 10, 0, 0).good is False
    assert of_trail(10, 10, 700, 0).good is False


def test_a_rebuild_that_is_due() -> None:
    assert of_rebuild("", "").good
    due = of_rebuild("the index may lack studies", "./pacs rebuild --add-missing")
    assert (due.good, due.text, due.do) == (
        False,
        "a rebuild is due: the index may lack studies",
        "./pacs rebuild --add-missing",
    )
    assert rebuild_lines({"why": "", "command": ""}) == []
    told = rebuild_lines({"why": "it lacks studies", "command": "./pacs rebuild"})
    assert told == ["index       REBUILD DUE: it lacks studies", "            ./pacs rebuild"]
    assert rebuild_lines({"error": "OperationalError"}) == ["index       unknown (OperationalError)"]


def test_for_people_and_for_programs() -> None:
    found = [
        Finding(True, "fine"),
        Finding(False, "broken", "It matters.", "mend it\nand again"),
        Finding(None, "known"),
    ]
    lines = [line for each in found for line in each.lines()]
    assert lines == [
        "  ok    fine",
        "  BAD   broken",
        "          It matters.",
        "        > mend it",
        "        > and again",
        "  note  known",
    ]
    told = json.loads(as_json(found))
    assert told["bad"] == 1
    assert [each["state"] for each in told["findings"]] == ["ok", "bad", "note"]


def test_an_answer_that_failed_is_none() -> None:
    assert known({"disk": {"error": "x"}}, "disk") == {}
    assert known({}, "disk") == {}


def test_settings_are_shown_without_passwords() -> None:
    told = _without_credentials(
        {
            "database_url": "postgresql://pacs:secret@db:5432/pacs?password=secret",
            "redis_url": "redis://:secret@valkey:6379/0",
            "webhook": {"urls": ["https://user:secret@example.org/hook?token=secret"]},
            "limits": [1, "plain", None],
        }
    )
    assert "secret" not in str(told)
    assert told["database_url"] == "postgresql://db:5432/pacs"
    assert told["limits"] == [1, "plain", None]
