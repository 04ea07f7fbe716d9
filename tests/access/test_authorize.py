"""An app acts for a person: consent, a code that works once, and tokens that end when they should."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from access.clients import create_app
from access.models import AppSession, Client, User
from access.people import reset_password
from access.redirects import BadRedirect, checked, is_same
from access.sessions_of import end_all
from access.smart import in_words
from access.token_end import end_tokens
from audit.models import AccessEvent
from tests.access.conftest import MakePerson
from tests.access.oauth import CALLBACK, STATE, App, make_app

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(db: None) -> App:
    return make_app()


@pytest.fixture
def user(make_person: MakePerson) -> User:
    return make_person("radiologist", username="dr.reader")


@pytest.fixture
def signed_in(browser: Browser, user: User) -> Browser:
    browser.force_login(user)
    return browser


def last_event(kind: str) -> AccessEvent:
    return AccessEvent.objects.filter(kind=kind).order_by("-sequence")[0]


@pytest.mark.parametrize("public", [True, False])
def test_the_whole_way(signed_in: Browser, user: User, public: bool) -> None:
    app = make_app(public=public)
    page = signed_in.get(app.question())
    text = page.content.decode()
    assert page.status_code == 200
    assert all(words in text for words in ("Reading app", "dr.reader", "find studies", "open images", "app.example"))
    assert "delete studies" not in text
    assert "form-action 'self' https://app.example" in page["Content-Security-Policy"]
    answer = app.ask(signed_in)
    assert app.answer.keys() == {"code", "state", "iss"}
    assert (app.answer["state"], app.answer["iss"]) == (STATE, settings.PACS.public_root)
    assert answer["Cache-Control"] == "no-store" if "Cache-Control" in answer else True
    tokens = app.exchange().json()
    assert tokens.keys() == {"access_token", "refresh_token", "expires_in", "token_type", "scope"}
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 900, "user/ImagingStudy.rs")
    who = app.whoami(tokens["access_token"]).json()
    assert (who["kind"], who["name"], who["id"]) == ("person", "dr.reader", str(user.external_id))
    assert who["permissions"].keys() == {"search", "retrieve", "objects"}
    allowed, signed = last_event("user_changed"), last_event("sign_in")
    assert str(app.client.external_id) in allowed.outcome_description
    assert allowed.principal_name == "dr.reader"
    assert (signed.principal_kind, signed.principal_id) == ("person", str(user.external_id))
    assert signed.rule == f"app:{app.client.external_id}"


def test_nothing_that_works_is_stored(signed_in: Browser, app: App) -> None:
    app.ask(signed_in)
    code = app.answer["code"]
    tokens = app.exchange().json()
    secrets = (code, tokens["access_token"], tokens["refresh_token"])
    models = (AppSession, get_access_token_model(), get_refresh_token_model(), AccessEvent, Client)
    stored = repr([list(model.objects.values()) for model in models])
    assert "dr.reader" in stored
    assert not any(secret in stored for secret in secrets)


def test_the_person_says_no(signed_in: Browser, app: App) -> None:
    assert app.ask(signed_in, answer="deny").status_code == 303
    assert app.answer["error"] == "access_denied"
    assert (app.answer["state"], app.answer["iss"]) == (STATE, settings.PACS.public_root)
    assert not AppSession.objects.exists()
    assert last_event("user_changed").decision == "deny"


def test_whoever_is_not_signed_in_signs_in_first(browser: Browser, app: App) -> None:
    response = browser.get(app.question())
    assert response.status_code == 302
    there = parse_qs(urlsplit(response["Location"]).query)["next"][0]
    assert response["Location"].startswith("/accounts/login/")
    assert there == app.question()


def test_a_form_of_another_site_allows_nothing(signed_in: Browser, app: App) -> None:
    signed_in.get(app.question())
    assert signed_in.post(app.question(), {"answer": "allow"}).status_code == 403
    assert not AppSession.objects.exists()


def test_a_token_can_allow_nothing(signed_in: Browser, app: App) -> None:
    """Otherwise an app could widen what it may."""
    token = app.tokens(signed_in)["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert app.machine.post(app.question(), {"answer": "allow"}, headers=bearer).status_code == 403
    assert AppSession.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"state": None}, "invalid_request"),
        ({"state": "x" * 1001}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"scope": "openid profile"}, "invalid_scope"),
        ({"scope": "dicomweb"}, "invalid_scope"),
        ({"scope": "user/ImagingStudy.cruds"}, "invalid_scope"),
        ({"scope": "system/ImagingStudy.rs"}, "invalid_scope"),
    ],
)
@pytest.mark.parametrize("method", ["get", "ask"])
def test_errors_that_the_app_gets(
    signed_in: Browser, app: App, changed: dict[str, str | None], error: str, method: str
) -> None:
    if method == "get":
        response = signed_in.get(app.question(**changed))
    else:
        signed_in.get("/account/keys/")
        token = signed_in.cookies["lightbox_csrf"].value
        response = signed_in.post(app.question(**changed), {"answer": "allow"}, headers={"X-CSRFToken": token})
    fields = parse_qs(urlsplit(response["Location"]).query)
    assert response.status_code == 303
    assert response["Location"].startswith(f"{CALLBACK}?")
    assert fields["error"] == [error]
    assert ("code" in fields, fields["iss"]) == (False, [settings.PACS.public_root])
    assert not AppSession.objects.exists()
    assert last_event("refused").rule == "authorize"


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "unknown"},
        {"client_id": None},
        {"client_id": "a\0b"},
        {"redirect_uri": None},
        {"redirect_uri": f"{CALLBACK}/more"},
        {"redirect_uri": f"{CALLBACK}?more=1"},
        {"redirect_uri": "https://app.example.evil.example/callback"},
        {"redirect_uri": "https://evil.example@app.example/callback"},
        {"redirect_uri": f"{CALLBACK}#fragment"},
        {"redirect_uri": "HTTPS://app.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://127.0.0.1:8000/other"},
        {"redirect_uri": "http://localhost/cb"},
        {"redirect_uri": "http://127.0.0.1:notaport/cb"},
    ],
)
def test_errors_that_only_the_person_gets(signed_in: Browser, app: App, changed: dict[str, str | None]) -> None:
    response = signed_in.get(app.question(**changed))
    assert response.status_code == 400
    assert "Location" not in response
    assert "evil" not in response.content.decode()


def test_a_parameter_given_twice(signed_in: Browser, app: App) -> None:
    assert signed_in.get(app.question() + "&redirect_uri=https://evil.example").status_code == 400


def test_a_machine_is_no_app(signed_in: Browser, app: App, make_client: Any) -> None:
    machine = make_client("technologist")
    Client.objects.filter(pk=machine.pk).update(redirect_uris=CALLBACK)
    assert signed_in.get(app.question(client_id=machine.client_id)).status_code == 400


def test_a_native_app_takes_any_port(signed_in: Browser, app: App) -> None:
    """RFC 8252 7.3, for numbers; 8.3 warns of the name."""
    callback = "http://127.0.0.1:54321/cb"
    signed_in.get(app.question(redirect_uri=callback))
    token = signed_in.cookies["lightbox_csrf"].value
    address = app.question(redirect_uri=callback)
    response = signed_in.post(address, {"answer": "allow"}, headers={"X-CSRFToken": token})
    assert response["Location"].startswith(f"{callback}?code=")
    code = parse_qs(urlsplit(response["Location"]).query)["code"][0]
    assert app.exchange(code).status_code == 400
    assert app.exchange(code, redirect_uri=callback).status_code == 200


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/callback",
        "ftp://app.example/",
        "app:/callback",
        "https://",
        "https://app.example/a b",
        "https://app.example/\n",
        "https://a:b@app.example/",
        "https://app.example/#x",
        "https://app.example:0/",
        "https://app.example:99999/",
        "https://äpp.example/",
        "http://127.0.0.1.evil.example/",
        "https://app.example/" + "x" * 2000,
        "",
    ],
)
def test_addresses_that_cannot_be_registered(uri: str) -> None:
    with pytest.raises(BadRedirect):
        checked(uri)


def test_addresses_that_can() -> None:
    for uri in (CALLBACK, "https://app.example:8443/?a=b", "http://localhost:3000/cb", "http://[::1]/cb"):
        assert checked(uri) == uri
        assert is_same(uri, uri)
    assert is_same("http://[::1]:1234/cb", "http://[::1]/cb")
    assert not is_same("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb")
    assert not is_same("https://app.example:1/callback", CALLBACK)


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"redirect_uri": "https://app.example/other"},
        {"code": "nonsense"},
        {"code": ""},
        {"client_id": "unknown"},
        {"grant_type": "password"},
        {"grant_type": "implicit"},
    ],
)
def test_a_code_alone_is_not_enough(signed_in: Browser, app: App, changed: dict[str, str]) -> None:
    app.ask(signed_in)
    assert app.exchange(**changed).status_code in (400, 401)
    assert not get_access_token_model().objects.exists()
    assert app.exchange().status_code == 200, "what was wrong is not held against the right one"


def test_the_code_of_another_app(signed_in: Browser, app: App) -> None:
    other = make_app(name="Another app")
    app.ask(signed_in)
    assert other.exchange(app.answer["code"], code_verifier=app.verifier).status_code == 400
    assert app.exchange().status_code == 200


def test_a_confidential_app_has_to_show_its_secret(signed_in: Browser) -> None:
    app = make_app(public=False)
    app.ask(signed_in)
    assert app.exchange(client_secret="wrong").status_code == 401
    app.secret, kept = "", app.secret
    assert app.exchange().status_code == 401
    app.secret = kept
    assert app.exchange().status_code == 200


def test_a_code_is_good_for_a_minute(signed_in: Browser, app: App) -> None:
    app.ask(signed_in)
    AppSession.objects.update(code_expires_at=timezone.now())
    assert app.exchange().status_code == 400


def test_a_code_used_twice_ends_what_the_first_use_gave(signed_in: Browser, app: App) -> None:
    """RFC 6749 4.1.2."""
    tokens = app.tokens(signed_in)
    assert app.whoami(tokens["access_token"]).status_code == 200
    again = app.exchange()
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert app.whoami(tokens["access_token"]).status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 400
    alerts = [event for event in AccessEvent.objects.filter(kind="refused") if "ALERT" in event.outcome_description]
    assert [(alert.outcome, alert.principal_name) for alert in alerts] == [(8, "dr.reader")]
    assert "authorization code" in alerts[0].outcome_description


class TestTheEnd:
    """Whatever ends the person's leave ends the token, from the next request on."""

    @pytest.fixture
    def token(self, signed_in: Browser, app: App) -> str:
        token: str = app.tokens(signed_in)["access_token"]
        assert app.whoami(token).status_code == 200
        return token

    def test_switched_off(self, app: App, user: User, token: str) -> None:
        User.objects.filter(pk=user.pk).update(is_active=False)
        assert app.whoami(token).status_code == 401

    def test_the_app_switched_off(self, app: App, token: str) -> None:
        Client.objects.filter(pk=app.client.pk).update(is_active=False)
        assert app.whoami(token).status_code == 401

    def test_everything_ended(self, app: App, user: User, token: str) -> None:
        ended = end_tokens(user)
        assert (ended.app_sessions, ended.api_keys) == (1, 0)
        assert app.whoami(token).status_code == 401

    def test_signed_out_everywhere(self, app: App, user: User, token: str) -> None:
        assert end_all(user) >= 1
        assert app.whoami(token).status_code == 401

    def test_a_new_password(self, app: App, user: User, token: str) -> None:
        reset_password(user)
        assert app.whoami(token).status_code == 401

    def test_everything_of_the_app_ended(self, app: App, token: str) -> None:
        assert end_tokens(app.client).app_sessions == 1
        assert app.whoami(token).status_code == 401

    def test_a_code_on_its_way(self, signed_in: Browser, app: App, user: User) -> None:
        app.ask(signed_in)
        end_tokens(user)
        assert app.exchange().status_code == 400

    def test_roles_taken(self, app: App, user: User, token: str) -> None:
        user.roles.all().delete()
        assert app.whoami(token).json()["permissions"] == {}

    def test_the_session_is_over(self, app: App, token: str) -> None:
        AppSession.objects.update(expires_at=timezone.now())
        assert app.whoami(token).status_code == 401

    @pytest.mark.parametrize("which", ["access_token", "refresh_token"])
    def test_the_app_signs_out(self, signed_in: Browser, app: App, which: str) -> None:
        tokens = app.tokens(signed_in)
        assert app.post("/oauth/revoke/", token=tokens[which]).status_code == 200
        assert app.whoami(tokens["access_token"]).status_code == 401
        assert app.refresh(tokens["refresh_token"]).status_code == 400
        assert not [e for e in AccessEvent.objects.all() if "ALERT" in e.outcome_description]

    def test_another_app_ends_nothing(self, signed_in: Browser, app: App, token: str) -> None:
        other = make_app(name="Another app")
        assert other.post("/oauth/revoke/", token=token).status_code == 200
        assert app.whoami(token).status_code == 200

    def test_signing_out_of_the_browser_is_not_the_end(self, signed_in: Browser, app: App, token: str) -> None:
        signed_in.logout()
        assert app.whoami(token).status_code == 200


