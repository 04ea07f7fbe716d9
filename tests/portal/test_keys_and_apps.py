"""The page of one's own keys and apps, and the page on which an app asks."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from access.acting import COMMAND_LINE
from access.api_keys import MARK, Wish, make_key
from access.models import ApiKey, AppSession, User
from access.step_up import RECENT_SECONDS
from audit.models import AccessEvent
from tests.access.conftest import MakePerson
from tests.access.oauth import App, make_app

pytestmark = pytest.mark.django_db
PAGE = "/account/keys/"
NEW = "/account/keys/new"


@pytest.fixture
def user(make_person: MakePerson) -> User:
    return make_person("radiologist", username="dr.reader")


@pytest.fixture
def signed_in(browser: Browser, user: User) -> Browser:
    browser.force_login(user)
    return browser


def post(browser: Browser, address: str, fields: dict[str, Any] | None = None) -> Any:
    browser.get(PAGE)
    return browser.post(address, fields or {}, headers={"X-CSRFToken": browser.cookies["lightbox_csrf"].value})


def test_a_key_is_made_and_shown_once(signed_in: Browser, user: User) -> None:
    assert signed_in.get(NEW).status_code == 200
    made = post(signed_in, NEW, {"name": "<b>night</b> export", "days": "30", "reach": "read"})
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    shown = re.search(rf'value="({MARK}[\w-]+)"', made.content.decode())
    assert shown is not None
    assert "<b>night" not in made.content.decode()
    header = {"Authorization": f"Bearer {shown[1]}"}
    assert Browser(HTTP_HOST="127.0.0.1").get("/api/whoami", headers=header).json()["name"] == "dr.reader"
    page = signed_in.get(PAGE).content.decode()
    assert shown[1] not in page
    assert "export" in page
    event = AccessEvent.objects.get(kind="user_changed")
    assert (event.principal_name, event.path) == ("dr.reader", "/account/keys/new")
    assert str(ApiKey.objects.get(user=user).external_id) in event.outcome_description


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"days": "0"},
        {"days": "366"},
        {"days": "x"},
        {"days": ""},
        {"reach": "everything"},
        {"name": "x" * 201},
        {"name": "\0"},
    ],
)
def test_a_form_that_cannot_be(signed_in: Browser, wrong: dict[str, str]) -> None:
    response = post(signed_in, NEW, {"name": "x", "days": "30", "reach": "all"} | wrong)
    assert response.status_code == 400
    assert 'role="alert"' in response.content.decode()
    assert not ApiKey.objects.exists()


def test_whoever_signed_in_long_ago_is_asked_first(signed_in: Browser, shift_session: Any) -> None:
    signed_in.get(PAGE)
    shift_session(signed_in, RECENT_SECONDS + 60, keys=("proved_at",))
    for response in (signed_in.get(NEW), post(signed_in, NEW, {"name": "x", "days": "30", "reach": "all"})):
        assert response.status_code == 302
        assert response["Location"].startswith("/account/confirm")
    assert not ApiKey.objects.exists()


def test_revoking(signed_in: Browser, user: User) -> None:
    key, secret = make_key(user, Wish(name="export"), COMMAND_LINE)
    assert post(signed_in, f"/account/keys/{key.external_id}/revoke").status_code == 302
    assert "opens nothing any more" in signed_in.get(PAGE).content.decode()
    header = {"Authorization": f"Bearer {secret}"}
    assert Browser(HTTP_HOST="127.0.0.1").get("/api/whoami", headers=header).status_code == 401


def test_those_of_others_are_not_there(signed_in: Browser, make_person: MakePerson) -> None:
    other = make_person("radiologist", username="other")
    key, _ = make_key(other, Wish(name="not yours"), COMMAND_LINE)
    app = make_app()
    elsewhere = Browser(enforce_csrf_checks=True, HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
    elsewhere.force_login(other)
    app.tokens(elsewhere)
    session = AppSession.objects.get()
    page = signed_in.get(PAGE).content.decode()
    assert "not yours" not in page
    assert "Reading app" not in page
    assert post(signed_in, f"/account/keys/{key.external_id}/revoke").status_code == 404
    assert post(signed_in, f"/account/keys/apps/{session.external_id}/end").status_code == 404
    assert ApiKey.objects.get().revoked_at is None


def test_ending_an_app(signed_in: Browser) -> None:
    app: App = make_app()
    tokens = app.tokens(signed_in)
    page = signed_in.get(PAGE).content.decode()
    assert "Reading app" in page
    session = AppSession.objects.get()
    assert post(signed_in, f"/account/keys/apps/{session.external_id}/end").status_code == 302
    assert "may no longer act for you" in signed_in.get(PAGE).content.decode()
    assert app.whoami(tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    assert post(signed_in, f"/account/keys/apps/{session.external_id}/end").status_code == 404


def test_states(signed_in: Browser, user: User) -> None:
    for name in ("works", "revoked", "ended"):
        make_key(user, Wish(name=f"the {name} one"), COMMAND_LINE)
    ApiKey.objects.filter(name="the revoked one").update(revoked_at=timezone.now())
    long_ago = timezone.now() - timedelta(days=9)
    ApiKey.objects.filter(name="the ended one").update(created_at=long_ago, expires_at=timezone.now())
    page = signed_in.get(PAGE).content.decode()
    assert page.count(">Revoke<") == 1
    assert '<span class="chip">revoked</span>' in page
    assert '<span class="chip">ended</span>' in page


def test_a_forged_form(signed_in: Browser, user: User) -> None:
    key, _ = make_key(user, Wish(name="export"), COMMAND_LINE)
    for address in (NEW, f"/account/keys/{key.external_id}/revoke"):
        assert signed_in.post(address, {"name": "x", "days": "30", "reach": "all"}).status_code == 403
    assert ApiKey.objects.get().revoked_at is None
