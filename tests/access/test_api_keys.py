"""API keys: what they open, when they end, and what stands on the trail. Modalities have one each."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access.acting import COMMAND_LINE
from access.api_keys import MARK, READING, TooManyKeys, Wish, make_key
from access.clients import create_device
from access.models import ApiKey, Client, User
from access.refused_change import NameTaken
from access.token_end import end_tokens
from audit.models import AccessEvent
from tests.access.conftest import MakeClient, MakePerson
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(make_person: MakePerson) -> User:
    return make_person("technologist", username="tina")


@pytest.fixture
def key(user: User) -> str:
    return make_key(user, Wish(name="a script"), COMMAND_LINE)[1]


def whoami(key: str, address: str = "127.0.0.1") -> Any:
    machine = Browser(HTTP_HOST="127.0.0.1", REMOTE_ADDR=address)
    return machine.get("/api/whoami", headers={"Authorization": f"Bearer {key}"})


def test_it_is_the_person(user: User, key: str) -> None:
    found = whoami(key).json()
    assert (found["kind"], found["id"], found["name"]) == ("person", str(user.external_id), "tina")
    assert {"search", "retrieve", "store"} <= found["permissions"].keys()


def test_only_a_hash_is_stored(key: str) -> None:
    assert key.startswith(MARK)
    assert len(key) == len(MARK) + 43
    assert key not in repr([list(model.objects.values()) for model in (ApiKey, AccessEvent)])
    assert key.removeprefix(MARK) not in repr(list(AccessEvent.objects.values()))


def test_it_can_be_for_reading_only(user: User) -> None:
    key = make_key(user, Wish(name="reading", permissions=READING), COMMAND_LINE)[1]
    assert whoami(key).json()["permissions"].keys() == {"search", "retrieve", "objects"}
    store = Browser(HTTP_HOST="127.0.0.1").post(
        "/dicom-web/studies", b"", content_type="application/dicom", headers={"Authorization": f"Bearer {key}"}
    )
    assert store.status_code == 403


def test_roles_count_as_they_are_now(user: User, key: str) -> None:
    user.roles.all().delete()
    assert whoami(key).json()["permissions"] == {}


def test_what_a_request_costs(key: str) -> None:
    """The first request in a minute also notes that the key was used."""
    with CaptureQueriesContext(connection) as first:
        whoami(key)
    with CaptureQueriesContext(connection) as second:
        whoami(key)
    assert [query["sql"].split()[0] for query in first] == ["SELECT", "UPDATE"]
    assert [query["sql"].split()[0] for query in second] == ["SELECT"]


def test_last_used_is_noted_once_a_minute(key: str) -> None:
    whoami(key)
    noted = ApiKey.objects.get().last_used_at
    assert noted is not None
    whoami(key)
    assert ApiKey.objects.get().last_used_at == noted
    ApiKey.objects.update(last_used_at=noted - timedelta(seconds=70))
    whoami(key)
    assert (ApiKey.objects.get().last_used_at or noted) > noted


@pytest.mark.parametrize("end", ["revoked", "expired", "person off", "everything ended"])
def test_when_it_ends(user: User, key: str, end: str) -> None:
    assert whoami(key).status_code == 200
    match end:
        case "revoked":
            call_command("revoke_key", str(ApiKey.objects.get().external_id), stdout=StringIO())
        case "expired":
            ApiKey.objects.update(created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now())
        case "person off":
            User.objects.filter(pk=user.pk).update(is_active=False)
        case "everything ended":
            assert end_tokens(user).api_keys == 1
    response = whoami(key)
    assert response.status_code == 401
    assert 'error="invalid_token"' in response["WWW-Authenticate"]
    refused = AccessEvent.objects.filter(kind="refused").get()
    assert (refused.principal_name, refused.rule, refused.decision) == ("tina", "api_key", "deny")


def test_signing_out_everywhere_leaves_keys(user: User, key: str) -> None:
    assert end_tokens(user, with_api_keys=False).api_keys == 0
    assert whoami(key).status_code == 200


@pytest.mark.parametrize("wrong", [f"{MARK}nonsense", MARK, f"{MARK}{'A' * 43}", f"{MARK}ÿ"])
def test_keys_that_nobody_has(key: str, wrong: str) -> None:
    assert whoami(wrong).status_code == 401
    assert not AccessEvent.objects.filter(kind="refused").exists(), "anybody could fill the trail"


def test_a_key_is_taken_from_the_header_alone(key: str) -> None:
    machine = Browser(HTTP_HOST="127.0.0.1")
    assert machine.get(f"/api/whoami?access_token={key}").status_code == 401
    assert machine.get("/api/whoami", headers={"Authorization": f"Basic {key}"}).status_code == 401


@pytest.mark.parametrize(
    "address", ["/account/", "/account/keys/", "/account/keys/new", "/account/password", "/oauth/authorize/"]
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_key_makes_no_keys_and_leaves_the_account_alone(key: str, address: str, method: str) -> None:
    machine = Browser(HTTP_HOST="127.0.0.1")
    fields = {"name": "another", "days": 30, "reach": "all"}
    response = getattr(machine, method)(address, fields, headers={"Authorization": f"Bearer {key}"})
    assert response.status_code in (403, 405)
    assert ApiKey.objects.count() == 1


def test_times_and_names_that_cannot_be(user: User) -> None:
    for wish in (
        Wish(name="x", days=0),
        Wish(name="x", days=366),
        Wish(name="x", days=None),
        Wish(name=" "),
        Wish(name="a\0b"),
        Wish(name="x" * 201),
        Wish(name="x", addresses=["nowhere"]),
    ):
        with pytest.raises(ValueError, match=r"key|network|days"):
            make_key(user, wish, COMMAND_LINE)
    assert not ApiKey.objects.exists()


def test_the_database_holds_to_it_too(user: User, make_client: MakeClient) -> None:
    fields = {"name": "x", "digest": "y"}
    wrong: list[dict[str, Any]] = [
        {"user": user},
        {},
        {"user": user, "client": make_client("device"), "expires_at": timezone.now() + timedelta(days=1)},
    ]
    for each in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiKey.objects.create(**fields, **each)


def test_there_are_so_many_and_no_more(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("access.api_keys.MOST_KEYS", 2)
    make_key(user, Wish(name="one"), COMMAND_LINE)
    second, _ = make_key(user, Wish(name="two"), COMMAND_LINE)
    with pytest.raises(TooManyKeys):
        make_key(user, Wish(name="three"), COMMAND_LINE)
    ApiKey.objects.filter(pk=second.pk).update(revoked_at=timezone.now())
    make_key(user, Wish(name="three"), COMMAND_LINE)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_get_no_more(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("access.api_keys.MOST_KEYS", 2)
    together = threading.Barrier(6)

    def make() -> None:
        together.wait()
        try:
            make_key(user, Wish(name="one of many"), COMMAND_LINE)
        except TooManyKeys:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ApiKey.objects.count() == 2


class TestDevices:
    """A modality stores by the key it was given."""

    def test_what_it_may(self) -> None:
        client, key, secret = create_device("CT in room 2", "CT_ROOM2")
        assert key.expires_at is None
        found = whoami(secret).json()
        assert (found["kind"], found["name"], found["roles"]) == ("client", "CT in room 2", ["device"])
        assert "store" in found["permissions"]
        assert "retrieve" not in found["permissions"]
        fields = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
        assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", fields).status_code == 401

    def test_it_stores(self) -> None:
        """With STOW-RS, and under its name on the trail."""
        client, _, secret = create_device("CT in room 2", "CT_ROOM2")
        door = Door(Browser(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {secret}"))
        stored = door.store([make_object()])
        assert stored.status_code == 200, stored.content
        event = AccessEvent.objects.get(kind="store")
        assert (event.principal_name, event.principal_id) == ("CT in room 2", str(client.external_id))
        assert (event.auth_method, event.instance_count) == ("api_key", 1)
        assert door.get("studies").status_code == 403

    def test_where_it_stands(self) -> None:
        _, _, secret = create_device("CT in room 2", "CT_ROOM2", addresses=["10.1.0.0/16", "fd00::/8"])
        assert whoami(secret, "10.1.2.3").status_code == 200
        assert whoami(secret, "fd00::1").status_code == 200
        for elsewhere in ("10.2.0.1", "127.0.0.1", "fe80::1", "::ffff:10.2.0.1"):
            assert whoami(secret, elsewhere).status_code == 401, elsewhere
        refused = AccessEvent.objects.filter(kind="refused").order_by("sequence")[0]
        assert (refused.principal_name, refused.source_ip) == ("CT in room 2", "10.2.0.1")
        assert "address" in refused.outcome_description

    def test_switched_off(self) -> None:
        client, _, secret = create_device("CT in room 2", "CT_ROOM2")
        Client.objects.filter(pk=client.pk).update(is_active=False)
        assert whoami(secret).status_code == 401

    def test_ended(self) -> None:
        client, _, secret = create_device("CT in room 2", "CT_ROOM2")
        assert end_tokens(client).api_keys == 1
        assert whoami(secret).status_code == 401

    @pytest.mark.parametrize("ae_title", ["", " ", "X" * 17, "A\\B", "A\nB", "Ä"])
    def test_ae_titles_that_are_none(self, ae_title: str) -> None:
        with pytest.raises(ValueError, match="AE title"):
            create_device("x", ae_title)

    def test_names_are_taken_once(self) -> None:
        create_device("one", "CT1")
        for name, title in (("ONE", "CT2"), ("two", " CT1 ")):
            with pytest.raises(NameTaken):
                create_device(name, title)
        create_device("two", "CT2")


class TestCommands:
    """The same on the command line."""

    def run(self, *words: str) -> str:
        out = StringIO()
        call_command(*words, stdout=out)
        return out.getvalue()

    def word(self, text: str, name: str) -> str:
        return next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} "))

    def test_keys(self, user: User) -> None:
        text = self.run("create_key", "tina", "--name", "export", "--days", "10", "--read-only")
        secret, name = self.word(text, "key"), self.word(text, "id")
        assert ApiKey.objects.get(external_id=UUID(name)).permissions == sorted(READING)
        assert whoami(secret).status_code == 200
        assert "is revoked" in self.run("revoke_key", name)
        assert "already" in self.run("revoke_key", name)
        assert whoami(secret).status_code == 401
        events = AccessEvent.objects.filter(kind="user_changed", outcome_description__contains=name)
        assert [event.principal_name for event in events] == ["command line"] * 2

    def test_devices(self) -> None:
        text = self.run("create_device", "CT", "--ae-title", "CT1", "--address", "127.0.0.0/8")
        assert whoami(self.word(text, "key")).json()["name"] == "CT"

    def test_apps(self) -> None:
        where = ("--redirect-uri", "https://app.example/cb")
        assert "client_secret" in self.run("create_app", "one", *where)
        text = self.run("create_app", "two", *where, "--public", "--scope", "dicomweb")
        assert "client_secret" not in text
        client = Client.objects.get(client_id=self.word(text, "client_id"))
        assert (client.is_app, client.client_type, client.scopes, client.role) == (True, "public", ["dicomweb"], "")

    def test_scopes(self, make_client: MakeClient) -> None:
        client = make_client("technologist", name="worker")
        self.run("set_scopes", "worker", "system/ImagingStudy.rs", "--introspect")
        client.refresh_from_db()
        assert (client.scopes, client.may_introspect) == (["system/ImagingStudy.rs"], True)

    @pytest.mark.parametrize(
        "words",
        [
            ("create_key", "nobody", "--name", "x"),
            ("create_key", "tina", "--name", "x", "--days", "1000"),
            ("create_key", "tina", "--name", "x", "--address", "x"),
            ("revoke_key", "nonsense"),
            ("revoke_key", "00000000-0000-0000-0000-000000000000"),
            ("create_device", "x", "--ae-title", ""),
            ("create_app", "x", "--redirect-uri", "http://app.example/"),
            ("create_app", "x", "--redirect-uri", "https://app.example/", "--scope", "nonsense"),
            ("set_scopes", "tina", "dicomweb"),
            ("set_scopes", "nobody", "dicomweb"),
        ],
    )
    def test_what_cannot_be(self, user: User, words: tuple[str, ...]) -> None:
        with pytest.raises(CommandError):
            self.run(*words)
