"""Passkeys as the server sees them: what is signed, for whom, once; and everything that isn't."""

import json
from typing import Any

import pytest
from django.test import Client as Browser

from access import passkeys
from access.models import SecondFactor, User
from audit.models import AccessEvent
from tests.access.authenticator import FLAG, Authenticator
from tests.access.second_steps import PASSWORD, SECOND, Make, options_of, password_step, post

pytestmark = pytest.mark.django_db
ADD = "/account/second-factors/passkey"


@pytest.fixture(autouse=True)
def root(settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"public_root": "https://pacs.example.org"})


@pytest.fixture
def rita(make_person: Make) -> User:
    person: User = make_person("radiologist", username="rita", password=PASSWORD)
    return person


@pytest.fixture
def home(browser: Browser, rita: User) -> Browser:
    """A browser in which Rita is signed in."""
    browser.force_login(rita)
    return browser


@pytest.fixture
def key(home: Browser) -> Authenticator:
    """A passkey of Rita's."""
    made = Authenticator()
    assert post(home, ADD, name="Key ring", passkey=made.create(options_of(home.get(ADD)))).status_code == 201
    return made


@pytest.fixture
def door(rita: User) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1", HTTP_ACCEPT="text/html")


def ask(door: Browser) -> dict[str, Any]:
    """Rita's password, then what the page wants signed."""
    assert password_step(door)["Location"] == SECOND
    return options_of(door.get(SECOND))


def signed_in(door: Browser) -> bool:
    return door.get("/api/whoami", headers={"Accept": "*/*"}).status_code == 200


def refusal() -> str:
    row = AccessEvent.objects.filter(kind="sign_in_failed").latest("sequence")
    assert (row.rule, row.principal_name) == ("second factor", "rita")
    return str(row.outcome_description)


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
def test_added_and_used(home: Browser, door: Browser, kind: str) -> None:
    key = Authenticator(kind=kind)
    options = options_of(home.get(ADD))
    assert options["rp"]["id"] == "pacs.example.org"
    assert [parameter["alg"] for parameter in options["pubKeyCredParams"]] == [-7, -8, -257]
    assert options["authenticatorSelection"]["userVerification"] == "preferred"
    added = post(home, ADD, name="Key ring", passkey=key.create(options))
    assert (added.status_code, len(added.context["codes"])) == (201, 10)
    asked = ask(door)
    assert (asked["rpId"], asked["userVerification"]) == ("pacs.example.org", "preferred")
    assert len(asked["allowCredentials"]) == 1
    assert post(door, SECOND, passkey=key.get(asked)).status_code == 302
    assert signed_in(door)
    assert AccessEvent.objects.filter(kind="sign_in", rule="password+passkey").count() == 1
    stored = SecondFactor.objects.get()
    assert (stored.name, stored.sign_count) == ("Key ring", 1)
    assert stored.used_at is not None


