"""Machines that sign instead of sending a secret (private_key_jwt), and every way in which that must fail."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.management import CommandError, call_command
from django.test import Client as Browser

from access.client_assertion import TYPE
from access.client_keys import BadKeys, give_keys
from access.federation_models import ClientKeys, UsedAssertion
from access.jwt_keys import published_keys
from access.models import Client
from audit.models import AccessEvent
from tests.access.issuer import Issuer, ec_key, ed_key, public_jwk, raw_token, rsa_key

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db
ROOT = "http://127.0.0.1:8080"
KEY = rsa_key()


@pytest.fixture(autouse=True)
def root(settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"public_root": ROOT})


@pytest.fixture
def machine() -> Browser:
    return Browser(enforce_csrf_checks=True, HTTP_HOST="127.0.0.1")


@pytest.fixture
def robot(make_client: Make) -> Client:
    client: Client = make_client("device", name="the robot")
    give_keys(client, jwks={"keys": [public_jwk(KEY, "one")]})
    return client


def claims(client: Client, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": client.client_id, "sub": client.client_id, "aud": f"{ROOT}/oauth/token/"}
    good |= {"exp": now + 120, "iat": now, "jti": uuid4().hex}
    return {name: value for name, value in (good | changes).items() if value is not None}


def assertion(
    client: Client, *, key: Any = KEY, alg: str = "RS256", kid: str | None = "one", header: Any = None, **changes: Any
) -> str:
    headers = ({"kid": kid} if kid else {}) | (header or {})
    return jwt.encode(claims(client, **changes), key, algorithm=alg, headers=headers)


def ask(machine: Browser, signed: str, *, kind: str = TYPE, headers: Any = None, **form: Any) -> Any:
    fields = {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": signed} | form
    return machine.post("/oauth/token/", fields, headers=headers or {})


def test_a_token_for_a_signature(machine: Browser, robot: Client) -> None:
    answer = ask(machine, assertion(robot))
    assert answer.status_code == 200, answer.content
    token = answer.json()["access_token"]
    me = machine.get("/api/whoami", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["name"], me["roles"]) == ("the robot", ["device"])
    event = AccessEvent.objects.get(kind="sign_in")
    assert (event.principal_id, event.decision) == (str(robot.external_id), "allow")


@pytest.mark.parametrize(
    ("alg", "key"),
    [("PS256", KEY), ("ES256", ec_key()), ("ES384", ec_key(ec.SECP384R1())), ("EdDSA", ed_key())],
    ids=["PS256", "ES256", "ES384", "EdDSA"],
)
def test_algorithms(machine: Browser, make_client: Make, alg: str, key: Any) -> None:
    client = make_client("device")
    give_keys(client, jwks={"keys": [public_jwk(key, "k")]})
    assert ask(machine, assertion(client, key=key, alg=alg, kid="k")).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [{"aud": ROOT}, {"aud": [ROOT]}, {"kid": None}, {"header": {"typ": "client-authentication+jwt"}}, {"iat": None}],
    ids=str,
)
def test_what_is_right_too(machine: Browser, robot: Client, changes: dict[str, Any]) -> None:
    assert ask(machine, assertion(robot, **changes)).status_code == 200


def test_with_its_own_id_in_the_form(machine: Browser, robot: Client) -> None:
    assert ask(machine, assertion(robot), client_id=robot.client_id).status_code == 200


def test_tokens_are_revoked_in_the_same_way(machine: Browser, robot: Client) -> None:
    token = ask(machine, assertion(robot)).json()["access_token"]
    fields = {"token": token, "client_assertion_type": TYPE, "client_assertion": assertion(robot)}
    assert machine.post("/oauth/revoke/", fields).status_code == 200
    assert machine.get("/api/whoami", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_an_assertion_is_good_once(machine: Browser, robot: Client) -> None:
    signed = assertion(robot, jti="x")
    assert ask(machine, signed).status_code == 200
    again = ask(machine, signed)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert ask(machine, assertion(robot, jti="x")).status_code == 401
    assert ask(machine, assertion(robot, jti="y")).status_code == 200
    assert not UsedAssertion.objects.filter(digest="x").exists()


def test_two_clients_may_use_the_same_jti(machine: Browser, robot: Client, make_client: Make) -> None:
    other = make_client("device")
    give_keys(other, jwks={"keys": [public_jwk(KEY, "one")]})
    assert ask(machine, assertion(robot, jti="x")).status_code == 200
    assert ask(machine, assertion(other, jti="x")).status_code == 200


def test_used_ones_are_forgotten_when_they_have_expired(machine: Browser, robot: Client) -> None:
    ask(machine, assertion(robot))
    UsedAssertion.objects.update(expires_at="2020-01-01T00:00Z")
    ask(machine, assertion(robot))
    assert UsedAssertion.objects.count() == 1


FORGERIES: dict[str, Callable[[Client], str]] = {
    "alg none": lambda robot: raw_token({"alg": "none"}, claims(robot)),
    "HS256 with the client's secret": lambda robot: assertion(robot, alg="HS256", key="unused" * 8),
    "another key": lambda robot: assertion(robot, key=rsa_key()),
    "unknown kid": lambda robot: assertion(robot, kid="two"),
    "RS512": lambda robot: assertion(robot, alg="RS512"),
    "key in the header": lambda robot: assertion(robot, header={"jwk": public_jwk(KEY, None)}),
    "address of a key in the header": lambda robot: assertion(robot, header={"jku": "http://127.0.0.1:9/"}),
    "critical header": lambda robot: assertion(robot, header={"crit": ["exp"], "exp": 1}),
    "an access token": lambda robot: assertion(robot, header={"typ": "at+jwt"}),
    "for another server": lambda robot: assertion(robot, aud="https://other.example/oauth/token/"),
    "for the API": lambda robot: assertion(robot, aud=f"{ROOT}/dicom-web/"),
    "for others as well": lambda robot: assertion(robot, aud=[ROOT, "https://other.example"]),
    "for nobody": lambda robot: assertion(robot, aud=None),
    "another issuer": lambda robot: assertion(robot, iss="other"),
    "another subject": lambda robot: assertion(robot, sub="other"),
    "no subject": lambda robot: assertion(robot, sub=None),
    "subject with NUL": lambda robot: assertion(robot, sub="a\0b"),
    "no issuer": lambda robot: assertion(robot, iss=None),
    "expired 90 s ago": lambda robot: assertion(robot, exp=int(time.time()) - 90),
    "good for an hour": lambda robot: assertion(robot, exp=int(time.time()) + 3600),
    "good for ever": lambda robot: assertion(robot, exp=10**17),
    "exp missing": lambda robot: assertion(robot, exp=None),
    "exp as text": lambda robot: assertion(robot, exp=str(int(time.time()) + 60)),
    "nbf in 90 s": lambda robot: assertion(robot, nbf=int(time.time()) + 90),
    "no jti": lambda robot: assertion(robot, jti=None),
    "jti empty": lambda robot: assertion(robot, jti=""),
    "jti a surrogate": lambda robot: assertion(robot, jti="\ud800"),
    "jti of 300 characters": lambda robot: assertion(robot, jti="j" * 300),
    "more than 8 KiB": lambda robot: assertion(robot, filling="x" * 8192),
    "nonsense": lambda robot: "nonsense",
    "empty": lambda robot: "",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries(machine: Browser, robot: Client, name: str) -> None:
    answer = ask(machine, FORGERIES[name](robot))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert AccessEvent.objects.filter(kind="sign_in_failed").count() == 1
    assert not UsedAssertion.objects.exists()
    assert ask(machine, assertion(robot)).status_code == 200


def test_another_type_of_assertion(machine: Browser, robot: Client) -> None:
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    assert ask(machine, assertion(robot), kind=saml).status_code == 401
    assert ask(machine, assertion(robot), kind="").status_code == 401


def test_never_two_ways_at_once(machine: Browser, robot: Client, make_client: Make) -> None:
    other = make_client("administrator", secret="s" * 30)
    basic = base64.b64encode(f"{other.client_id}:{'s' * 30}".encode()).decode()
    for extra in (
        {"headers": {"Authorization": f"Basic {basic}"}},
        {"client_secret": "s" * 30},
        {"client_secret": ""},
        {"client_id": other.client_id},
        {"client_assertion": [assertion(robot), assertion(robot)]},
        {"client_assertion_type": [TYPE, TYPE]},
    ):
        answer = ask(machine, assertion(robot), **extra)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), extra
    form = {"grant_type": "client_credentials", "client_assertion": assertion(robot)}
    assert machine.post("/oauth/token/", form).status_code == 400


def test_a_client_with_keys_has_no_secret_that_anybody_knows(machine: Browser, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [public_jwk(KEY, "one")]}))
    call_command("create_client", "signer", "--role", "device", "--jwks", str(file))
    client = Client.objects.get(name="signer")
    for secret in ("", client.client_secret, "None"):
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
        assert machine.post("/oauth/token/", form).status_code == 401


def test_switched_off_or_without_keys(machine: Browser, robot: Client, make_client: Make) -> None:
    assert ask(machine, assertion(make_client("device"))).status_code == 401
    Client.objects.filter(pk=robot.pk).update(is_active=False)
    assert ask(machine, assertion(robot)).status_code == 401


def test_guessing_is_slow(machine: Browser, robot: Client) -> None:
    wrong = [ask(machine, assertion(robot, key=rsa_key())).status_code for _ in range(1)]
    wrong += [ask(machine, assertion(robot, kid="other")).status_code for _ in range(10)]
    assert wrong == [401] * 10 + [429]


class TestKeysElsewhere:
    """``jwks_uri``."""

    @pytest.fixture
    def issuer(self) -> Iterator[Issuer]:
        made = Issuer()
        published_keys.cache_clear()
        yield made
        made.stop()

    def test_they_are_fetched(self, machine: Browser, make_client: Make, issuer: Issuer, settings: Any) -> None:
        client = make_client("device")
        settings.PACS = settings.PACS.model_copy(update={"debug": True})
        give_keys(client, jwks_uri=f"{issuer.address}/jwks")
        for _ in range(3):
            assert ask(machine, assertion(client, key=issuer.keys["one"])).status_code == 200
        assert issuer.asked["/jwks"] == 1

    def test_only_from_https_addresses(self, machine: Browser, make_client: Make, issuer: Issuer) -> None:
        client = make_client("device")
        for address in (f"{issuer.address}/jwks", "http://example.org/jwks", "file:///etc/passwd", "https://", "x"):
            with pytest.raises(BadKeys):
                give_keys(client, jwks_uri=address)
        ClientKeys.objects.create(client=client, jwks_uri=f"{issuer.address}/jwks")
        assert ask(machine, assertion(client, key=issuer.keys["one"])).status_code == 401
        assert issuer.asked.total() == 0

    def test_redirects_are_not_followed(
        self, machine: Browser, make_client: Make, issuer: Issuer, settings: Any
    ) -> None:
        client = make_client("device")
        settings.PACS = settings.PACS.model_copy(update={"debug": True})
        issuer.paths["/elsewhere"] = issuer.paths["/jwks"]
        issuer.paths["/jwks"] = lambda form: (307, {"Location": "/elsewhere"}, b"")
        give_keys(client, jwks_uri=f"{issuer.address}/jwks")
        assert ask(machine, assertion(client, key=issuer.keys["one"])).status_code == 401
        assert (issuer.asked["/jwks"], issuer.asked["/elsewhere"]) == (1, 0)


class TestCommands:
    """``create_client --jwks`` and ``client_keys``."""

    def test_new_keys_end_the_old_ones(self, machine: Browser, robot: Client, tmp_path: Path) -> None:
        new = ec_key()
        (tmp_path / "new.json").write_text(json.dumps({"keys": [public_jwk(new, "two")]}))
        call_command("client_keys", "the robot", "--jwks", str(tmp_path / "new.json"))
        assert ask(machine, assertion(robot)).status_code == 401
        assert ask(machine, assertion(robot, key=new, alg="ES256", kid="two")).status_code == 200
        assert AccessEvent.objects.filter(kind="user_changed").count() == 2

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("nonsense", "can't be read"),
            ("[]", "JWK Set"),
            ('{"keys": []}', "no key"),
            ('{"keys": [{"kty": "oct", "k": "AAAA"}]}', "private or secret"),
            ('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}', "no key"),
            (json.dumps({"keys": [public_jwk(rsa_key(1024), "weak")]}), "no key"),
            (json.dumps({"keys": [{**public_jwk(KEY, "one"), "d": "AQAB"}]}), "private or secret"),
        ],
    )
    def test_what_is_no_set_of_public_keys(self, tmp_path: Path, content: str, text: str) -> None:
        file = tmp_path / "keys.json"
        file.write_text(content)
        with pytest.raises(CommandError, match=text):
            call_command("create_client", "signer", "--role", "device", "--jwks", str(file))
        assert not Client.objects.exists()

    def test_other_refusals(self, tmp_path: Path, robot: Client, make_person: Make) -> None:
        make_person(username="dr.grey")
        for words, text in (
            (["create_client", "x", "--role", "device", "--jwks", str(tmp_path / "none")], "can't be read"),
            (["create_client", "x", "--role", "device", "--jwks-uri", "http://example.org/"], "https://"),
            (["client_keys", "nobody", "--jwks-uri", "https://example.org/"], "0 people and machines"),
            (["client_keys", "dr.grey", "--jwks-uri", "https://example.org/"], "only machines"),
        ):
            with pytest.raises(CommandError, match=text):
                call_command(*words)
