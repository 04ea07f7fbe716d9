"""Signing in with a second factor, from the outside; until it is shown nothing opens."""

from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.urls import get_resolver

from access import recovery_codes, throttle
from access.models import RecoveryCode, SecondFactor, User
from audit.models import AccessEvent
from tests.access.second_steps import (
    LOGIN,
    PASSWORD,
    SECOND,
    SET_UP,
    Make,
    add_app,
    code_of,
    options_of,
    password_step,
    post,
    time_passes,
)
from tests.portal.test_every_url import concrete, patterns

pytestmark = pytest.mark.django_db
MACHINE = {"Accept": "*/*"}


@pytest.fixture
def rita(make_person: Make) -> User:
    person: User = make_person("radiologist", username="rita", password=PASSWORD)
    return person


@pytest.fixture
def secret(rita: User) -> str:
    return add_app(rita)


def key(browser: Browser) -> str:
    return str(browser.cookies[settings.SESSION_COOKIE_NAME].value)


def who(browser: Browser) -> int:
    return int(browser.get("/api/whoami", headers=MACHINE).status_code)


def failures() -> list[tuple[str, str, str]]:
    rows = AccessEvent.objects.filter(kind="sign_in_failed").order_by("sequence")
    return [(row.rule, row.principal_name, row.outcome_description) for row in rows]


def test_password_then_code(browser: Browser, rita: User, secret: str) -> None:
    first = password_step(browser, next="/sharing/")
    assert (first.status_code, first["Location"]) == (302, SECOND)
    half = key(browser)
    assert who(browser) == 401
    assert not AccessEvent.objects.filter(kind="sign_in").exists()
    assert browser.get(SECOND).status_code == 200
    done = post(browser, SECOND, code=code_of(secret))
    assert (done.status_code, done["Location"]) == (302, "/sharing/")
    assert who(browser) == 200
    assert key(browser) != half
    event = AccessEvent.objects.get(kind="sign_in")
    assert (event.rule, event.auth_method, event.principal_name) == ("password+totp", "session", "rita")
    stale = Browser(HTTP_HOST="127.0.0.1")
    stale.cookies[settings.SESSION_COOKIE_NAME] = half
    assert who(stale) == 401


def test_without_a_second_factor_all_is_as_before(browser: Browser, rita: User) -> None:
    assert password_step(browser)["Location"] == "/"
    assert AccessEvent.objects.get(kind="sign_in").rule == "password"


def test_a_code_signs_in_once(rita: User, secret: str) -> None:
    code = code_of(secret)
    browsers = [Browser(HTTP_HOST="127.0.0.1") for _ in range(2)]
    for browser in browsers:
        password_step(browser)
    answers = [post(browser, SECOND, code=code).status_code for browser in browsers]
    assert answers == [302, 401]
    assert failures() == [("second factor", "rita", "wrong code, or one that was used already")]
    assert code not in str(list(AccessEvent.objects.values()))


def test_a_recovery_code_signs_in_once(browser: Browser, rita: User, secret: str) -> None:
    code = recovery_codes.new_codes(rita)[3]
    password_step(browser)
    assert post(browser, SECOND, recovery_code=code).status_code == 302
    assert AccessEvent.objects.get(kind="sign_in").rule == "password+recovery code"
    other = Browser(HTTP_HOST="127.0.0.1")
    password_step(other)
    assert post(other, SECOND, recovery_code=code).status_code == 401


def test_half_signed_in_opens_nothing(browser: Browser, rita: User, secret: str) -> None:
    """Every address, with the cookie of somebody who has shown the password."""
    password_step(browser)
    half = key(browser)
    assert Session.objects.exists()
    closed = {route for route, entry in patterns(get_resolver()) if not getattr(entry.callback, "open_to_all", False)}
    assert {"", "account/", "api/whoami"} < closed
    for route in sorted(closed):
        for accept in ("*/*", "text/html"):
            answer = browser.get("/" + concrete(route), headers={"Accept": accept})
            led_away = answer.status_code == 302 and answer["Location"].startswith(f"{LOGIN}?next=")
            assert led_away or answer.status_code in (401, 404), (route, answer.status_code)
    for path in ("/dicom-web/studies", "/viewer/", "/api/whoami", "/account/", "/account/second-factors/app"):
        assert browser.get(path, headers=MACHINE).status_code == 401, path
        assert browser.post(path, headers={**MACHINE, "Origin": "http://127.0.0.1"}).status_code in (401, 403), path
    assert key(browser) == half


