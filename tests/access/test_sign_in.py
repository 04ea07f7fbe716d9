"""Signing in and out, guessing, and what the trail says of it."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from access import throttle
from access.authentication import person
from access.models import Client, SignInAttempt, User
from access.policy import permissions, visible_studies
from access.principal import Principal
from audit.models import AccessEvent

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
PAGE = "/accounts/login/"


@pytest.fixture
def radiologist(make_person: Callable[..., User]) -> User:
    return make_person("radiologist", username="rita", password=PASSWORD)


@pytest.fixture
def no_trail(transactional_db: None) -> Iterator[None]:
    """The trail's table is away."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_accessevent RENAME TO elsewhere")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO audit_accessevent")


def sign_in(browser: Browser, username: str, password: str, **fields: str) -> Any:
    browser.get(PAGE)
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    return browser.post(PAGE, {"username": username, "password": password, "csrfmiddlewaretoken": token, **fields})


def test_in_and_out(browser: Browser, radiologist: User) -> None:
    response = sign_in(browser, "rita", PASSWORD)
    assert (response.status_code, response["Location"]) == (302, "/")
    cookie = response.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert browser.get("/api/whoami").json()["name"] == "rita"
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    assert browser.get("/accounts/logout/").status_code == 405
    assert browser.post("/accounts/logout/", {"csrfmiddlewaretoken": token}).status_code == 302
    assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
    begin, end = AccessEvent.objects.filter(kind__in=("sign_in", "sign_out")).order_by("sequence")
    for event in (begin, end):
        assert (event.principal_id, event.principal_name) == (str(radiologist.external_id), "rita")
        assert (event.source_ip, event.auth_method, event.outcome) == ("127.0.0.1", "session", 0)
    assert begin.token_id == end.token_id != ""
    assert (begin.kind, begin.path, end.kind) == ("sign_in", "/accounts/login/", "sign_out")


def test_a_session_made_before_is_not_kept(browser: Browser, radiologist: User) -> None:
    """No fixation: whoever planted a session key doesn't share the session."""
    session = browser.session
    session["planted"] = 1
    session.save()
    browser.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    sign_in(browser, "rita", PASSWORD)
    assert browser.session.session_key != session.session_key
    assert not session.exists(str(session.session_key))


def test_a_wrong_password_and_an_unknown_name_look_the_same(
    browser: Browser, radiologist: User, make_person: Make
) -> None:
    make_person("radiologist", username="gone", password=PASSWORD, active=False)
    answers = {name: sign_in(browser, name, "wrong password") for name in ("rita", "nobody", "gone")}
    bodies = {
        response.content.replace(name.encode(), b"").replace(browser_token(response), b"")
        for name, response in answers.items()
    }
    assert {response.status_code for response in answers.values()} == {401}
    assert len(bodies) == 1
    assert sign_in(browser, "gone", PASSWORD).status_code == 401
    assert SESSION_KEY not in browser.session


SESSION_KEY = "_auth_user_id"


def browser_token(response: Any) -> bytes:
    return str(response.context["csrf_token"]).encode()


def test_a_failure_is_on_the_trail_without_what_was_typed(browser: Browser, radiologist: User) -> None:
    sign_in(browser, "rita", "wrong password")
    sign_in(browser, "my secret password", "wrong password")
    known, unknown = AccessEvent.objects.filter(kind="sign_in_failed").order_by("sequence")
    assert (known.principal_name, known.outcome, known.decision) == ("rita", 4, "deny")
    assert known.principal_id == str(radiologist.external_id)
    assert (unknown.principal_name, unknown.principal_id) == ("", "")
    assert "secret" not in str(AccessEvent.objects.values().last())
    assert "wrong password" not in str(list(AccessEvent.objects.values()))


