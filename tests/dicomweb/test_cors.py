"""Cross-origin viewers: allowed origins by setting only, on answers of every status, preflight without credentials."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as HttpClient

from tests.dicomweb.conftest import Door

VIEWER = "https://viewer.example"


@pytest.fixture
def viewer_allowed(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [VIEWER]


def preflight(origin: str) -> Any:
    headers = {
        "origin": origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,range",
    }
    return HttpClient().options("/dicom-web/studies", headers=headers)


@pytest.mark.usefixtures("db", "viewer_allowed")
def test_preflight_needs_no_principal() -> None:
    answer = preflight(VIEWER)
    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == VIEWER
    assert {"authorization", "range", "if-none-match"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Access-Control-Allow-Origin" not in preflight("https://elsewhere.example")


@pytest.mark.usefixtures("viewer_allowed")
def test_errors_carry_the_headers_too(technologist: Door) -> None:
    """Without them a browser hides the status from the viewer."""
    for path, status in (("studies", 200), ("studies/1.2.3", 404), ("studies?limit=x", 400)):
        answer = technologist.get(path, origin=VIEWER)
        assert answer.status_code == status
        assert answer["Access-Control-Allow-Origin"] == VIEWER
        assert "Warning" in answer["Access-Control-Expose-Headers"]
    refused = HttpClient().get("/dicom-web/studies", headers={"origin": VIEWER})
    assert refused.status_code == 401
    assert refused["Access-Control-Allow-Origin"] == VIEWER


def test_no_origin_is_allowed_by_default(technologist: Door) -> None:
    assert "Access-Control-Allow-Origin" not in technologist.get("studies", origin=VIEWER)


@pytest.mark.django_db
def test_anybody_may_ask_what_can_be_asked() -> None:
    """OPTIONS without a credential tells the methods and nothing about what is stored."""
    for path, methods in (
        ("studies", {"GET", "POST", "HEAD", "OPTIONS"}),
        ("studies/1.2.3", {"GET", "POST", "DELETE", "HEAD", "OPTIONS"}),
        ("studies/1.2.3/metadata", {"GET", "HEAD", "OPTIONS"}),
    ):
        answer = HttpClient().options(f"/dicom-web/{path}")
        assert (answer.status_code, answer.content) == (204, b"")
        assert set(answer["Allow"].split(", ")) == methods
    wrong = HttpClient().options("/dicom-web/studies", headers={"authorization": "Bearer nonsense"})
    assert wrong.status_code == 401