def test_whoever_was_signed_in_before_is_not_any_more(browser: Browser, rita: User, make_person: Make) -> None:
    make_person("auditor", username="ann", password=PASSWORD)
    add_app(rita)
    assert password_step(browser, "ann").status_code == 302
    assert who(browser) == 200
    assert password_step(browser, "rita")["Location"] == SECOND
    assert who(browser) == 401


@pytest.mark.parametrize("seconds", [290, 310])
def test_five_minutes(browser: Browser, rita: User, secret: str, seconds: int) -> None:
    password_step(browser)
    session = browser.session
    session["half_signed_in"] = session["half_signed_in"] | {"at": session["half_signed_in"]["at"] - seconds}
    session.save()
    answer = post(browser, SECOND, code=code_of(secret))
    assert answer["Location"] == ("/" if seconds < 300 else LOGIN)
    assert who(browser) == (200 if seconds < 300 else 401)


@pytest.mark.parametrize("change", ["password", "off"])
def test_what_changes_in_between_counts(browser: Browser, rita: User, secret: str, change: str) -> None:
    password_step(browser)
    if change == "password":
        rita.set_password("another password that is long")
    rita.is_active = change != "off"
    rita.save()
    assert post(browser, SECOND, code=code_of(secret))["Location"] == LOGIN
    assert who(browser) == 401


def test_nobody_gets_to_the_second_step_without_the_first(browser: Browser, rita: User, secret: str) -> None:
    for path in (SECOND, SET_UP):
        assert browser.get(path)["Location"] == LOGIN
        assert post(browser, path, code=code_of(secret))["Location"] == LOGIN
    assert password_step(browser, password="wrong").status_code == 401
    assert post(browser, SECOND, code=code_of(secret))["Location"] == LOGIN


def test_set_up_is_no_way_around(browser: Browser, rita: User, secret: str) -> None:
    password_step(browser)
    assert browser.get(SET_UP)["Location"] == SECOND
    assert post(browser, SET_UP, code=code_of(secret))["Location"] == SECOND
    assert SecondFactor.objects.count() == 1
    assert who(browser) == 401


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"code": ""},
        {"code": "x" * 9999},
        {"code": "12\0456"},
        {"passkey": "{"},
        {"passkey": "[]"},
        {"passkey": "{}"},
        {"passkey": "x" * 20_000},
        {"recovery_code": "zzzz-zzzz-zzzz-zzzz"},
        {"recovery_code": "\0"},
    ],
)
def test_what_proves_nothing(browser: Browser, rita: User, secret: str, fields: dict[str, str]) -> None:
    password_step(browser)
    assert post(browser, SECOND, **fields).status_code == 401
    assert who(browser) == 401
    assert [failure[0] for failure in failures()] == ["second factor"]


def test_guessing_codes_ends(browser: Browser, rita: User, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "PER_NAME", 3)
    password_step(browser)
    assert [post(browser, SECOND, code="000000x").status_code for _ in range(4)] == [401, 401, 401, 429]
    refused = post(browser, SECOND, code=code_of(secret))
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert who(browser) == 401
    # The password again, or another address, gives no further tries.
    other = Browser(HTTP_HOST="127.0.0.1", REMOTE_ADDR="192.0.2.7")
    assert password_step(other)["Location"] == SECOND
    assert post(other, SECOND, code=code_of(secret)).status_code == 429
    assert failures()[-1] == ("second factor", "rita", "too many failed sign-ins")


