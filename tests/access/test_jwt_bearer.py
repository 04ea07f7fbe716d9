"""Tokens of an issuer that the settings trust; and every known way to forge one, by its name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import asking, remembered
from access.federation_models import FederatedIdentity
from access.federation_settings import TrustedIssuer
from access.jwt_keys import issuer_keys, published_keys
from access.models import Client, CustomRole, UserRole
from audit.models import AccessEvent
from tests.access.issuer import Issuer, ec_key, ed_key, public_jwk, raw_token, rsa_key

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
CHALLENGE = 'Bearer realm="lightbox", error="invalid_token"'


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    published_keys.cache_clear()
    issuer_keys.cache_clear()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def trust(settings: Any, issuer: Issuer) -> Callable[..., None]:
    """Trust the issuer as the settings given say."""

    def do(**fields: Any) -> None:
        described = {"issuer": issuer.address, "audience": "lightbox", "jwks_uri": f"{issuer.address}/jwks"} | fields
        settings.PACS = settings.PACS.model_copy(update={"trusted_issuers": [TrustedIssuer(**described)]})

    do()
    return do


@pytest.fixture
def robot(trust: Make, issuer: Issuer, make_client: Make) -> Client:
    """A machine that is linked to the subject "robot"."""
    client: Client = make_client("device", name="the robot")
    FederatedIdentity.objects.create(issuer=issuer.address, subject="robot", client=client)
    return client


@pytest.fixture
def machine() -> Browser:
    return Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """The clock of what is remembered goes forward."""
    ahead = [0.0]
    real = time.monotonic

    class Clock:
        monotonic = staticmethod(lambda: real() + ahead[0])

    monkeypatch.setattr(remembered, "time", Clock)

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def ask(machine: Browser, token: str) -> Any:
    return machine.get("/api/whoami", headers={"Authorization": f"Bearer {token}"})


def refused(machine: Browser, token: str) -> None:
    answer = ask(machine, token)
    assert answer.status_code == 401, answer.content
    assert answer["WWW-Authenticate"] == CHALLENGE
    assert answer.json()["detail"] == "the token is unknown, expired or revoked"


def test_a_token_opens(machine: Browser, robot: Client, issuer: Issuer) -> None:
    answer = ask(machine, issuer.sign())
    assert answer.status_code == 200
    assert (answer.json()["kind"], answer.json()["roles"]) == ("client", ["device"])
    assert answer.json()["name"] == "the robot"


def test_one_from_before_its_holder_was_switched_on_again(machine: Browser, robot: Client, issuer: Issuer) -> None:
    old = issuer.sign(iat=int(time.time()) - 20)
    assert ask(machine, old).status_code == 200
    robot.is_active = False
    robot.save()
    refused(machine, old)
    robot.is_active, robot.switched_on_at = True, timezone.now() - timedelta(seconds=10)
    robot.save()
    refused(machine, old)
    refused(machine, issuer.sign(iat=None))
    assert ask(machine, issuer.sign()).status_code == 200


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "JWT"])
def test_types_of_access_tokens(machine: Browser, robot: Client, issuer: Issuer, typ: str) -> None:
    assert ask(machine, issuer.sign(header={"typ": typ})).status_code == 200


@pytest.mark.parametrize(
    ("alg", "make"), [("PS256", rsa_key), ("ES256", ec_key), ("EdDSA", ed_key)], ids=lambda value: str(value)[:5]
)
def test_other_algorithms(machine: Browser, robot: Client, issuer: Issuer, alg: str, make: Make) -> None:
    issuer.keys["other"] = make()
    assert ask(machine, issuer.sign(kid="other", alg=alg, key=issuer.keys["other"])).status_code == 200


def test_es384_only_if_it_is_named(machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
    issuer.keys["other"] = ec_key(ec.SECP384R1())
    token = issuer.sign(kid="other", alg="ES384", key=issuer.keys["other"])
    refused(machine, token)
    trust(algorithms=["ES384"])
    assert ask(machine, token).status_code == 200
    refused(machine, issuer.sign())


def test_a_request_costs_one_query_and_no_network(machine: Browser, robot: Client, issuer: Issuer) -> None:
    token = issuer.sign()
    ask(machine, token)
    before = issuer.asked.total()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            assert ask(machine, token).status_code == 200
    assert len(queries) == 5
    assert issuer.asked.total() == before == 1


def test_keys_through_discovery(machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
    trust(jwks_uri="")
    assert ask(machine, issuer.sign()).status_code == 200
    assert issuer.asked["/.well-known/openid-configuration"] == 1


def test_a_discovery_document_of_somebody_else(machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
    trust(jwks_uri="")
    issuer.paths["/.well-known/openid-configuration"] = lambda form: (
        issuer.document() | {"issuer": "https://evil.example"}
    )
    refused(machine, issuer.sign())
    assert issuer.asked["/jwks"] == 0


@pytest.mark.parametrize("seconds", [-30, -59])
def test_clocks_may_differ_by_a_minute(machine: Browser, robot: Client, issuer: Issuer, seconds: int) -> None:
    now = int(time.time())
    assert ask(machine, issuer.sign(exp=now + 300, nbf=now - seconds - 5)).status_code == 200
    assert ask(machine, issuer.sign(exp=now + seconds + 30)).status_code == 200


def with_public_key_as_secret(issuer: Issuer, *, pem: bool) -> str:
    """Key confusion: the public key, which anybody has, as the secret of an HMAC."""
    public = issuer.keys["one"].public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    encoding = serialization.Encoding.PEM if pem else serialization.Encoding.DER
    unsigned = raw_token({"alg": "HS256", "typ": "JWT", "kid": "one"}, issuer.claims()).rstrip(".")
    signature = hmac.digest(public.public_bytes(encoding, form), unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_empty_signature(issuer: Issuer, **header: Any) -> str:
    return raw_token({"typ": "JWT", "kid": "one", **header}, issuer.claims())


def own_key_in_header(issuer: Issuer, name: str) -> str:
    """The token brings the key that it is signed with, or the address of one."""
    key = rsa_key()
    address = f"{issuer.address}/evil-jwks"
    issuer.paths["/evil-jwks"] = lambda form: {"keys": [public_jwk(key, "evil")]}
    fields = {
        "jwk": {"jwk": public_jwk(key, None)},
        "jku": {"jku": address},
        "x5u": {"x5u": address},
        "x5c": {"x5c": ["MIIB"]},
        "kid": {"kid": address},
    }
    return issuer.sign(kid=None if name == "kid" else "evil", key=key, header=fields[name])


def tampered(token: str) -> str:
    head, claims, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "==")) | {"sub": "administrator"}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b'=').decode()}.{signature}"


FORGERIES: dict[str, Callable[[Issuer], str]] = {
    "alg none": lambda issuer: with_empty_signature(issuer, alg="none"),
    "alg None": lambda issuer: with_empty_signature(issuer, alg="None"),
    "alg nOnE": lambda issuer: with_empty_signature(issuer, alg="nOnE"),
    "alg missing": with_empty_signature,
    "alg is a list": lambda issuer: with_empty_signature(issuer, alg=["RS256"]),
    "no signature": lambda issuer: issuer.sign().rpartition(".")[0] + ".",
    "HS256 with the public key as PEM": lambda issuer: with_public_key_as_secret(issuer, pem=True),
    "HS256 with the public key as DER": lambda issuer: with_public_key_as_secret(issuer, pem=False),
    "HS256 with an empty secret": lambda issuer: raw_token({"alg": "HS256", "kid": "one"}, issuer.claims(), b"x" * 32),
    "RS512": lambda issuer: issuer.sign(alg="RS512"),
    "wrong key": lambda issuer: issuer.sign(key=rsa_key()),
    "claims changed": lambda issuer: tampered(issuer.sign()),
    "wrong audience": lambda issuer: issuer.sign(aud="another"),
    "audience of many, without us": lambda issuer: issuer.sign(aud=["another", "lightbox2"]),
    "audience in capitals": lambda issuer: issuer.sign(aud="Lightbox"),
    "audience missing": lambda issuer: issuer.sign(aud=None),
    "audience empty": lambda issuer: issuer.sign(aud=[]),
    "audience a number": lambda issuer: issuer.sign_raw({}, issuer.claims(aud=1)),
    "wrong issuer": lambda issuer: issuer.sign(iss="https://evil.example"),
    "issuer with a slash": lambda issuer: issuer.sign(iss=f"{issuer.address}/"),
    "issuer missing": lambda issuer: issuer.sign(iss=None),
    "issuer a list": lambda issuer: issuer.sign_raw({}, issuer.claims(iss=[issuer.address])),
    "expired 90 s ago": lambda issuer: issuer.sign(exp=int(time.time()) - 90),
    "exp missing": lambda issuer: issuer.sign(exp=None),
    "exp null": lambda issuer: issuer.sign_raw({}, issuer.claims() | {"exp": None}),
    "exp as text": lambda issuer: issuer.sign(exp=str(int(time.time()) + 300)),
    "exp true": lambda issuer: issuer.sign(exp=True),
    "exp infinite": lambda issuer: issuer.sign_raw({}, issuer.claims() | {"exp": float("inf")}),
    "nbf in 90 s": lambda issuer: issuer.sign(nbf=int(time.time()) + 90),
    "iat in 90 s": lambda issuer: issuer.sign(iat=int(time.time()) + 90),
    "sub missing": lambda issuer: issuer.sign(sub=None),
    "sub empty": lambda issuer: issuer.sign(sub=""),
    "sub with NUL": lambda issuer: issuer.sign(sub="robot\0"),
    "sub with a lone surrogate": lambda issuer: issuer.sign(sub="robot\ud800"),
    "sub of 300 characters": lambda issuer: issuer.sign(sub="r" * 300),
    "sub as SQL": lambda issuer: issuer.sign(sub="robot' OR '1'='1"),
    "sub of nobody": lambda issuer: issuer.sign(sub="nobody"),
    "kid as a path": lambda issuer: issuer.sign(kid="../../../../dev/null"),
    "kid as SQL": lambda issuer: issuer.sign(kid="one' UNION SELECT 'x"),
    "kid as a command": lambda issuer: issuer.sign(kid="one|whoami"),
    "kid with NUL": lambda issuer: issuer.sign(kid="one\0"),
    "kid a number": lambda issuer: issuer.sign_raw({"kid": 1}, issuer.claims()),
    "kid as an address": lambda issuer: own_key_in_header(issuer, "kid"),
    "jwk in the header": lambda issuer: own_key_in_header(issuer, "jwk"),
    "jku in the header": lambda issuer: own_key_in_header(issuer, "jku"),
    "x5u in the header": lambda issuer: own_key_in_header(issuer, "x5u"),
    "x5c in the header": lambda issuer: own_key_in_header(issuer, "x5c"),
    "jku beside the right key": lambda issuer: issuer.sign(header={"jku": f"{issuer.address}/evil-jwks"}),
    "critical header": lambda issuer: issuer.sign(header={"crit": ["exp"], "exp": 1}),
    "critical b64": lambda issuer: issuer.sign(header={"crit": ["b64"], "b64": True}),
    "b64 without crit": lambda issuer: issuer.sign_raw({"b64": True}, issuer.claims()),
    "zip": lambda issuer: issuer.sign(header={"zip": "DEF"}),
    "an ID token's logout": lambda issuer: issuer.sign(header={"typ": "logout+jwt"}),
    "typ a number": lambda issuer: issuer.sign_raw({"typ": 1}, issuer.claims()),
    "more than 8 KiB": lambda issuer: issuer.sign(filling="x" * 8192),
    "deeply nested": lambda issuer: issuer.sign_raw({}, b"[" * 5000),
    "deeply nested header": lambda issuer: "eyJ" + base64.urlsafe_b64encode(b"[" * 3000).decode() + ".e30.AA",
    "a number of 5000 digits": lambda issuer: issuer.sign_raw({}, b'{"exp": ' + b"9" * 5000 + b"}"),
    "claims are a list": lambda issuer: issuer.sign_raw({}, []),
    "not base64": lambda issuer: "eyJ!.eyJ!.!",
    "empty parts": lambda issuer: "eyJ..",
    "not latin": lambda issuer: "eyJ\u00ff.\u00ff.\u00ff",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(machine: Browser, robot: Client, issuer: Issuer, name: str) -> None:
    refused(machine, FORGERIES[name](issuer))
    assert issuer.asked["/evil-jwks"] == 0
    assert ask(machine, issuer.sign()).status_code == 200


def test_without_the_leeway_a_forgery_would_be_good(machine: Browser, robot: Client, issuer: Issuer) -> None:
    """The forgeries above fail for what they are, not because nothing is ever taken."""
    assert ask(machine, issuer.sign_raw({"typ": "JWT"}, issuer.claims())).status_code == 200
    for changes in ({"aud": ["another", "lightbox"]}, {"nbf": int(time.time())}, {"filling": "x" * 4000}):
        assert ask(machine, issuer.sign(**changes)).status_code == 200, changes


def test_nobody_is_trusted_by_default(machine: Browser, issuer: Issuer, settings: Any) -> None:
    assert settings.PACS.trusted_issuers == []
    refused(machine, issuer.sign())
    assert issuer.asked.total() == 0


def test_a_bad_token_does_not_fall_back_to_the_session(browser: Browser, robot: Client, make_person: Make) -> None:
    browser.force_login(make_person("radiologist"))
    assert browser.get("/api/whoami").status_code == 200
    refused(browser, "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb2JvdCJ9.")


class TestKeys:
    """Where keys come from, how often they are asked for, and which are not taken."""

    def test_an_unknown_kid_asks_once_a_minute(
        self, machine: Browser, robot: Client, issuer: Issuer, later: Make
    ) -> None:
        assert ask(machine, issuer.sign()).status_code == 200
        issuer.keys["new"] = rsa_key()
        for _ in range(20):
            refused(machine, issuer.sign(kid="made-up"))
        assert issuer.asked["/jwks"] == 1
        later(61)
        assert ask(machine, issuer.sign(kid="new", key=issuer.keys["new"])).status_code == 200
        for _ in range(20):
            refused(machine, issuer.sign(kid="made-up"))
        assert issuer.asked["/jwks"] == 2

    def test_a_key_taken_back_is_gone_after_five_minutes(
        self, machine: Browser, robot: Client, issuer: Issuer, later: Make
    ) -> None:
        token = issuer.sign()
        assert ask(machine, token).status_code == 200
        issuer.keys = {"two": rsa_key()}
        later(301)
        refused(machine, token)

    def test_they_are_good_for_a_day_while_the_issuer_is_down(
        self, machine: Browser, robot: Client, issuer: Issuer, later: Make
    ) -> None:
        token = issuer.sign(exp=int(time.time()) + 10**6)
        assert ask(machine, token).status_code == 200
        issuer.stop()
        later(80_000)
        assert ask(machine, token).status_code == 200
        later(7_000)
        refused(machine, token)

    def test_an_issuer_that_comes_up_late(self, machine: Browser, robot: Client, issuer: Issuer, later: Make) -> None:
        right = issuer.paths.pop("/jwks")
        for _ in range(10):
            refused(machine, issuer.sign())
        assert issuer.asked["/jwks"] == 1
        issuer.paths["/jwks"] = right
        later(6)
        assert ask(machine, issuer.sign()).status_code == 200

    @pytest.mark.parametrize(
        "answer",
        [
            (302, {"Location": "/elsewhere"}, b""),
            (200, {}, b"<html>"),
            (200, {}, b"[" * 100_000),
            (200, {}, b'"keys"'),
            (200, {}, b'{"keys": 1}'),
            (200, {}, b'{"keys": [1, null, {}, {"kty": "RSA"}, {"kty": "RSA", "n": 1, "e": []}]}'),
            (200, {}, b'{"keys": [{"kty": "RSA", "key_ops": null}, {"kty": "RSA", "key_ops": 7}]}'),
            (200, {}, b" " * (asking.MOST_BYTES + 1)),
            (500, {}, b""),
        ],
        ids=["redirect", "HTML", "nested", "text", "no list", "no keys", "no uses", "too large", "500"],
    )
    def test_what_is_no_set_of_keys(self, machine: Browser, robot: Client, issuer: Issuer, answer: Any) -> None:
        issuer.paths["/elsewhere"] = issuer.paths["/jwks"]
        issuer.paths["/jwks"] = lambda form: answer
        refused(machine, issuer.sign())
        assert issuer.asked["/elsewhere"] == 0

    def test_an_answer_that_is_cut_short(self, machine: Browser, robot: Client, issuer: Issuer) -> None:
        issuer.paths["/jwks"] = lambda form: (200, {"Content-Length": 10_000}, b"{")
        refused(machine, issuer.sign())

    def test_who_never_ends_an_answer_is_given_up(
        self, machine: Browser, robot: Client, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pieces = []

        def drip() -> Iterator[bytes]:
            for _ in range(1000):
                pieces.append(1)
                yield b" "
                time.sleep(0.05)

        monkeypatch.setattr(asking, "SECONDS", 0.5)
        issuer.paths["/jwks"] = lambda form: (200, {}, drip())
        refused(machine, issuer.sign())
        assert len(pieces) < 1000

    @pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
    def test_weak_and_foreign_keys_are_left_out(self, machine: Browser, robot: Client, issuer: Issuer) -> None:
        weak, encryption, other = rsa_key(1024), rsa_key(), rsa_key()
        secret = base64.urlsafe_b64encode(b"s" * 64).rstrip(b"=").decode()
        issuer.paths["/jwks"] = lambda form: {
            "keys": [
                public_jwk(weak, "weak"),
                public_jwk(encryption, "encryption", use="enc"),
                public_jwk(other, "other", alg="PS256"),
                {"kty": "oct", "k": secret, "kid": "secret", "alg": "HS256"},
            ]
        }
        refused(machine, issuer.sign(kid="weak", key=weak))
        refused(machine, issuer.sign(kid="encryption", key=encryption))
        refused(machine, issuer.sign(kid="other", key=other))
        refused(machine, jwt.encode(issuer.claims(), b"s" * 64, "HS256", {"kid": "secret"}))
        assert ask(machine, issuer.sign(kid="other", key=other, alg="PS256")).status_code == 200

    def test_without_a_kid_there_must_be_one_key(
        self, machine: Browser, robot: Client, issuer: Issuer, later: Make
    ) -> None:
        assert ask(machine, issuer.sign(kid=None)).status_code == 200
        issuer.keys["two"] = rsa_key()
        later(301)
        refused(machine, issuer.sign(kid=None))


class TestWho:
    """Subjects, machines, people and roles."""

    def test_a_machine_switched_off_is_out_now(self, machine: Browser, robot: Client, issuer: Issuer) -> None:
        Client.objects.filter(pk=robot.pk).update(is_active=False)
        refused(machine, issuer.sign())

    def test_roles_from_a_claim(self, machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
        trust(roles_claim="realm_access.roles", roles={"pacs-read": "technologist", "pacs-ai": ["ai_vendor", "device"]})
        token = issuer.sign(realm_access={"roles": ["pacs-ai", "administrator", 7, None]})
        assert ask(machine, token).json()["roles"] == ["ai_vendor", "device"]
        assert ask(machine, issuer.sign(realm_access={"roles": []})).json()["roles"] == []
        assert ask(machine, issuer.sign(realm_access="pacs-readers")).json()["roles"] == []

    def test_roles_from_a_scope(self, machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
        trust(roles_claim="scope", roles={"dicom.read": "technologist"})
        assert ask(machine, issuer.sign(scope="openid dicom.read")).json()["roles"] == ["technologist"]

    def test_a_role_of_the_houses_own(self, machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
        CustomRole.objects.create(name="teleradiology", title="Teleradiology", rights={"search": "ALL"})
        trust(roles={"t": ["teleradiology", "misspelt"]})
        assert ask(machine, issuer.sign(roles=["t"])).json()["roles"] == ["teleradiology"]

    def test_claims_that_must_be_there(self, machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
        trust(require={"idtyp": "app"})
        refused(machine, issuer.sign())
        refused(machine, issuer.sign(idtyp="user"))
        assert ask(machine, issuer.sign(idtyp="app")).status_code == 200

    def test_machines_are_made_if_that_is_set(self, machine: Browser, issuer: Issuer, trust: Make) -> None:
        trust(create=True, roles={"store": "device"}, name_claim="client_id")
        refused(machine, issuer.sign(sub="new", roles=["nothing"]))
        assert not Client.objects.exists()
        for _ in range(2):
            answer = ask(machine, issuer.sign(sub="new", client_id="CT gateway", roles=["store"]))
            assert (answer.status_code, answer.json()["name"], answer.json()["roles"]) == (
                200,
                "CT gateway",
                ["device"],
            )
        assert Client.objects.count() == 1
        event = AccessEvent.objects.get(kind="user_changed")
        assert (event.principal_name, event.auth_method) == ("trusted issuer", "jwt")
        refused(machine, issuer.sign(sub="a second", client_id="CT gateway", roles=["store"]))

    def test_a_person(self, machine: Browser, issuer: Issuer, trust: Make, make_person: Make) -> None:
        person = make_person("radiologist", username="dr.grey")
        FederatedIdentity.objects.create(issuer=issuer.address, subject="grey", user=person)
        refused(machine, issuer.sign(sub="grey"))
        trust(kind="person")
        answer = ask(machine, issuer.sign(sub="grey")).json()
        assert (answer["kind"], answer["name"], answer["roles"]) == ("person", "dr.grey", ["radiologist"])
        UserRole.objects.filter(user=person).delete()
        assert ask(machine, issuer.sign(sub="grey")).json()["roles"] == []
        person.is_active = False
        person.save()
        refused(machine, issuer.sign(sub="grey"))

    def test_what_it_does_is_on_the_trail(self, machine: Browser, robot: Client, issuer: Issuer, trust: Make) -> None:
        trust(roles={"r": "technologist"})
        token = issuer.sign(roles=["r"])
        answer = machine.get("/dicom-web/studies", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code in (200, 204)
        event = AccessEvent.objects.get(kind="search")
        assert (event.auth_method, event.principal_id) == ("jwt", str(robot.external_id))
        assert event.token_id == hashlib.sha256(token.encode()).hexdigest()[:32]

    def test_logs_have_nothing_of_the_token(
        self, machine: Browser, robot: Client, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        refused(machine, issuer.sign(sub="ZZQXMARKER", name="ZZQXMARKER"))
        refused(machine, issuer.sign(kid="ZZQXMARKER"))
        refused(machine, issuer.sign(iss="https://ZZQXMARKER.example"))
        assert "refused" in caplog.text
        assert "ZZQXMARKER" not in caplog.text


class TestCommand:
    """``trust_subject``."""

    def test_it_makes_links_and_ends(self, machine: Browser, issuer: Issuer, trust: Make) -> None:
        refused(machine, issuer.sign())
        call_command("trust_subject", "gateway", "--subject", "robot", "--role", "device")
        assert ask(machine, issuer.sign()).json()["name"] == "gateway"
        call_command("trust_subject", "gateway", "--subject", "robot", "--remove")
        refused(machine, issuer.sign())
        said = list(AccessEvent.objects.filter(kind="user_changed").values_list("outcome_description", flat=True))
        assert len(said) == 3

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["nobody", "--subject", "x"], "0 people and machines"),
            (["the robot", "--subject", "robot"], "linked already"),
            (["the robot", "--subject", "x", "--issuer", "https://evil.example"], "don't know this issuer"),
            (["the robot", "--subject", "x\0"], "1 to 255 characters"),
            (["the robot", "--subject", "x", "--remove"], "not linked"),
            (["the robot", "--subject", "x", "--role", "device"], "taken"),
        ],
    )
    def test_what_it_refuses(self, robot: Client, words: list[str], text: str) -> None:
        with pytest.raises(CommandError, match=text):
            call_command("trust_subject", *words)
        assert FederatedIdentity.objects.count() == 1