def test_guessing_ends(browser: Browser, radiologist: User, make_person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "PER_NAME", 3)
    make_person("radiologist", username="ruth", password=PASSWORD)
    for name in ("rita", "nobody"):
        assert [sign_in(browser, name, "wrong").status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = sign_in(browser, "RITA", PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= throttle.WINDOW.total_seconds()
    assert sign_in(browser, "ruth", PASSWORD).status_code == 302
    SignInAttempt.objects.update(at=timezone.now() - throttle.WINDOW - timedelta(seconds=1))
    assert sign_in(Browser(HTTP_HOST="127.0.0.1"), "rita", PASSWORD).status_code == 302
    assert AccessEvent.objects.filter(kind="sign_in_failed", outcome_description__contains="too many").count() == 3


def test_success_forgives_and_an_address_has_a_limit_too(
    browser: Browser, radiologist: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "PER_NAME", 3)
    for _ in range(3):
        sign_in(browser, "rita", "wrong")
        sign_in(browser, "rita", "wrong")
        assert sign_in(Browser(HTTP_HOST="127.0.0.1"), "rita", PASSWORD).status_code == 302
    monkeypatch.setattr(throttle, "PER_ADDRESS", 8)
    answers = [sign_in(browser, f"guess-{number}", "wrong").status_code for number in range(4)]
    assert answers == [401, 401, 429, 429]


@pytest.mark.parametrize(
    ("wish", "onward"),
    [
        ("/viewer/viewer?StudyInstanceUIDs=1.2.3", "/viewer/viewer?StudyInstanceUIDs=1.2.3"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("http:evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\tevil", "/%09evil"),
        ("http://127.0.0.1/", "/"),
        ("", "/"),
    ],
)
def test_onward_stays_here(browser: Browser, radiologist: User, wish: str, onward: str) -> None:
    response = sign_in(browser, "rita", PASSWORD, next=wish)
    assert response.status_code == 302
    assert response["Location"] == onward
    again = browser.get(PAGE, {"next": wish})
    assert (again.status_code, again["Location"]) == (302, onward)


@pytest.mark.parametrize(
    "fields",
    [{}, {"username": "rita"}, {"username": "a\0b", "password": "x"}, {"username": "x" * 9999, "password": "y"}],
)
def test_a_form_that_is_not_filled(browser: Browser, radiologist: User, fields: dict[str, str]) -> None:
    browser.get(PAGE)
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    assert browser.post(PAGE, fields | {"csrfmiddlewaretoken": token}).status_code == 401


def test_a_foreign_form_is_refused(browser: Browser, radiologist: User) -> None:
    browser.get(PAGE)
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    fields = {"username": "rita", "password": PASSWORD}
    assert browser.post(PAGE, fields).status_code == 403
    fields["csrfmiddlewaretoken"] = token
    assert browser.post(PAGE, fields, headers={"Origin": "http://evil.example"}).status_code == 403
    assert browser.post(PAGE, fields, headers={"Origin": "http://127.0.0.1"}).status_code == 302


def test_without_a_trail_nobody_gets_in(browser: Browser, no_trail: None, make_person: Make) -> None:
    make_person("radiologist", username="rita", password=PASSWORD)
    browser.raise_request_exception = False
    for password in (PASSWORD, "wrong"):
        response = sign_in(browser, "rita", password)
        assert response.status_code == 503
        assert int(response["Retry-After"]) > 0
    assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
    assert not Session.objects.exists()


class TestTokens:
    """/oauth/token/ and /oauth/revoke/."""

    TOKEN = "/oauth/token/"
    SECRET = "a secret of a machine"

    @pytest.fixture
    def client_(self, make_client: Make) -> Client:
        client: Client = make_client("device", secret=self.SECRET)
        return client

    def ask(self, client: Client, **fields: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": client.client_id,
            "client_secret": self.SECRET,
        } | fields

    def test_a_token_and_its_end(self, client_: Client) -> None:
        machine = Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1")
        answer = machine.post(self.TOKEN, self.ask(client_))
        assert answer.status_code == 200
        body = answer.json()
        assert (body["token_type"], body["expires_in"]) == ("Bearer", settings.PACS.access_token_seconds)
        assert "refresh_token" not in body
        assert answer["Cache-Control"] == "no-store"
        header = {"Authorization": f"Bearer {body['access_token']}"}
        who = machine.get("/api/whoami", headers=header).json()
        assert (who["name"], who["permissions"]) == (client_.name, {"store": "all", "worklist": "all"})
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM oauth2_provider_accesstoken")
            assert body["access_token"] not in str(cursor.fetchall())
        assert self.SECRET not in str(Client.objects.values())
        ending = {"client_id": client_.client_id, "client_secret": self.SECRET, "token": body["access_token"]}
        assert machine.post("/oauth/revoke/", ending | {"client_secret": "x"}).status_code == 401
        assert machine.get("/api/whoami", headers=header).status_code == 200
        assert machine.post("/oauth/revoke/", ending).status_code == 200
        assert machine.get("/api/whoami", headers=header).status_code == 401
        begin, end = AccessEvent.objects.filter(kind__in=("sign_in", "sign_out")).order_by("sequence")
        assert (begin.kind, begin.principal_kind, begin.principal_name) == ("sign_in", "client", client_.name)
        assert begin.token_id == end.token_id != ""
        assert body["access_token"] not in str(list(AccessEvent.objects.values()))

    @pytest.mark.parametrize(
        ("fields", "status"),
        [
            ({"client_secret": "wrong"}, 401),
            ({"client_id": "unknown"}, 401),
            ({"client_id": "nul\0"}, 400),
            ({"extra": "nul\0"}, 400),
            ({"grant_type": "password", "username": "rita", "password": PASSWORD}, 400),
            ({"grant_type": "authorization_code", "code": "x"}, 400),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, 400),
            ({"grant_type": ""}, 400),
            ({"scope": "everything"}, 400),
        ],
    )
    def test_refused(self, client_: Client, fields: dict[str, str], status: int) -> None:
        answer = Browser(HTTP_HOST="127.0.0.1").post(self.TOKEN, self.ask(client_, **fields))
        assert answer.status_code == status
        assert "access_token" not in answer.json()
        assert Browser(HTTP_HOST="127.0.0.1").get(self.TOKEN).status_code == 405

    def basic(self, client: Client, secret: str) -> dict[str, str]:
        text = f"{client.client_id}:{secret}"
        return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}

    def test_one_client_in_one_way(self, client_: Client, make_client: Make) -> None:
        """RFC 6749 2.3. The token would be that of the body, and the trail would name the header's."""
        other = make_client("ai_vendor", secret="another secret")
        machine = Browser(HTTP_HOST="127.0.0.1")
        fields = self.ask(client_)
        for header in (self.basic(other, "wrong"), self.basic(client_, self.SECRET), {"Authorization": "Bearer x"}):
            for path in (self.TOKEN, "/oauth/revoke/"):
                answer = machine.post(path, fields | {"token": "x"}, headers=header)
                assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
        named = {"grant_type": "client_credentials", "client_id": client_.client_id}
        assert machine.post(self.TOKEN, named, headers=self.basic(other, "another secret")).status_code == 400
        assert machine.post(self.TOKEN, fields | {"client_id": [other.client_id, client_.client_id]}).status_code == 400
        assert not AccessEvent.objects.exists()
        assert machine.post(self.TOKEN, named, headers=self.basic(client_, self.SECRET)).status_code == 200
        assert AccessEvent.objects.get().principal_name == client_.name

    def test_guessing_under_another_spelling(self, client_: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """RFC 6749 2.3.1: names in the header are percent-encoded; all spellings of one are one."""
        monkeypatch.setattr(throttle, "PER_NAME", 2)
        machine = Browser(HTTP_HOST="127.0.0.1")
        statuses = []
        for at in range(3):
            name = client_.client_id
            text = f"{name[:at]}%{ord(name[at]):02X}{name[at + 1 :]}:wrong"
            header = {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}
            statuses.append(machine.post(self.TOKEN, {"grant_type": "client_credentials"}, headers=header).status_code)
        assert statuses == [401, 401, 429]
        assert {e.principal_name for e in AccessEvent.objects.all()} == {client_.name}

    def test_disabled(self, client_: Client) -> None:
        client_.is_active = False
        client_.save()
        answer = Browser(HTTP_HOST="127.0.0.1").post(self.TOKEN, self.ask(client_))
        assert answer.status_code == 401
        assert AccessEvent.objects.get().kind == "sign_in_failed"

    def test_guessing_ends(self, client_: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(throttle, "PER_NAME", 2)
        machine = Browser(HTTP_HOST="127.0.0.1")
        wrong = self.ask(client_, client_secret="wrong")
        assert [machine.post(self.TOKEN, wrong).status_code for _ in range(3)] == [401, 401, 429]
        assert machine.post(self.TOKEN, self.ask(client_)).status_code == 429
        assert machine.post("/oauth/revoke/", self.ask(client_, token="x")).status_code == 429

    def test_without_a_trail_there_is_no_token(self, no_trail: None, make_client: Make) -> None:
        client = make_client("device", secret=self.SECRET)
        machine = Browser(HTTP_HOST="127.0.0.1", raise_request_exception=False)
        answer = machine.post(self.TOKEN, self.ask(client))
        assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM oauth2_provider_accesstoken")
            assert cursor.fetchone() == (0,)


@pytest.mark.parametrize(
    "cookie",
    ['"aaaaaaaaaaaa\\000b"', "a" * 31, "A" * 32, "a" * 33, "../" + "a" * 29, '"' + "a" * 31 + '\\000"', "ä" * 32],
)
def test_a_cookie_that_is_no_key(browser: Browser, cookie: str) -> None:
    """A NUL in it was answered 500 at every address."""
    for path, status in ((PAGE, 200), ("/livez", 200), ("/api/whoami", 401)):
        answer = browser.get(path, headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "Accept": "*/*"})
        assert answer.status_code == status


class TestCommands:
    """The first person, and others, from the command line."""

    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out)
        return out.getvalue()

    def test_first_start(self, browser: Browser) -> None:
        box = self.run("first_start")
        password = next(line.split()[2] for line in box.splitlines() if "password  " in line)
        assert len(password) >= 20
        assert len({len(line) for line in box.splitlines()}) == 1
        assert sign_in(browser, "admin", password).status_code == 302
        admin = User.objects.get()
        assert {"manage", "retrieve"} <= set(permissions(person(admin, "")))
        assert self.run("first_start") == ""
        assert User.objects.count() == 1
        assert password not in str(list(AccessEvent.objects.values()))

    def test_create_user(self, browser: Browser) -> None:
        text = self.run("create_user", "rita", "--role", "radiologist", "--role", "technologist")
        password = text.split("password")[1].split()[0]
        assert sign_in(browser, "rita", password).status_code == 302
        assert browser.get("/api/whoami").json()["roles"] == ["radiologist", "technologist"]
        with pytest.raises(CommandError, match="taken"):
            self.run("create_user", "rita", "--role", "auditor")
        with pytest.raises(CommandError):
            self.run("create_user", "ruth", "--role", "king")
        assert {"user_changed", "roles_changed"} <= set(AccessEvent.objects.values_list("kind", flat=True))

    def test_create_client(self) -> None:
        words = self.run("create_client", "scanner", "--role", "device").split()
        fields = {"grant_type": "client_credentials", "client_id": words[1], "client_secret": words[3]}
        assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", fields).status_code == 200
        with pytest.raises(CommandError, match="taken"):
            self.run("create_client", "scanner", "--role", "device")

    def event(self, kind: str) -> AccessEvent:
        found: AccessEvent = AccessEvent.objects.filter(kind=kind, principal_kind="system").latest("sequence")
        return found

    def test_set_roles(self, browser: Browser, radiologist: User) -> None:
        sign_in(browser, "rita", PASSWORD)
        self.run("set_roles", "rita", "auditor", "patient")
        assert browser.get("/api/whoami").json()["roles"] == ["auditor", "patient"]
        event = self.event("roles_changed")
        assert (
            event.outcome_description == f"person {radiologist.external_id} has now auditor, patient; had radiologist"
        )
        self.run("set_roles", "rita", "patient")
        assert browser.get("/api/whoami").json()["roles"] == ["patient"]
        for words in (("nobody", "patient"), ("rita", "king"), ("rita",)):
            with pytest.raises(CommandError):
                self.run("set_roles", *words)

    def test_disable_and_enable(self, browser: Browser, radiologist: User, make_client: Make, make_token: Make) -> None:
        sign_in(browser, "rita", PASSWORD)
        client = make_client("device", name="scanner")
        header = {"Authorization": f"Bearer {make_token(client)}"}
        machine = Browser(HTTP_HOST="127.0.0.1")
        for word in ("disable", "enable"):
            self.run(word, "rita")
            assert self.event("user_changed").outcome_description.startswith(f"person {radiologist.external_id}")
            self.run(word, "scanner" if word == "disable" else client.client_id)
            assert self.event("user_changed").outcome_description.startswith(f"client {client.external_id}")
            assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
            assert machine.get("/api/whoami", headers=header).status_code == 401
        # What was held before doesn't come back; what it was got with works again.
        assert sign_in(browser, "rita", PASSWORD).status_code == 302
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 200
        header = {"Authorization": f"Bearer {make_token(client)}"}
        assert machine.get("/api/whoami", headers=header).status_code == 200
        make_client("device", name="rita")
        for name in ("nobody", "rita"):
            with pytest.raises(CommandError, match=name):
                self.run("disable", name)

    def test_reset_password(self, browser: Browser, radiologist: User) -> None:
        sign_in(browser, "rita", PASSWORD)
        password = self.run("reset_password", "rita").split("password")[1].split()[0]
        assert browser.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 401
        assert sign_in(browser, "rita", PASSWORD).status_code == 401
        assert sign_in(browser, "rita", password).status_code == 302
        assert "new password" in self.event("user_changed").outcome_description
        assert password not in str(list(AccessEvent.objects.values()))
        with pytest.raises(CommandError, match="nobody"):
            self.run("reset_password", "nobody")

    def test_grant_study(self, make_person: Make, make_client: Make, make_study: Make) -> None:
        study = make_study()
        patient, vendor = make_person("patient", username="pat"), make_client("ai_vendor", name="vendor")
        principals = {
            "pat": person(patient, ""),
            "vendor": Principal("client", str(vendor.external_id), "vendor", ("ai_vendor",), "oauth2", ""),
        }
        for name, principal in principals.items():
            assert not visible_studies(principal).exists()
            self.run("grant_study", name, study.study_instance_uid, "--until", "2999-12-31")
            assert visible_studies(principal).get() == study
            event = self.event("user_changed")
            assert event.study_uids == [study.study_instance_uid]
            assert "2999-12-31T23:59+00:00" in event.outcome_description
            assert self.run("grant_study", name, study.study_instance_uid, "--end") == "1 grants ended\n"
            assert not visible_studies(principal).exists()
            self.run("grant_study", name, study.study_instance_uid)
            assert visible_studies(principal).exists()
        for words in (("nobody", study.study_instance_uid), ("pat", "1.2.3")):
            with pytest.raises(CommandError):
                self.run("grant_study", *words)
        for moment in ("yesterday", "2000-01-01", "2999-13-01"):
            with pytest.raises(CommandError):
                self.run("grant_study", "pat", study.study_instance_uid, "--until", moment)

    def test_upkeep(self, browser: Browser, radiologist: User, make_client: Make, make_token: Make) -> None:
        """What has ended goes, what can still be used stays."""
        sign_in(browser, "rita", PASSWORD)
        client = make_client("device")
        make_token(client, seconds=-1)
        alive = make_token(client)
        Session.objects.create(session_key="x" * 32, session_data="", expire_date=timezone.now() - timedelta(seconds=1))
        for minutes in (0, 16):
            SignInAttempt.objects.create(key="k", at=timezone.now() - timedelta(minutes=minutes))
        self.run("relay_outbox", "--once")
        assert Session.objects.count() == 1
        assert SignInAttempt.objects.count() == 1
        assert get_access_token_model().objects.count() == 1
        assert browser.get("/api/whoami").status_code == 200
        header = {"Authorization": f"Bearer {alive}"}
        assert Browser(HTTP_HOST="127.0.0.1").get("/api/whoami", headers=header).status_code == 200
