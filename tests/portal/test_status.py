"""The status page: a colour for each part, for everybody; more for those who manage; nothing of patients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser

from access.models import User
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from custody.modes import read_only
from portal import health
from portal import status as status_page

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_last", None)
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
