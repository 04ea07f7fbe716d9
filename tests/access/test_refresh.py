"""Refresh tokens work once; one that comes a second time ends everything the app has."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from access.models import AppSession, Client, User
from audit.models import AccessEvent
from tests.access.conftest import MakePerson
from tests.access.oauth import App, make_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(make_person: MakePerson) -> User:
    return make_person("radiologist", username="dr.reader")


@pytest.fixture
def signed_in(browser: Browser, user: User) -> Browser:
    browser.force_login(user)
    return browser


@pytest.fixture(params=["public", "confidential"])
def app(db: None, request: pytest.FixtureRequest) -> App:
    return make_app(public=request.param == "public", scopes=("user/ImagingStudy.rs", "patient/ImagingStudy.rs"))


def alerts() -> list[AccessEvent]:
    return list(AccessEvent.objects.filter(kind="refused", outcome_description__startswith="ALERT"))


def test_each_refresh_gives_new_ones_and_ends_the_old(signed_in: Browser, app: App) -> None:
    first = app.tokens(signed_in)
    second = app.refresh(first["refresh_token"]).json()
    third = app.refresh(second["refresh_token"]).json()
    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    assert [app.whoami(each["access_token"]).status_code for each in (first, second, third)] == [401, 401, 200]
    assert third["scope"] == "user/ImagingStudy.rs"
    assert not alerts()
    event = AccessEvent.objects.filter(kind="sign_in").order_by("-sequence")[0]
    assert (event.principal_name, event.outcome_description.endswith("refresh_token")) == ("dr.reader", True)


def test_one_that_was_used_ends_the_family(signed_in: Browser, app: App) -> None:
    first = app.tokens(signed_in)
    second = app.refresh(first["refresh_token"]).json()
    third = app.refresh(second["refresh_token"]).json()
    stolen = app.refresh(first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert app.whoami(third["access_token"]).status_code == 401
    assert app.refresh(third["refresh_token"]).status_code == 400, "whoever had the right one has to ask again as well"
    (alert,) = alerts()
    assert (alert.outcome, alert.decision, alert.rule) == (8, "deny", f"app:{app.client.external_id}")
    assert (alert.principal_name, alert.auth_method) == ("dr.reader", "oauth2")
    assert "refresh token" in alert.outcome_description
    assert str(app.client.external_id) in alert.outcome_description
    assert app.refresh(first["refresh_token"]).status_code == 400
    assert len(alerts()) == 1, "what is over needs no further alert"


def test_other_sessions_of_the_same_person_and_app_go_on(signed_in: Browser, app: App) -> None:
    stolen, other = app.tokens(signed_in), app.tokens(signed_in)
    app.refresh(stolen["refresh_token"])
    app.refresh(stolen["refresh_token"])
    assert len(alerts()) == 1
    assert app.whoami(other["access_token"]).status_code == 200
    assert app.refresh(other["refresh_token"]).status_code == 200


def test_a_thief_without_the_secret_ends_the_family_too(signed_in: Browser, app: App) -> None:
    first = app.tokens(signed_in)
    second = app.refresh(first["refresh_token"]).json()
    fields = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "client_id": "unknown"}
    assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", fields).status_code == 401
    assert app.whoami(second["access_token"]).status_code == 401
    assert len(alerts()) == 1


def test_a_token_that_nobody_knows_ends_nothing(signed_in: Browser, app: App) -> None:
    tokens = app.tokens(signed_in)
    assert app.refresh("nonsense").status_code == 400
    assert app.refresh(tokens["access_token"]).status_code == 400
    assert app.whoami(tokens["access_token"]).status_code == 200
    assert not alerts()


def test_a_refused_refresh_with_the_newest_ends_nothing(signed_in: Browser, app: App) -> None:
    tokens = app.tokens(signed_in)
    assert app.refresh(tokens["refresh_token"], scope="user/ImagingStudy.cruds").status_code == 400
    assert app.refresh(tokens["refresh_token"], scope="dicomweb").status_code == 400
    assert app.whoami(tokens["access_token"]).status_code == 200
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    assert not alerts()


def test_a_refresh_may_ask_for_less(signed_in: Browser, app: App) -> None:
    tokens = app.tokens(signed_in)
    narrow = app.refresh(tokens["refresh_token"], scope="user/ImagingStudy.s").json()
    assert narrow["scope"] == "user/ImagingStudy.s"
    assert app.whoami(narrow["access_token"]).json()["permissions"].keys() == {"search"}


def test_the_refresh_token_of_another_app(signed_in: Browser, app: App) -> None:
    other = make_app(name="Another app")
    tokens = app.tokens(signed_in)
    assert other.refresh(tokens["refresh_token"]).status_code == 400
    assert app.whoami(tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("end", ["person off", "app off", "session over", "idle"])
def test_when_nothing_is_given_any_more(signed_in: Browser, app: App, user: User, end: str) -> None:
    tokens = app.tokens(signed_in)
    long_ago = timezone.now() - timedelta(days=31)
    match end:
        case "person off":
            User.objects.filter(pk=user.pk).update(is_active=False)
        case "app off":
            Client.objects.filter(pk=app.client.pk).update(is_active=False)
        case "session over":
            AppSession.objects.update(expires_at=timezone.now())
        case "idle":
            get_access_token_model().objects.update(expires=long_ago)
    assert app.refresh(tokens["refresh_token"]).status_code in (400, 401)
    assert not alerts()


def test_reuse_is_found_after_the_daily_cleaning(signed_in: Browser, app: App) -> None:
    first = app.tokens(signed_in)
    second = app.refresh(first["refresh_token"]).json()
    call_command("upkeep")
    assert app.whoami(second["access_token"]).status_code == 200
    app.refresh(first["refresh_token"])
    assert len(alerts()) == 1


def test_the_daily_cleaning_removes_what_is_long_over(signed_in: Browser, app: App) -> None:
    app.tokens(signed_in)
    AppSession.objects.update(expires_at=timezone.now() - timedelta(days=2))
    call_command("upkeep")
    assert not AppSession.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_without_a_trail_there_are_no_tokens_and_the_code_stays_good(signed_in: Browser, app: App) -> None:
    app.ask(signed_in)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_accessevent RENAME TO audit_away")
    app.machine.raise_request_exception = False
    try:
        assert app.exchange().status_code == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_away RENAME TO audit_accessevent")
    assert not get_refresh_token_model().objects.exists()
    assert app.exchange().status_code == 200
