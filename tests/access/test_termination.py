"""The end of an account: nothing of it works at the next request, nor when it is switched on again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import CommandError, call_command
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone

from access import half_signed_in, termination
from access.acting import Acting
from access.api_keys import Wish as KeyWish
from access.api_keys import make_key
from access.authentication import person
from access.emergency import begin
from access.emergency_models import EmergencyAccess
from access.links import Wish, make_link
from access.models import Client, Grant, ShareLink, User
from access.principal import Principal
from access.refused_change import RefusedChange
from access.sessions import SessionStore
from access.switching import set_active
from access.termination import terminate
from audit.models import AccessEvent
from tests.access.oauth import make_app

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"
WHO = "/api/whoami"


def shows(token: str, path: str = WHO) -> int:
    """The status of a request with this token."""
    return int(Browser(HTTP_HOST="127.0.0.1").get(path, headers={"Authorization": f"Bearer {token}"}).status_code)


@pytest.fixture
def rita(make_person: Make) -> User:
    """Somebody who has everything that one can have; somebody else manages."""
    make_person("administrator", username="boss")
    user: User = make_person("radiologist", username="rita", password=PASSWORD)
    return user


@pytest.fixture
def works(rita: User, browser: Browser, make_study: Make) -> dict[str, Callable[[], bool]]:
    """Each kind of credential: whether it still opens something."""
    browser.force_login(rita)
    study = make_study()
    app = make_app()
    tokens = app.tokens(browser)
    refreshing = {"token": tokens["refresh_token"]}
    _, key = make_key(rita, KeyWish(name="script"), Acting())
    until = timezone.now() + timedelta(days=1)
    link = make_link(Wish(study=study, recipient="r", purpose="p", until=until, rights=()), rita, None, None)
    secret = link.address.partition("#")[2]
    exchanged = Browser(HTTP_HOST="127.0.0.1").post("/share/token", {"secret": secret}).json()["access_token"]
    begin(study.patient, "head injury, now in theatre", 60, Acting(None, person(rita, "")))

    def refreshes() -> bool:
        answer = app.refresh(refreshing["token"])
        if answer.status_code == 200:
            refreshing["token"] = answer.json()["refresh_token"]
        return bool(answer.status_code == 200)

    def signs_in() -> bool:
        window = Browser(HTTP_HOST="127.0.0.1")
        answer = window.post("/accounts/login/", {"username": "rita", "password": PASSWORD})
        return answer.status_code in (302, 303)

    def exchanges() -> bool:
        return Browser(HTTP_HOST="127.0.0.1").post("/share/token", {"secret": secret}).status_code == 200

    return {
        "session": lambda: browser.get(WHO).status_code == 200,
        "token of an app": lambda: app.whoami(tokens["access_token"]).status_code == 200,
        "refresh token": refreshes,
        "API key": lambda: shows(key) == 200,
        "token of a link": lambda: shows(exchanged, "/dicom-web/studies") == 200,
        "link": exchanges,
        "password": signs_in,
        "emergency access": lambda: EmergencyAccess.objects.active().exists() and Grant.objects.active().exists(),
    }


def test_nothing_works_at_the_next_request(rita: User, works: dict[str, Callable[[], bool]]) -> None:
    working = {name for name, look in works.items() if look()}
    assert working == set(works)
    ended = terminate(rita, "left the house")
    assert (ended.links, ended.emergencies) == (1, 1)
    assert ended.sessions >= 1
    assert ended.tokens >= 2
    assert [name for name, look in works.items() if look()] == []
    event = AccessEvent.objects.filter(kind="user_changed").latest("sequence")
    assert event.purpose == "left the house"
    assert str(ended) in event.outcome_description
    assert {"share_ended", "emergency_ended"} <= set(AccessEvent.objects.values_list("kind", flat=True))


def test_what_ended_does_not_come_back(rita: User, works: dict[str, Callable[[], bool]]) -> None:
    terminate(rita, "left the house")
    rita.refresh_from_db()
    set_active(rita, active=True)
    assert [name for name, look in works.items() if look()] == ["password"]


def test_switching_off_ends_what_was_signed_in(rita: User, works: dict[str, Callable[[], bool]]) -> None:
    """Switched on again, the account has what it proves itself with, and nothing that it had proved."""
    ended = set_active(rita, active=False, reason="on leave")
    assert [name for name, look in works.items() if look()] == ["emergency access"]
    assert (ended.sessions >= 1, ended.tokens >= 2) == (True, True)
    told = AccessEvent.objects.filter(kind="user_changed").latest("sequence").outcome_description
    assert f"switched off, {ended.sessions} sessions and {ended.tokens} tokens and keys ended" in told
    set_active(rita, active=True)
    refused = {name for name, look in works.items() if not look()}
    assert refused == {"session", "token of an app", "refresh token", "API key"}


def test_what_is_older_than_the_switching_on_counts_no_more(
    rita: User, works: dict[str, Callable[[], bool]], make_client: Make, make_token: Make
) -> None:
    """Even if a row was left over that nobody ended: one that was just being written, say."""
    machine = make_client("technologist")
    of_machine = make_token(machine)
    _, key = make_key(machine, KeyWish(name="device", days=None), Acting())
    assert (shows(of_machine), shows(key)) == (200, 200)
    for account in (rita, machine):
        type(account).objects.filter(pk=account.pk).update(switched_on_at=timezone.now())
    assert (shows(of_machine), shows(key)) == (401, 401)
    assert not {name for name, look in works.items() if look()} & {"token of an app", "API key"}


def test_between_password_and_second_factor(make_person: Make) -> None:
    make_person("administrator")
    user = make_person("radiologist")
    request = RequestFactory().get("/")
    request.session, request.user = SessionStore(), AnonymousUser()
    half_signed_in.begin(request, user, "/")
    assert half_signed_in.found(request) is not None
    set_active(user, active=False)
    set_active(user, active=True)
    assert half_signed_in.found(request) is None


def test_a_machine(make_client: Make, make_token: Make) -> None:
    machine: Client = make_client("technologist", name="modality", secret="s3cret-of-the-machine")
    token = make_token(machine)
    _, key = make_key(machine, KeyWish(name="device", days=None), Acting())
    form = {
        "grant_type": "client_credentials",
        "client_id": machine.client_id,
        "client_secret": "s3cret-of-the-machine",
    }
    assert (shows(token), shows(key)) == (200, 200)
    assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", form).status_code == 200
    terminate(machine, "sold")
    assert (shows(token), shows(key)) == (401, 401)
    assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", form).status_code == 401
    set_active(machine, active=True)
    assert (shows(token), shows(key)) == (401, 401)


def test_all_of_it_or_nothing(rita: User, works: dict[str, Callable[[], bool]], monkeypatch: Any) -> None:
    def fail(*args: object) -> int:
        raise RuntimeError("the last step")

    monkeypatch.setattr(termination, "end_emergencies", fail)
    before = AccessEvent.objects.count()
    with pytest.raises(RuntimeError):
        terminate(rita, "left the house")
    assert AccessEvent.objects.count() == before
    assert User.objects.get(pk=rita.pk).is_active
    assert ShareLink.objects.get().revoked_at is None
    assert all(look() for look in works.values())


def test_the_last_who_manages_and_oneself_stay(make_person: Make) -> None:
    boss = make_person("administrator", username="boss")
    with pytest.raises(RefusedChange, match="last person"):
        terminate(boss, "x")
    make_person("administrator")
    me = Principal("person", str(boss.external_id), "boss", ("administrator",), "session", "")
    with pytest.raises(RefusedChange, match="own account"):
        terminate(boss, "x", by=Acting(None, me))
    assert User.objects.get(pk=boss.pk).is_active


def test_the_command(rita: User, works: dict[str, Callable[[], bool]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError):
        call_command("terminate", "nobody", reason="x")
    with pytest.raises(CommandError):
        call_command("terminate", "boss", reason="x")
    call_command("terminate", "rita", reason="left the house")
    assert "rita is switched off; ended: " in capsys.readouterr().out
    assert not any(look() for look in works.values())