class TestRegistration:
    @pytest.mark.parametrize(
        ("wrong", "changed"),
        [
            ({"origin": "https://pacs.example.org.evil.example"}, {}),
            ({"origin": "https://evil.pacs.example.org"}, {}),
            ({"origin": "http://pacs.example.org"}, {}),
            ({"origin": "https://pacs.example.org:444"}, {}),
            ({"rp_id": "example.org"}, {}),
            ({"flags": FLAG(0)}, {}),
            ({"kind": "ES384"}, {}),
            ({}, {"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
            ({}, {"type": "webauthn.get"}),
            ({}, {"cross_origin": True}),
        ],
    )
    def test_refused(self, home: Browser, wrong: dict[str, Any], changed: dict[str, Any]) -> None:
        answer = Authenticator(**wrong).create(options_of(home.get(ADD)), **changed)
        assert post(home, ADD, passkey=answer).status_code == 400
        assert not SecondFactor.objects.exists()

    def test_a_challenge_is_used_once(self, home: Browser) -> None:
        options = options_of(home.get(ADD))
        assert post(home, ADD, passkey="{}").status_code == 400
        assert post(home, ADD, passkey=Authenticator().create(options)).status_code == 400

    def test_one_of_another_session_is_refused(self, home: Browser, rita: User) -> None:
        other = Browser(HTTP_HOST="127.0.0.1")
        other.force_login(rita)
        options = options_of(other.get(ADD))
        home.get(ADD)
        assert post(home, ADD, passkey=Authenticator().create(options)).status_code == 400

    def test_a_key_belongs_to_one_person(self, key: Authenticator, make_person: Make) -> None:
        other = Browser(HTTP_HOST="127.0.0.1")
        other.force_login(make_person("auditor"))
        assert post(other, ADD, passkey=key.create(options_of(other.get(ADD)))).status_code == 400
        assert SecondFactor.objects.count() == 1

    def test_known_keys_are_named_to_the_browser(self, home: Browser, key: Authenticator) -> None:
        assert len(options_of(home.get(ADD))["excludeCredentials"]) == 1

    @pytest.mark.parametrize("root", ["http://127.0.0.1:8080", "https://[::1]", "http://pacs.example.org"])
    def test_only_where_browsers_allow_them(self, home: Browser, settings: Any, root: str) -> None:
        settings.PACS = settings.PACS.model_copy(update={"public_root": root})
        assert passkeys.relying_party() == ""
        assert home.get(ADD).status_code == 404
        assert ADD not in home.get("/account/").content.decode()


class TestAssertion:
    def test_a_replay_is_refused(self, key: Authenticator, door: Browser, rita: User) -> None:
        answer = key.get(ask(door))
        assert post(door, SECOND, passkey=answer).status_code == 302
        thief = Browser(HTTP_HOST="127.0.0.1")
        ask(thief)
        assert post(thief, SECOND, passkey=answer).status_code == 401
        assert post(thief, SECOND, passkey=answer).status_code == 401
        assert not signed_in(thief)

    def test_a_challenge_is_used_once(self, key: Authenticator, door: Browser) -> None:
        asked = ask(door)
        assert post(door, SECOND, passkey="{}").status_code == 401
        # The page that was answered has a new challenge; the old one is over.
        assert post(door, SECOND, passkey=key.get(asked)).status_code == 401
        assert not signed_in(door)

    def test_it_takes_five_minutes_at_most(self, key: Authenticator, door: Browser) -> None:
        asked = ask(door)
        session = door.session
        ceremony = session["passkey_ceremony"]
        session["passkey_ceremony"] = ceremony | {"at": ceremony["at"] - 301}
        session.save()
        assert post(door, SECOND, passkey=key.get(asked)).status_code == 401
        assert "too long" in refusal()

    @pytest.mark.parametrize(
        ("wrong", "changed"),
        [
            ({"origin": "https://evil.example"}, {}),
            ({"origin": "https://pacs.example.org.evil.example"}, {}),
            ({"rp_id": "evil.example"}, {}),
            ({"flags": FLAG(0)}, {}),
            ({"credential_id": b"\x08" * 32}, {}),
            ({}, {"challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
            ({}, {"type": "webauthn.create"}),
            ({}, {"cross_origin": True}),
        ],
    )
    def test_refused(self, key: Authenticator, door: Browser, wrong: dict[str, Any], changed: dict[str, Any]) -> None:
        asked = ask(door)
        for name, value in wrong.items():
            setattr(key, name, value)
        assert post(door, SECOND, passkey=key.get(asked, **changed)).status_code == 401
        assert not signed_in(door)
        assert refusal() == "the answer is not of this sign-in"

    def test_another_key_is_refused(self, key: Authenticator, door: Browser) -> None:
        assert post(door, SECOND, passkey=Authenticator().get(ask(door))).status_code == 401

    def test_the_key_of_somebody_else_is_refused(self, key: Authenticator, door: Browser, make_person: Make) -> None:
        other = Browser(HTTP_HOST="127.0.0.1")
        other.force_login(make_person("auditor"))
        theirs = Authenticator(credential_id=b"\x09" * 32)
        assert post(other, ADD, passkey=theirs.create(options_of(other.get(ADD)))).status_code == 201
        assert post(door, SECOND, passkey=theirs.get(ask(door))).status_code == 401
        assert not signed_in(door)

    @pytest.mark.parametrize(("step", "status"), [(0, 401), (-2, 401), (1, 302), (100, 302)])
    def test_the_counter_must_grow(self, key: Authenticator, door: Browser, step: int, status: int) -> None:
        SecondFactor.objects.update(sign_count=5)
        key.counter, key.step = 5, step
        assert post(door, SECOND, passkey=key.get(ask(door))).status_code == status
        if status == 401:
            assert "copy" in refusal()
            assert SecondFactor.objects.get().sign_count == 5

    def test_a_key_without_a_counter(self, key: Authenticator, rita: User) -> None:
        key.step = 0
        for _ in range(2):
            door = Browser(HTTP_HOST="127.0.0.1")
            assert post(door, SECOND, passkey=key.get(ask(door))).status_code == 302

    def test_nonsense_is_refused(self, key: Authenticator, door: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bytes cut, swapped, nested: always a refusal, never an error."""
        monkeypatch.setattr("access.throttle.PER_NAME", 1000)
        good = json.loads(key.get(ask(door)))
        nested = "gYGB" * 1500
        wrong: list[Any] = [None, 1, "", "AA", "é", [], {}, nested, "A" * 5000]
        for field in ("clientDataJSON", "authenticatorData", "signature"):
            for value in wrong:
                answer = {**good, "response": {**good["response"], field: value}}
                assert post(door, SECOND, passkey=json.dumps(answer)).status_code == 401, (field, value)
        for answer in ({**good, "rawId": 5}, {**good, "response": []}, {**good, "id": "x"}, {**good, "type": 7}):
            assert post(door, SECOND, passkey=json.dumps(answer)).status_code == 401, answer
        assert post(door, SECOND, passkey="[" * 8000).status_code == 401
        assert not signed_in(door)

    def test_nonsense_is_no_passkey(self, home: Browser) -> None:
        good = json.loads(Authenticator().create(options_of(home.get(ADD))))
        wrong: list[Any] = [None, 1, "", "AA", [], "gYGB" * 1500, "o2NmbXRkbm9uZQ"]
        for value in wrong:
            home.get(ADD)
            answer = {**good, "response": {**good["response"], "attestationObject": value}}
            assert post(home, ADD, passkey=json.dumps(answer)).status_code == 400, value