def test_the_password_step_says_nothing_new(browser: Browser, rita: User, secret: str) -> None:
    """Names with and without a second factor, and names that nobody has, look the same to who has no password."""
    bodies = set()
    for name in ("rita", "nobody"):
        answer = password_step(browser, name, "wrong password")
        assert answer.status_code == 401
        token = str(answer.context["csrf_token"]).encode()
        bodies.add(answer.content.replace(name.encode(), b"").replace(token, b""))
    assert len(bodies) == 1


class TestRequired:
    """Whoever must have a second factor and has none sets it up right after the password."""

    @pytest.fixture(autouse=True)
    def of_radiologists(self, settings: Any) -> None:
        settings.PACS = settings.PACS.model_copy(
            update={"second_factor": ["radiologist"], "public_root": "https://pacs.example.org"}
        )

    def test_led_to_it_and_in(self, browser: Browser, rita: User) -> None:
        first = password_step(browser, next="/sharing/")
        assert first["Location"] == SET_UP
        assert who(browser) == 401
        page = browser.get(SET_UP)
        secret = page.context["secret"].replace(" ", "")
        assert "<svg" in page.content.decode()
        assert browser.get(SECOND)["Location"] == SET_UP
        assert post(browser, SET_UP, code="123").status_code == 400
        assert browser.get(SET_UP).context["secret"].replace(" ", "") == secret
        assert not SecondFactor.objects.exists()
        done = post(browser, SET_UP, code=code_of(secret))
        assert done.status_code == 201
        assert who(browser) == 200
        codes = done.context["codes"]
        assert (len(codes), done.context["onward"]) == (10, "/sharing/")
        assert AccessEvent.objects.get(kind="sign_in").rule == "password+totp"
        changes = AccessEvent.objects.filter(kind="user_changed").values_list("outcome_description", flat=True)
        assert [text.split(": ")[1].split()[0] for text in changes] == ["authenticator", "new"]
        assert {row.principal_id for row in AccessEvent.objects.filter(kind="user_changed")} == {str(rita.external_id)}
        time_passes(rita)
        again = Browser(HTTP_HOST="127.0.0.1")
        assert password_step(again)["Location"] == SECOND
        assert post(again, SECOND, recovery_code=codes[0]).status_code == 302

    def test_the_session_does_not_hold_the_secret(self, browser: Browser, rita: User) -> None:
        password_step(browser)
        secret = browser.get(SET_UP).context["secret"].replace(" ", "")
        assert secret not in str(dict(browser.session))

    def test_by_passkey(self, browser: Browser, rita: User) -> None:
        from tests.access.authenticator import Authenticator

        password_step(browser)
        key = Authenticator()
        options = options_of(browser.get(SET_UP))
        assert post(browser, SET_UP, passkey=key.create(options)).status_code == 201
        assert AccessEvent.objects.get(kind="sign_in").rule == "password+passkey"

    def test_others_need_none(self, browser: Browser, make_person: Make) -> None:
        make_person("auditor", username="ann", password=PASSWORD)
        assert password_step(browser, "ann")["Location"] == "/"

    def test_the_last_one_stays(self, browser: Browser, rita: User) -> None:
        add_app(rita)
        browser.force_login(rita)
        theirs = SecondFactor.objects.get()
        assert post(browser, f"/account/second-factors/{theirs.id}", do="remove").status_code == 409
        assert SecondFactor.objects.exists()


def test_reset(browser: Browser, rita: User, secret: str) -> None:
    recovery_codes.new_codes(rita)
    browser.force_login(rita)
    out = StringIO()
    call_command("reset_second_factor", "rita", stdout=out)
    assert out.getvalue() == "1 second factors of rita are taken away\n"
    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert who(browser) == 401
    event = AccessEvent.objects.get(kind="user_changed")
    assert (event.principal_kind, event.outcome_description) == (
        "system",
        f"person {rita.external_id}: 1 second factors taken away, 1 sessions ended",
    )
    with pytest.raises(CommandError, match="nobody"):
        call_command("reset_second_factor", "nobody")
    assert password_step(browser)["Location"] == "/"