def test_what_a_request_costs(signed_in: Browser, app: App) -> None:
    token = app.tokens(signed_in)["access_token"]
    with CaptureQueriesContext(connection) as queries:
        assert app.whoami(token).status_code == 200
    assert len(queries) == 1
    assert queries[0]["sql"].startswith("SELECT")


def test_a_person_s_token_without_a_session_is_none(app: App, user: User, make_token: Any) -> None:
    assert app.whoami(make_token(app.client, user=user)).status_code == 401
    assert app.whoami(make_token(app.client)).status_code == 401


def test_an_app_gets_no_token_of_its_own(app: App) -> None:
    confidential = make_app(public=False, name="Another app")
    for one in (app, confidential):
        assert one.post("/oauth/token/", grant_type="client_credentials").status_code in (400, 401)


def test_a_name_is_taken_once(app: App) -> None:
    with pytest.raises(Exception, match="taken"):
        create_app("reading APP", [CALLBACK], ["user/ImagingStudy.rs"], public=True)


READING = {"search", "retrieve", "objects", "annotate", "export", "report", "read_reports"}
# What somebody with these roles, asked for these scopes, reads on the page; and what the token says that it can do.
ASKED = {
    ("radiologist", "user/ImagingStudy.rs"): {"search", "retrieve", "objects"},
    ("radiologist", "user/ImagingStudy.cruds"): {"search", "retrieve", "objects", "annotate"},
    ("nurse", "user/ImagingStudy.cruds"): {"search", "retrieve"},
    ("administrator", "user/ImagingStudy.rs"): {"search"},
    ("auditor", "user/ImagingStudy.rs"): set(),
    ("radiologist", "dicomweb"): {*READING, "break_glass", "workitems_read", "workitems_perform"},
    ("radiologist", "dicomweb launch/patient"): READING,
    # What is of everybody is not of one patient; and whoever opens nothing gives nothing to others.
    ("administrator", "dicomweb"): {
        *("search", "store", "update", "delete", "manage", "interfaces"),
        *("workitems_read", "workitems_manage", "hold"),
    },
    ("administrator", "dicomweb launch/patient"): {"search", "store", "update", "delete"},
}


@pytest.mark.parametrize(("role", "scope"), ASKED)
def test_the_page_lists_what_the_token_can_do(
    browser: Browser, make_person: Any, make_study: Any, role: str, scope: str
) -> None:
    listed = ASKED[role, scope]
    browser.force_login(make_person(role))
    patient = make_study().patient
    asking = make_app(scopes=("dicomweb", "launch/patient", "user/ImagingStudy.cruds"), name="Asking")
    page = browser.get(asking.question(scope=scope)).content.decode()
    words = re.search(r'class="able">(.*?)</ul>', page, re.DOTALL)
    found = set(re.findall(r"<li>(.*?)</li>", words[1])) if words else set()
    assert found == set(in_words(listed))
    token = asking.tokens(browser, scope=scope, posted={"patient": str(patient.pk)})["access_token"]
    able = set(asking.whoami(token).json()["permissions"])
    assert able - ({"export"} if role == "administrator" else set()) == listed
    kept = browser.get("/account/keys/").content.decode()
    assert ", ".join(in_words(listed)) in kept
