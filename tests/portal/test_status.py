"""The status page: a colour for each part, for everybody; more for those who manage; nothing of patients."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client as Browser

from access.models import User
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from custody.facts import behind, documents, due
from custody.facts.models import Rebuild
from custody.modes import read_only
from pacs_project import gauges
from portal import health
from portal import status as status_page
from portal.status_details import details

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    # What tests before stored would be unknown to this index.
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})
    monkeypatch.setattr(health, "_last", None)
    monkeypatch.setattr(due, "_belief", due._Belief())
    read_only._belief.forget()


def asked(browser: Browser) -> Any:
    return browser.get("/status", headers={"accept": "application/json"}).json()


def test_everybody_sees_colours_and_no_more(browser: Browser) -> None:
    page = browser.get("/status")
    assert page.status_code == 200
    assert b"All is well" in page.content
    assert b"For administrators" not in page.content
    told = asked(browser)
    assert (told["status"], set(told)) == ("green", {"status", "parts"})
    assert set(told["parts"]) == {"database", "object_store", "trail", "broker", "sealing"}


def test_who_manages_sees_more(browser: Browser, make_person: Callable[..., User]) -> None:
    browser.force_login(make_person("administrator"))
    details = asked(browser)["details"]
    assert {"tasks_waiting", "tasks_dead", "disk_free_bytes"} <= set(details)
    assert b"Free disk" in browser.get("/status").content
    told = AccessEvent.objects.filter(query="status")
    assert {(each.kind, each.rule, each.principal_kind) for each in told} == {("search", "manage", "person")}
    assert told.count() == 2
    browser.force_login(make_person("radiologist"))
    assert "details" not in asked(browser)
    assert told.count() == 2, "what everybody may see is no access"


def test_what_is_kept_until_the_object_store_is_back(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"object_store": "s3", "data": tmp_path})

    def told() -> dict[str, Any]:
        return {each.name: each.value for each in details() if "spooled" in each.name}

    assert told() == {"spooled_objects": 0, "spooled_bytes": 0, "oldest_spooled_seconds": 0}
    kept = tmp_path / "spooled/objects/instances/2026"
    kept.mkdir(parents=True)
    for number, age in enumerate((30, 600)):
        (kept / f"{number}.dcm").write_bytes(bytes(100))
        os.utime(kept / f"{number}.dcm", (time.time() - age,) * 2)
    found = told()
    assert (found["spooled_objects"], found["spooled_bytes"]) == (2, 200)
    assert 600 <= found["oldest_spooled_seconds"] < 1200
    figures = gauges._spool()
    assert (figures["pacs_spool_objects"], figures["pacs_spool_bytes"]) == ({(): 2.0}, {(): 200.0})
    assert figures["pacs_spool_oldest_seconds"][()] >= 600


def test_what_cannot_be_recorded_is_not_told(
    browser: Browser, make_person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(events: object) -> None:
        raise AuditUnavailable

    monkeypatch.setattr(status_page, "record", away)
    browser.force_login(make_person("administrator"))
    assert set(asked(browser)) == {"status", "parts"}


def test_what_is_away(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OSError

    monkeypatch.setattr(health, "CHECKS", {**health.CHECKS, "object_store": away})
    told = asked(browser)
    assert (told["status"], told["parts"]["object_store"]["colour"]) == ("red", "red")
    assert told["parts"]["object_store"]["since"] > told["parts"]["database"]["since"]
    assert b"Something is away" in browser.get("/status").content


def test_a_rebuild_that_is_due_is_said(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "index" not in asked(browser)["parts"]
    behind.say_needed()
    assert "index" not in asked(browser)["parts"], "it is asked now and then"
    monkeypatch.setattr(due, "BELIEVED_SECONDS", 0.0)
    due._belief.forget()
    told = asked(browser)
    assert (told["status"], told["parts"]["index"]["colour"]) == ("amber", "amber")
    assert "types: ./pacs rebuild --add-missing." in told["parts"]["index"]["text"]
    assert b"The index may lack studies" in browser.get("/status").content
    Rebuild.objects.update(mode="add-missing", summary={"open": ["facts_unreadable"]})
    assert "left something open: facts unreadable" in asked(browser)["parts"]["index"]["text"]
    Rebuild.objects.update(summary={})
    assert "types: ./pacs rebuild --resume." in asked(browser)["parts"]["index"]["text"]
    Rebuild.objects.update(finished_at=Now())
    assert "index" not in asked(browser)["parts"]
    documents.put("facts/archive/tags/00000000000000001-aaaaaaaa.json.gz", b'{"format": 1}')
    lost = due.told()
    assert (lost["why"], lost["command"]) == ("the index is empty, and the object store is not", "./pacs rebuild")
    since = asked(browser)["parts"]["index"]["since"]
    assert asked(browser)["parts"]["index"]["since"] == since


def test_without_the_database(
    browser: Browser, make_person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.force_login(make_person("administrator"))
    connection.close()
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict, "PORT", "1")
        assert asked(browser)["parts"]["database"]["colour"] == "red"
        connection.close()


def test_read_only_is_said(browser: Browser) -> None:
    assert read_only.begin("the store moves")
    told = asked(browser)
    assert (told["status"], told["parts"]["mode"]["colour"]) == ("amber", "amber")
    answer = browser.get("/readyz")
    assert (answer.status_code, answer.json()["mode"]) == (200, "read-only")
    assert read_only.end()
