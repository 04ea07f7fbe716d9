"""What is of one process is answered by its address: orchestrators and scrapers know no name of ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from custody.modes import disk as disks
from custody.modes import read_only
from pacs_project import gauges
from portal import health

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a-token-of-this-test"


@pytest.fixture(autouse=True)
def scraped(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = settings.PACS.metrics.model_copy(update={"token": type(settings.PACS.secret_key)(TOKEN)})
    settings.PACS = settings.PACS.model_copy(update={"metrics": metrics})
    monkeypatch.setattr(health, "_last", None)
    monkeypatch.setattr(gauges, "_last", None)


def status(path: str, host: str, **headers: str) -> int:
    return Browser(HTTP_HOST=host).get(path, headers=headers).status_code


@pytest.mark.parametrize("host", ["10.1.2.3:8080", "10.1.2.3", "[fd00::7]:8080"])
def test_by_any_address(host: str) -> None:
    assert status("/livez", host) == 200
    assert status("/readyz", host) == 200
    assert status("/metrics", host) == 401
    assert status("/metrics", host, authorization=f"Bearer {TOKEN}") == 200
    assert status("/accounts/login/", host) == 400, "pages have the names that are set"


def test_by_another_name_only_to_a_token() -> None:
    assert status("/metrics", "web:8080", authorization=f"Bearer {TOKEN}") == 200
    assert status("/metrics", "web:8080", authorization="Bearer another") == 401
    for path in ("/metrics", "/livez", "/readyz"):
        assert status(path, "evil.example.org") == 400, "a browser that was led here"
        assert status(path, "10.1.2.3:8080:1") == 400


def test_a_disk_without_room_is_read_only(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read_only._belief.forget()
    assert gauges.figures()["pacs_read_only"] == {(): 0.0}
    monkeypatch.setattr(gauges, "_last", None)
    monkeypatch.setattr(disks, "disk", disks.Disk())
    monkeypatch.setattr(read_only, "disk", disks.disk)
    monkeypatch.setattr(disks, "free_bytes", lambda folder: 50)
    settings.PACS = settings.PACS.model_copy(update={"read_only_below_bytes": 100})
    assert gauges.figures()["pacs_read_only"] == {(): 1.0}
