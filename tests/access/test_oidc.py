"""Single sign-on: against a real OpenID provider in a process of its own, and against one that lies."""

from __future__ import annotations

import html
import logging
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
import requests
from django.conf import settings as django_settings
from django.test import Client as Browser
from pydantic import ValidationError

from access import oidc_sign_in
from access.federation_models import FederatedIdentity
from access.federation_settings import OidcConfig, TrustedIssuer
from access.jwt_keys import published_keys
from access.models import CustomRole, User, UserRole
from access.oidc_provider import _known
from access.people import create_user
from audit.models import AccessEvent
from pacs_project.config import Config
from tests.access.issuer import Issuer, rsa_key
from tests.access.openid_provider import OpenIdProvider

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
ROOT = "http://127.0.0.1:8080"
ROLES = {"rad": ["radiologist"], "tech": ["technologist"], "boss": ["administrator"]}
USERS: dict[str, dict[str, Any]] = {
    "grey": {"preferred_username": "dr.grey", "groups": ["rad", "boss-of-nothing"], "email": "grey@example.org"},
    "plain": {"preferred_username": "plain", "groups": ["administrator", "radiologist", "*"]},
    "taken": {"preferred_username": "LOCAL", "groups": ["rad"]},
    "wide": {"preferred_username": "ＬＯＣＡＬ", "groups": ["rad"]},
    "long": {"preferred_username": "ﷺ" * 150, "groups": ["rad"]},
    "odd": {"preferred_username": "<script>\n", "groups": ["rad"]},
    "nameless": {"groups": ["rad"]},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider(USERS)
    yield made
    made.stop()


@pytest.fixture
def false_provider() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.stop()


@pytest.fixture
def sign_on(settings: Any) -> Callable[..., None]:
    """Set the provider."""
    _known.cache_clear()
    published_keys.cache_clear()

    def do(issuer: str, **fields: Any) -> None:
        described: dict[str, Any] = {"client_id": "lightbox", "client_secret": "s3cret:/+", "roles_claim": "groups"}
        oidc = OidcConfig.model_validate({"issuer": issuer, "create": True, "roles": ROLES} | described | fields)
        settings.PACS = settings.PACS.model_copy(update={"oidc": oidc, "public_root": ROOT})

    return do


def begin(browser: Browser, onward: str = "/?wish=1") -> str:
    """Press the button of the sign-in page; where the browser is sent."""
    page = browser.get(f"/accounts/login/?{urlencode({'next': onward})}").content.decode()
    form = re.search(r'<form method="post" action="/accounts/sso/".*?</form>', page, re.S)
    assert form, page
    fields = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])}
    answer = browser.post("/accounts/sso/", fields)
    assert answer.status_code == 200, answer.content
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.content.decode())
    assert found
    assert f'href="{found[1]}"' in answer.content.decode()
    return html.unescape(found[1])


def agree(there: str, subject: str) -> str:
    """What a person does at the provider; the path of ours to which it sends the browser back."""
    answer = requests.post(there, data={"sub": subject}, allow_redirects=False, timeout=60)
    assert answer.status_code == 302, answer.text
    back = answer.headers["Location"]
    assert back.startswith(f"{ROOT}/accounts/sso/return?")
    return back.removeprefix(ROOT)


def sign_in(browser: Browser, subject: str) -> Any:
    """From the beginning, as somebody who was never here."""
    browser.cookies.clear()
    return browser.get(agree(begin(browser), subject))


def failures() -> list[AccessEvent]:
    return list(AccessEvent.objects.filter(kind="sign_in_failed").order_by("sequence"))


