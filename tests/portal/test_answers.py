"""What every answer carries, and what is said when something is wrong."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client as Browser
from django.urls import path

from access.middleware import open_to_all
from archive.object_store.errors import ObjectStoreUnavailable
from audit.models import AccessEvent
from pacs_project import urls
from pacs_project.middleware import client_address
from portal import health

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
FAILURES = {
    "bug": RuntimeError("DOE^JANE"),
    "database": OperationalError("password=hunter2"),
    "objects": ObjectStoreUnavailable("bucket secret"),
}


@open_to_all
def failing(request: HttpRequest, name: str) -> HttpResponse:
    raise FAILURES[name]


handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500
urlpatterns = [*urls.urlpatterns, path("dicom-web/test/<name>", failing), path("test/<name>", failing)]


@pytest.fixture
def stranger() -> Browser:
    return Browser(HTTP_HOST="127.0.0.1", raise_request_exception=False)


@pytest.mark.parametrize(
    "address", ["/accounts/login/", "/nowhere", "/api/whoami", "/livez", "/static/portal/portal.css"]
)
def test_headers(stranger: Browser, address: str) -> None:
    headers = stranger.get(address).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Server" not in headers
    assert "X-Powered-By" not in headers


def test_pages_are_not_kept_and_have_nothing_inline(browser: Browser, make_person: Make) -> None:
    browser.force_login(make_person("radiologist"))
    pages = [
        browser.get("/"),
        browser.get("/nowhere"),
        browser.get("/api/docs"),
        Browser(HTTP_HOST="127.0.0.1").get("/accounts/login/"),
    ]
    for page in pages:
        text = page.content.decode()
        assert page["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)
        assert '<html lang="en">' in text


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123", True),
        ("A" * 64, True),
        ("A" * 65, False),
        ("a b", False),
        ("a\nb", False),
        ("", False),
        ("é", False),
        ("-x", False),
    ],
)
def test_request_id(stranger: Browser, sent: str, kept: bool) -> None:
    answered = stranger.get("/livez", HTTP_X_REQUEST_ID=sent)["X-Request-ID"]
    assert (answered == sent) is kept
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", answered)


def test_the_request_id_is_on_the_trail(browser: Browser, make_person: Make) -> None:
    browser.force_login(make_person("radiologist"))
    browser.get("/", headers={"X-Request-ID": "trace-me"})
    assert AccessEvent.objects.get().request_id == "trace-me"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("198.51.100.7", "", [], "198.51.100.7"),
        ("198.51.100.7", "203.0.113.9", [], "198.51.100.7"),
        ("10.0.0.1", "203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "nonsense", ["10.0.0.1"], "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, nonsense", ["10.0.0.1"], "10.0.0.1"),
        ("", "203.0.113.9", ["unix"], "203.0.113.9"),
        ("", "203.0.113.9", [], ""),
        ("::1", "2001:db8::1", ["::1"], "2001:db8::1"),
        ("::1", "fe80::1%eth0", ["::1"], "::1"),
        ("fe80::1%eth0", "", [], ""),
    ],
)
def test_client_address(peer: str, forwarded: str, trusted: list[str], address: str) -> None:
    assert client_address(peer, forwarded, trusted) == address


@pytest.mark.parametrize(("name", "status"), [("bug", 500), ("database", 503), ("objects", 503)])
def test_failures_tell_nothing(stranger: Browser, settings: Any, name: str, status: int) -> None:
    settings.ROOT_URLCONF = __name__
    for address, accept, media_type in (
        (f"/dicom-web/test/{name}", "text/html", "application/problem+json"),
        (f"/test/{name}", "application/json", "application/problem+json"),
        (f"/test/{name}", "text/html", "text/html"),
    ):
        response = stranger.get(address, headers={"Accept": accept})
        assert response.status_code == status
        assert response["Content-Type"].startswith(media_type)
        assert ("Retry-After" in response) is (status == 503)
        for secret in ("DOE", "hunter2", "bucket", "Traceback", "Error"):
            assert secret not in response.content.decode()


def test_nothing_there_and_wrong_host(stranger: Browser) -> None:
    assert stranger.get("/dicom-web/nowhere/at/all").json()["status"] == 404
    assert (
        "nothing at this address" in stranger.get("/nowhere", headers={"Accept": "text/html"}).content.decode().lower()
    )
    head = stranger.head("/nowhere")
    assert (head.status_code, head.content) == (404, b"")
    evil = stranger.get("/accounts/login/", HTTP_HOST="evil.example")
    assert evil.status_code == 400
    assert "evil" not in evil.content.decode()


def test_alive_asks_nobody(stranger: Browser, django_assert_num_queries: Make) -> None:
    with django_assert_num_queries(0):
        assert stranger.get("/livez").content == b"ok\n"
    assert stranger.head("/livez").status_code == 200
    assert stranger.post("/livez").status_code == 405


def test_ready(stranger: Browser, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(health, "_last", None)
    response = stranger.get("/readyz")
    assert response.status_code == 200
    services = ("database", "object_store", "broker", "trail", "sealing")
    assert response.json() == dict.fromkeys(services, "ok") | {"mode": "normal"}
    settings.PACS = settings.PACS.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    assert stranger.get("/readyz").json()["broker"] == "ok"
    monkeypatch.setattr(health, "_last", None)
    response = stranger.get("/readyz")
    assert (response.status_code, response.json()["broker"]) == (200, "failing")


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_the_database(stranger: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_last", None)
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    response = stranger.get("/readyz")
    assert response.status_code == 503
    assert response.json()["database"] == "failing"
    assert set(response.json().values()) <= {"ok", "failing", "normal"}
    assert stranger.get("/livez").status_code == 200
    monkeypatch.undo()
    connection.close()


def test_documentation(browser: Browser, make_person: Make) -> None:
    browser.force_login(make_person("auditor"))
    page = browser.get("/api/docs").content.decode()
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert browser.get(address.replace("&amp;", "&")).status_code == 200, address
    schema = browser.get("/api/schema", headers={"Accept": "application/json"})
    assert schema.status_code == 200
    described = json.loads(schema.content)
    assert "/api/whoami" in described["paths"]
    assert set(described["components"]["securitySchemes"]) == {"token", "session", "client"}