class TestWithARealProvider:
    """oidc-provider-mock, with PKCE checked."""

    def test_from_the_button_to_the_study_list(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        there = begin(browser)
        question = dict(parse_qsl(urlsplit(there).query))
        assert (question["response_type"], question["client_id"]) == ("code", "lightbox")
        assert (question["code_challenge_method"], len(question["code_challenge"])) == ("S256", 43)
        assert len(question["state"]) >= 43
        assert len(question["nonce"]) >= 43
        assert question["redirect_uri"] == f"{ROOT}/accounts/sso/return"
        assert "s3cret" not in there
        answer = browser.get(agree(there, "grey"))
        assert (answer.status_code, answer["Location"]) == (302, "/?wish=1")
        me = browser.get("/api/whoami", headers={"Accept": "*/*"}).json()
        assert (me["name"], me["kind"], me["roles"]) == ("dr.grey", "person", ["radiologist"])
        user = User.objects.get(username="dr.grey")
        assert not user.has_usable_password()
        assert FederatedIdentity.objects.filter(issuer=provider.issuer, subject="grey", user=user).exists()
        event = AccessEvent.objects.get(kind="sign_in")
        assert (event.rule, event.principal_id, event.roles) == ("oidc", str(user.external_id), ["radiologist"])
        made = AccessEvent.objects.get(kind="user_changed")
        assert (made.principal_kind, made.principal_name, made.rule) == ("system", "single sign-on", "oidc")

    def test_twice_is_one_person(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        for _ in range(2):
            assert sign_in(browser, "grey").status_code == 302
        assert User.objects.count() == 1
        assert AccessEvent.objects.filter(kind="roles_changed").count() == 1

    def test_the_session_is_a_new_one(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        there = begin(browser)
        before = browser.cookies[django_settings.SESSION_COOKIE_NAME].value
        browser.get(agree(there, "grey"))
        assert browser.cookies[django_settings.SESSION_COOKIE_NAME].value != before

    def test_roles_are_those_of_the_last_sign_in(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        user = User.objects.get()
        UserRole.objects.create(user=user, role="administrator")
        UserRole.objects.filter(role="radiologist").update(limit_kind="site", limit_values=["North"])
        create_user("somebody", ["administrator"])
        sign_in(browser, "grey")
        assert list(user.roles.values_list("role", "limit_values")) == [("radiologist", ["North"])]
        sign_on(provider.issuer, roles={"rad": "technologist"})
        sign_in(browser, "grey")
        assert list(user.roles.values_list("role", flat=True)) == ["technologist"]

    def test_without_a_table_roles_are_given_here(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer, roles={})
        sign_in(browser, "grey")
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["roles"] == []
        UserRole.objects.create(user=User.objects.get(), role="radiologist")
        sign_in(browser, "grey")
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["roles"] == ["radiologist"]

    def test_a_role_of_the_houses_own(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        CustomRole.objects.create(name="teleradiology", title="Teleradiology", rights={"search": "ALL"})
        sign_on(provider.issuer, roles={"rad": ["teleradiology", "misspelt"]})
        sign_in(browser, "grey")
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["roles"] == ["teleradiology"]

    def test_what_is_not_in_the_table_gives_nothing(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer)
        answer = sign_in(browser, "plain")
        assert answer.status_code == 403
        assert b"no role here" in answer.content
        assert not User.objects.exists()
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401

    def test_roles_that_are_gone_are_gone_at_once(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        other = Browser(enforce_csrf_checks=True, HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        sign_on(provider.issuer, roles={"boss": "administrator"})
        assert sign_in(other, "grey").status_code == 403
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["roles"] == []

    def test_a_name_of_somebody_here_is_never_taken_over(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        person = make_person("administrator", username="local")
        sign_on(provider.issuer)
        answer = sign_in(browser, "taken")
        assert answer.status_code == 403
        assert b"has to link" in answer.content
        assert not FederatedIdentity.objects.exists()
        assert failures()[-1].outcome_description.endswith("(subject taken)")
        assert failures()[-1].rule == "oidc"
        assert b"has to link" in sign_in(browser, "wide").content
        assert sign_in(browser, "long").status_code == 403
        assert not FederatedIdentity.objects.exists()
        FederatedIdentity.objects.create(issuer=provider.issuer, subject="taken", user=person)
        create_user("somebody", ["administrator"])
        assert sign_in(browser, "taken").status_code == 302
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["name"] == "local"

    def test_the_last_who_manages_is_not_unmade(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        person = make_person("administrator")
        FederatedIdentity.objects.create(issuer=provider.issuer, subject="grey", user=person)
        sign_on(provider.issuer)
        assert sign_in(browser, "grey").status_code == 403
        assert [role.role for role in person.roles.all()] == ["administrator"]

    def test_mail_is_no_identity(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        person = make_person("administrator", username="chief")
        User.objects.filter(pk=person.pk).update(email="grey@example.org")
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).json()["name"] == "dr.grey"

    @pytest.mark.parametrize("subject", ["odd", "nameless"])
    def test_names_that_are_none(self, browser: Browser, provider: OpenIdProvider, sign_on: Make, subject: str) -> None:
        sign_on(provider.issuer)
        assert sign_in(browser, subject).status_code == 403
        assert not User.objects.exists()

    def test_only_known_people_unless_set(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        sign_on(provider.issuer, create=False)
        answer = sign_in(browser, "grey")
        assert (answer.status_code, b"not known here" in answer.content) == (403, True)
        FederatedIdentity.objects.create(issuer=provider.issuer, subject="grey", user=make_person())
        assert sign_in(browser, "grey").status_code == 302

    def test_the_same_subject_of_another_issuer_is_somebody_else(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        FederatedIdentity.objects.create(issuer="https://other.example", subject="grey", user=make_person("auditor"))
        sign_on(provider.issuer, create=False)
        assert sign_in(browser, "grey").status_code == 403

    def test_a_person_switched_off_stays_out(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, make_person: Make
    ) -> None:
        person = make_person("radiologist", active=False)
        FederatedIdentity.objects.create(issuer=provider.issuer, subject="grey", user=person)
        sign_on(provider.issuer)
        answer = sign_in(browser, "grey")
        assert (answer.status_code, b"switched off" in answer.content) == (403, True)

    def test_no_password_opens_such_an_account(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        other = Browser(HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        for password in ("", "!", User.objects.get().password):
            answer = other.post("/accounts/login/", {"username": "dr.grey", "password": password})
            assert answer.status_code == 401

    def test_denied_there(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        back = requests.post(begin(browser), data={"action": "deny"}, allow_redirects=False, timeout=60)
        state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
        question = parse_qs(urlsplit(back.headers["Location"]).query)
        answer = browser.get(f"/accounts/sso/return?error={question['error'][0]}&state={state}")
        assert (answer.status_code, b"refused or cancelled" in answer.content) == (401, True)
        assert "refused or cancelled" in failures()[-1].outcome_description

    def test_a_code_can_be_used_once_and_only_here(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer)
        back = agree(begin(browser), "grey")
        thief = Browser(enforce_csrf_checks=True, HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        assert thief.get(back).status_code == 400
        begin(thief)
        assert thief.get(back).status_code == 400
        assert thief.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
        assert browser.get(back).status_code == 302
        assert browser.get(back).status_code == 400

    def test_a_code_of_another_sign_in_has_the_wrong_verifier(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        """Code injection: somebody puts a code that they stole into a sign-in of their own."""
        sign_on(provider.issuer)
        stolen = dict(parse_qsl(urlsplit(agree(begin(browser), "grey")).query))["code"]
        thief = Browser(enforce_csrf_checks=True, HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        state = dict(parse_qsl(urlsplit(begin(thief)).query))["state"]
        assert thief.get(f"/accounts/sso/return?{urlencode({'code': stolen, 'state': state})}").status_code == 502
        assert thief.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401

    def test_to_prove_it_again(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        token = browser.get("/").context["csrf_token"]
        answer = browser.post("/accounts/sso/", {"csrfmiddlewaretoken": str(token), "next": "/sharing/"})
        assert "prompt=login" in answer.content.decode()

    @pytest.mark.parametrize("wish", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
    def test_the_way_on_is_ours(self, browser: Browser, provider: OpenIdProvider, sign_on: Make, wish: str) -> None:
        sign_on(provider.issuer)
        assert browser.get(agree(begin(browser, wish), "grey"))["Location"] == "/"

    def test_signing_out_there_too(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer, sign_out=True)
        sign_in(browser, "grey")
        token = browser.get("/").context["csrf_token"]
        answer = browser.post("/accounts/logout/", {"csrfmiddlewaretoken": str(token)})
        found = re.search(r'content="0;url=([^"]+)"', answer.content.decode())
        assert found
        there = html.unescape(found[1])
        assert there.startswith(f"{provider.issuer}/oauth2/end_session?client_id=lightbox&post_logout_redirect_uri=")
        assert requests.get(there, timeout=60).status_code == 200
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401

    def test_signing_out_here_alone(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        sign_in(browser, "grey")
        token = browser.get("/").context["csrf_token"]
        answer = browser.post("/accounts/logout/", {"csrfmiddlewaretoken": str(token)})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")


class TestBeginning:
    """The button and what it does."""

    def test_without_a_provider_there_is_no_button(self, browser: Browser) -> None:
        assert b"/accounts/sso/" not in browser.get("/accounts/login/").content
        browser.get("/accounts/login/")
        token = browser.cookies[django_settings.CSRF_COOKIE_NAME].value
        assert browser.post("/accounts/sso/", {"csrfmiddlewaretoken": token}).status_code == 404
        assert browser.get("/accounts/sso/return?code=1&state=2").status_code == 404

    def test_only_our_pages_begin(self, browser: Browser, provider: OpenIdProvider, sign_on: Make) -> None:
        sign_on(provider.issuer)
        assert browser.post("/accounts/sso/").status_code == 403
        assert browser.post("/accounts/sso/", headers={"Origin": "https://evil.example"}).status_code == 403
        answer = browser.get("/accounts/sso/")
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")

    def test_what_was_not_begun_here_leaves_no_event(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make
    ) -> None:
        sign_on(provider.issuer)
        for question in ("", "?code=x", "?state=&code=x", "?state=x&code=x", "?state=%ED%A0%80&code=%00"):
            answer = browser.get(f"/accounts/sso/return{question}")
            assert answer.status_code == 400, question
            assert b"not begun in this browser" in answer.content
        begin(browser)
        assert browser.get("/accounts/sso/return?state=%ED%A0%80&code=%00").status_code == 400
        assert not AccessEvent.objects.exists()

    def test_it_ends_after_ten_minutes(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sign_on(provider.issuer)
        back = agree(begin(browser), "grey")
        monkeypatch.setattr(oidc_sign_in, "MOST_SECONDS", -1)
        answer = browser.get(back)
        assert (answer.status_code, b"took too long" in answer.content) == (400, True)

    def test_many_failures_are_slowed_down(
        self, browser: Browser, provider: OpenIdProvider, sign_on: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("access.throttle.PER_ADDRESS", 3)
        sign_on(provider.issuer)
        statuses = []
        for _ in range(4):
            state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
            answer = browser.get(f"/accounts/sso/return?error=access_denied&state={state}")
            statuses.append(answer.status_code)
        assert statuses == [401, 401, 401, 429]
        assert int(answer["Retry-After"]) > 0


class TestProviderInTrouble:
    """Away, or wrong: a page that says so."""

    def test_away(self, browser: Browser, false_provider: Issuer, sign_on: Make) -> None:
        sign_on(false_provider.address)
        false_provider.stop()
        browser.get("/accounts/login/")
        token = browser.cookies[django_settings.CSRF_COOKIE_NAME].value
        answer = browser.post("/accounts/sso/", {"csrfmiddlewaretoken": token})
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert b"can't be reached" in html.unescape(answer.content.decode()).encode()

    def test_away_in_between(self, browser: Browser, false_provider: Issuer, sign_on: Make) -> None:
        sign_on(false_provider.address)
        state = parse_qs(urlsplit(begin(browser)).query)["state"][0]
        false_provider.stop()
        answer = browser.get(f"/accounts/sso/return?code=x&state={state}")
        assert answer.status_code == 503
        assert failures()[-1].outcome_description == "no answer (ConnectionError)"

    @pytest.mark.parametrize(
        "changes",
        [
            {"issuer": "https://evil.example"},
            {"token_endpoint": "http://evil.example/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": "file:///etc/passwd"},
            {"userinfo_endpoint": "ftp://x"},
            {"token_endpoint": None},
            {"id_token_signing_alg_values_supported": ["HS256", "none"]},
            {"id_token_signing_alg_values_supported": 7},
        ],
        ids=str,
    )
    def test_a_wrong_discovery_document(
        self, browser: Browser, false_provider: Issuer, sign_on: Make, changes: dict[str, Any]
    ) -> None:
        sign_on(false_provider.address)
        document = false_provider.document() | changes
        false_provider.paths["/.well-known/openid-configuration"] = lambda form: document
        browser.get("/accounts/login/")
        token = browser.cookies[django_settings.CSRF_COOKIE_NAME].value
        assert browser.post("/accounts/sso/", {"csrfmiddlewaretoken": token}).status_code == 502


class Liar:
    """A provider whose ID token is what a test wants."""

    def __init__(self, browser: Browser, issuer: Issuer) -> None:
        self.browser, self.issuer = browser, issuer
        self.nonce = self.state = ""
        self.forms: list[dict[str, str]] = []

    def answer(self, make: Callable[[Liar], Any], **back: str) -> Any:
        """Sign in with what ``make`` says is the token endpoint's answer."""
        return self.come_back(begin(self.browser), make, back)

    def again(self, make: Callable[[Liar], Any]) -> Any:
        """The same for who is signed in already."""
        token = self.browser.get("/").context["csrf_token"]
        page = self.browser.post("/accounts/sso/", {"csrfmiddlewaretoken": str(token)}).content.decode()
        assert "prompt=login" in page
        return self.come_back(html.unescape(page.split("0;url=")[1].split('"')[0]), make, {})

    def come_back(self, there: str, make: Callable[[Liar], Any], back: dict[str, str]) -> Any:
        question = dict(parse_qsl(urlsplit(there).query))
        self.nonce, self.state = question["nonce"], question["state"]

        def token(form: dict[str, str]) -> Any:
            self.forms.append(form)
            found = make(self)
            return {"access_token": "a", "token_type": "Bearer", "id_token": found} if isinstance(found, str) else found

        self.issuer.paths["/token"] = token
        return self.browser.get(f"/accounts/sso/return?{urlencode({'code': 'c', 'state': self.state, **back})}")

    def sign(self, **changes: Any) -> str:
        claims = {"aud": "lightbox", "sub": "grey", "nonce": self.nonce, "preferred_username": "dr.grey"}
        return self.issuer.sign(**({**claims, "groups": ["rad"]} | changes))


@pytest.fixture
def liar(browser: Browser, false_provider: Issuer, sign_on: Make) -> Liar:
    sign_on(false_provider.address)
    return Liar(browser, false_provider)


LIES: dict[str, Callable[[Liar], Any]] = {
    "no nonce": lambda liar: liar.sign(nonce=None),
    "nonce of another sign-in": lambda liar: liar.sign(nonce="x" * 43),
    "nonce a list": lambda liar: liar.sign(nonce=[liar.nonce]),
    "another audience": lambda liar: liar.sign(aud="other"),
    "two audiences without azp": lambda liar: liar.sign(aud=["lightbox", "other"]),
    "two audiences, for the other": lambda liar: liar.sign(aud=["lightbox", "other"], azp="other"),
    "azp of another": lambda liar: liar.sign(azp="other"),
    "another issuer": lambda liar: liar.sign(iss="https://evil.example"),
    "expired 90 s ago": lambda liar: liar.sign(exp=int(time.time()) - 90),
    "no exp": lambda liar: liar.sign(exp=None),
    "no iat": lambda liar: liar.sign(iat=None),
    "iat in 90 s": lambda liar: liar.sign(iat=int(time.time()) + 90),
    "no sub": lambda liar: liar.sign(sub=None),
    "sub with NUL": lambda liar: liar.sign(sub="g\0"),
    "another key": lambda liar: liar.sign(key=rsa_key()),
    "unknown kid": lambda liar: liar.sign(kid="other"),
    "alg none": lambda liar: liar.sign().rpartition(".")[0].replace("eyJhbGciOiJSUzI1NiI", "eyJhbGciOiJub25lIi") + ".",
    "HS256 with the client's secret": lambda liar: liar.sign(alg="HS256", key="s3cret:/+" * 8),
    "an access token": lambda liar: liar.sign(header={"typ": "at+jwt"}),
    "no ID token": lambda liar: {"access_token": "a"},
    "an ID token that is a number": lambda liar: {"id_token": 7},
    "a refusal": lambda liar: (400, {}, b'{"error": "invalid_grant"}'),
    "a redirect": lambda liar: (302, {"Location": "/jwks"}, b""),
    "a page": lambda liar: (200, {}, b"<html>"),
    "a list": lambda liar: [1],
}


class TestLies:
    """ID tokens that must not be believed; and that they are refused for what they are."""

    @pytest.mark.parametrize("name", LIES)
    def test_lies(self, liar: Liar, name: str) -> None:
        answer = liar.answer(LIES[name])
        assert answer.status_code == 502
        assert liar.browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
        assert not User.objects.exists()
        event = failures()[-1]
        assert (event.rule, event.decision, bool(event.outcome_description)) == ("oidc", "deny", True)

    @pytest.mark.parametrize("changes", [{}, {"aud": ["lightbox", "other"], "azp": "lightbox"}], ids=str)
    def test_the_truth(self, liar: Liar, changes: dict[str, Any]) -> None:
        assert liar.answer(lambda liar: liar.sign(**changes)).status_code == 302
        assert len(liar.forms) == 1
        assert liar.forms[0]["code_verifier"]
        assert "client_secret" not in liar.forms[0]

    def test_mix_up(self, liar: Liar) -> None:
        """RFC 9207: the answer names another provider."""
        assert liar.answer(Liar.sign, iss="https://evil.example").status_code == 502
        assert liar.forms == []
        assert liar.answer(Liar.sign, iss=liar.issuer.address).status_code == 302

    def test_a_provider_that_names_itself_always(self, browser: Browser, false_provider: Issuer, sign_on: Make) -> None:
        sign_on(false_provider.address)
        document = false_provider.document() | {"authorization_response_iss_parameter_supported": True}
        false_provider.paths["/.well-known/openid-configuration"] = lambda form: document
        liar = Liar(browser, false_provider)
        assert liar.answer(Liar.sign).status_code == 502
        assert liar.answer(Liar.sign, iss=false_provider.address).status_code == 302

    def test_the_secret_in_the_form(self, browser: Browser, false_provider: Issuer, sign_on: Make) -> None:
        sign_on(false_provider.address)
        document = false_provider.document() | {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        false_provider.paths["/.well-known/openid-configuration"] = lambda form: document
        liar = Liar(browser, false_provider)
        assert liar.answer(Liar.sign).status_code == 302
        assert liar.forms[0]["client_secret"] == "s3cret:/+"

    def test_claims_from_userinfo(self, browser: Browser, false_provider: Issuer, sign_on: Make) -> None:
        sign_on(false_provider.address)
        document = false_provider.document() | {"userinfo_endpoint": f"{false_provider.address}/userinfo"}
        false_provider.paths["/.well-known/openid-configuration"] = lambda form: document
        said = {"sub": "somebody else", "groups": ["boss"], "preferred_username": "evil"}
        false_provider.paths["/userinfo"] = lambda form: said
        liar = Liar(browser, false_provider)
        assert liar.answer(lambda liar: liar.sign(groups=None)).status_code == 502
        said |= {"sub": "grey", "groups": ["rad"]}
        assert liar.answer(lambda liar: liar.sign(groups=None)).status_code == 302
        me = browser.get("/api/whoami", headers={"Accept": "*/*"}).json()
        assert (me["name"], me["roles"]) == ("dr.grey", ["radiologist"])
        browser.cookies.clear()
        assert liar.answer(Liar.sign).status_code == 302
        assert false_provider.asked["/userinfo"] == 2

    def test_to_prove_it_again_takes_a_new_sign_in(self, liar: Liar) -> None:
        long_ago = int(time.time()) - 3600
        assert liar.answer(lambda liar: liar.sign(auth_time=long_ago)).status_code == 302
        assert liar.again(lambda liar: liar.sign(auth_time=long_ago)).status_code == 401
        assert liar.again(lambda liar: liar.sign(auth_time=int(time.time()))).status_code == 302

    def test_who_was_not_asked_there_is_asked_before_sensitive_actions(self, liar: Liar) -> None:
        """A provider that knows the browser signs in whoever sits there, and nobody showed anything."""
        new_key = "/account/keys/new"
        now = int(time.time())
        cases: list[tuple[dict[str, Any], int]] = [
            ({"auth_time": now - 3600}, 302),
            ({}, 302),
            ({"auth_time": now}, 200),
        ]
        for changes, status in cases:
            liar.browser.cookies.clear()
            assert liar.answer(partial(Liar.sign, **changes)).status_code == 302
            assert liar.browser.get(new_key).status_code == status, changes
        liar.browser.cookies.clear()
        liar.answer(Liar.sign)
        assert liar.again(Liar.sign).status_code == 302
        assert liar.browser.get(new_key).status_code == 200

    def test_logs_have_nothing_of_it(self, liar: Liar, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        liar.answer(lambda liar: liar.sign(sub="ZZQXMARKER", nonce="ZZQXMARKER", name="ZZQXMARKER"))
        assert "ZZQXMARKER" not in caplog.text
        assert "s3cret" not in caplog.text
        assert liar.state not in caplog.text


class TestSettings:
    """What is wrong is said when a process starts, in words, without secrets."""

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"issuer": "http://login.example.org"}, "https://"),
            ({"issuer": "https://user:pass@login.example.org"}, "https://"),
            ({"issuer": "https://login.example.org/?a=b"}, "neither a query nor a fragment"),
            ({"issuer": "https://[bad"}, "https://"),
            ({"client_id": ""}, "client_id is missing"),
            ({"issuer": ""}, "issuer is missing"),
            ({"scopes": "profile email"}, "openid"),
            ({"roles": {"*": ["radiologist"]}}, "wild card"),
            ({"roles": {" ": ["radiologist"]}}, "must be named"),
            ({"roles": {"x": ["Chief Radiologist"]}}, "can't be called"),
            ({"title": ""}, "title"),
            ({"isuer": "x"}, "isuer"),
        ],
        ids=str,
    )
    def test_oidc(self, changes: dict[str, Any], text: str) -> None:
        good = {"issuer": "https://login.example.org", "client_id": "x", "client_secret": "ZZQXMARKER"}
        assert OidcConfig.model_validate(good).issuer == "https://login.example.org"
        with pytest.raises(ValidationError) as refused:
            OidcConfig.model_validate(good | changes)
        assert text in str(refused.value)
        assert "ZZQXMARKER" not in str(refused.value)

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"algorithms": ["HS256"]}, "algorithms"),
            ({"algorithms": ["none"]}, "algorithms"),
            ({"algorithms": []}, "algorithms"),
            ({"audience": ""}, "audience"),
            ({"jwks_uri": "http://keys.example.org"}, "https://"),
            ({"jwks_uri": "file:///etc/keys"}, "https://"),
            ({"create": True}, "needs a table of roles"),
            ({"create": True, "kind": "person", "roles": {"x": "device"}}, "people are not created"),
        ],
        ids=str,
    )
    def test_trusted_issuers(self, changes: dict[str, Any], text: str) -> None:
        good = {"issuer": "https://issuer.example.org", "audience": "lightbox"}
        assert TrustedIssuer.model_validate(good).kind == "client"
        with pytest.raises(ValidationError) as refused:
            TrustedIssuer.model_validate(good | changes)
        assert text in str(refused.value)

    def test_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PACS_OIDC__ISSUER", "https://login.example.org/")
        monkeypatch.setenv("PACS_OIDC__CLIENT_ID", "lightbox")
        monkeypatch.setenv(
            "PACS_OIDC__ROLES", '{"/Radiology/Staff": "radiologist", "it": ["administrator", "auditor"]}'
        )
        monkeypatch.setenv("PACS_OIDC__CREATE", "true")
        issuer = '{"issuer": "https://i.example.org", "audience": "a", "roles": {"X": "device"}}'
        monkeypatch.setenv("PACS_TRUSTED_ISSUERS", f"[{issuer}]")
        config = Config()
        assert config.oidc.roles == {"/Radiology/Staff": ["radiologist"], "it": ["administrator", "auditor"]}
        assert (config.oidc.issuer, config.oidc.create) == ("https://login.example.org/", True)
        assert config.trusted_issuers[0].roles == {"X": ["device"]}
        monkeypatch.setenv("PACS_TRUSTED_ISSUERS", f"[{issuer}, {issuer}]")
        with pytest.raises(ValidationError, match="named twice"):
            Config()
