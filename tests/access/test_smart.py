"""Scopes: what each opens, what a client may have of what it asks for, and the discovery documents."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import reverse

from access import smart
from access.clients import set_scopes
from access.models import AppSession, Client, CustomRole, User
from access.roles import Permission
from archive.models import Patient
from audit.models import AccessEvent
from tests.access.conftest import MakeClient, MakePerson, MakeStudy
from tests.access.oauth import App, make_app

READING = {"search", "retrieve", "objects"}


@pytest.mark.parametrize(
    ("scope", "permissions"),
    [
        ("user/ImagingStudy.rs", {"retrieve", "search"}),
        ("patient/ImagingStudy.r", {"retrieve"}),
        ("system/ImagingStudy.s", {"search"}),
        ("system/ImagingStudy.c", {"store"}),
        ("user/ImagingStudy.cruds", {"store", "retrieve", "update", "delete", "search"}),
        ("user/ImagingStudy.read", {"retrieve", "search"}),
        ("user/ImagingStudy.write", {"store", "update", "delete"}),
        ("user/ImagingStudy.*", {"store", "retrieve", "update", "delete", "search"}),
        ("launch/patient", set()),
    ],
)
def test_what_a_scope_opens(scope: str, permissions: set[str]) -> None:
    assert set(smart.SCOPES[scope] or ()) == permissions
    assert set(smart.permissions_of([scope]) or ()) == permissions


def test_the_table_as_a_whole() -> None:
    # dicomweb and launch/patient; of images at three levels, of workitems (Task, nothing deletes them) at two
    assert len(smart.SCOPES) == 2 + 3 * (31 + 3) + 2 * 15
    assert smart.permissions_of(["dicomweb", "user/ImagingStudy.s"]) is None
    assert smart.permissions_of([]) == ()
    assert smart.permissions_of(["openid"]) == ()
    assert set(smart.IN_WORDS) == set(Permission)
    for unknown in ("user/ImagingStudy.sr", "user/ImagingStudy.", "user/Patient.rs", "*/ImagingStudy.rs", "USER/x", ""):
        assert unknown not in smart.SCOPES
    assert not any(
        permissions & {Permission.MANAGE, Permission.AUDIT_READ, Permission.BREAK_GLASS, Permission.EXPORT}
        for permissions in smart.SCOPES.values()
        if permissions is not None
    )


@pytest.mark.parametrize(
    ("asked", "allowed", "given"),
    [
        ("user/ImagingStudy.rs", "user/ImagingStudy.rs", "user/ImagingStudy.rs"),
        ("user/ImagingStudy.r openid", "user/ImagingStudy.rs", "user/ImagingStudy.r"),
        ("user/ImagingStudy.cruds", "user/ImagingStudy.rs", ""),
        ("user/ImagingStudy.rs", "patient/ImagingStudy.rs", ""),
        ("launch/patient patient/ImagingStudy.r", "patient/ImagingStudy.rs", "launch/patient patient/ImagingStudy.r"),
        ("launch/patient", "user/ImagingStudy.rs", ""),
        ("user/ImagingStudy.rs", "dicomweb", "user/ImagingStudy.rs"),
        ("dicomweb", "user/ImagingStudy.cruds", ""),
        ("dicomweb", "dicomweb", "dicomweb"),
        ("system/ImagingStudy.rs", "dicomweb system/ImagingStudy.rs", ""),
        ("user/ImagingStudy.rs", "user/ImagingStudy.r user/ImagingStudy.s", "user/ImagingStudy.rs"),
        ("user/ImagingStudy.r user/ImagingStudy.r", "dicomweb", "user/ImagingStudy.r"),
    ],
)  # fmt: skip
def test_what_an_app_gets(asked: str, allowed: str, given: str) -> None:
    assert smart.granted(asked.split(), allowed.split(), smart.OF_PEOPLE) == given.split()


def test_what_who_asks_for_nothing_gets() -> None:
    both = ["patient/ImagingStudy.rs", "user/ImagingStudy.rs"]
    assert smart.default_of(both, smart.OF_PEOPLE) == ["user/ImagingStudy.rs"]
    assert smart.default_of(["patient/ImagingStudy.rs"], smart.OF_PEOPLE) == ["patient/ImagingStudy.rs"]
    assert smart.default_of(["dicomweb", *both], smart.OF_PEOPLE) == ["dicomweb"]
    assert smart.default_of(both, smart.OF_MACHINES) == []


@pytest.mark.django_db
class TestMachines:
    """Client credentials with scopes (SMART Backend Services)."""

    def ask(self, client: Client, scope: str | None = None) -> Any:
        fields = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": "secret"}
        if scope is not None:
            fields["scope"] = scope
        return Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", fields)

    def permissions(self, response: Any) -> set[str]:
        header = {"Authorization": f"Bearer {response.json()['access_token']}"}
        found: dict[str, str] = Browser(HTTP_HOST="127.0.0.1").get("/api/whoami", headers=header).json()["permissions"]
        return set(found)

    def test_a_machine_of_before_has_all_of_its_role(self, make_client: MakeClient) -> None:
        client = make_client("technologist", secret="secret")
        response = self.ask(client)
        assert response.json()["scope"] == "dicomweb"
        assert {"search", "retrieve", "store"} <= self.permissions(response)

    def test_it_may_ask_for_less(self, make_client: MakeClient) -> None:
        client = make_client("technologist", secret="secret")
        assert self.permissions(self.ask(client, "system/ImagingStudy.rs")) == READING
        assert self.permissions(self.ask(client, "system/ImagingStudy.s openid")) == {"search"}

    def test_a_scope_is_not_more_than_the_role(self, make_client: MakeClient) -> None:
        client = make_client("device", secret="secret")
        assert self.permissions(self.ask(client, "system/ImagingStudy.rs")) == set()

    def test_it_can_be_held_to_less(self, make_client: MakeClient) -> None:
        client = make_client("technologist", secret="secret")
        set_scopes(client, ["system/ImagingStudy.rs"], may_introspect=False)
        assert self.permissions(self.ask(client)) == READING
        for refused in ("dicomweb", "system/ImagingStudy.cruds", "user/ImagingStudy.rs", "nonsense"):
            response = self.ask(client, refused)
            assert (response.status_code, response.json()["error"]) == (400, "invalid_scope"), refused

    def test_a_scope_that_is_none_cannot_be_set(self, make_client: MakeClient) -> None:
        client = make_client("technologist")
        for wrong in (["nonsense"], []):
            with pytest.raises(ValueError, match="scope"):
                set_scopes(client, wrong, may_introspect=False)


@pytest.mark.django_db
class TestOnePatient:
    """A token with ``patient/`` reaches one patient, whom the person chooses."""

    @pytest.fixture
    def user(self, make_person: MakePerson) -> User:
        return make_person("radiologist", username="dr.reader")

    @pytest.fixture
    def signed_in(self, browser: Browser, user: User) -> Browser:
        browser.force_login(user)
        return browser

    @pytest.fixture
    def app(self, db: None) -> App:
        return make_app()

    def studies(self, token: str) -> list[str]:
        """Those that a search finds; the rows of these tests carry no answers of their own, so each is asked for."""
        header = {"Authorization": f"Bearer {token}", "Accept": "application/dicom+json"}
        machine = Browser(HTTP_HOST="127.0.0.1")

        def count(**query: str) -> int:
            response = machine.get("/dicom-web/studies", query, headers=header)
            assert response.status_code in (200, 204)
            return len(json.loads(response.content)) if response.content else 0

        found = [uid for uid in ("1.2.3", "1.2.4") if count(StudyInstanceUID=uid)]
        assert count() == len(found)
        return found

    def test_the_choice(self, signed_in: Browser, app: App, make_study: MakeStudy) -> None:
        mine, other = make_study("1.2.3", patient_id="P1"), make_study("1.2.4", patient_id="P2", name="ROE^RICHARD")
        scope = "launch/patient patient/ImagingStudy.rs"
        page = signed_in.get(app.question(scope=scope)).content.decode()
        assert "DOE, JANE" in page
        assert "ROE, RICHARD" in page
        shown = AccessEvent.objects.filter(kind="search").order_by("-sequence")[0]
        assert sorted(shown.patient_ids) == ["P1", "P2"]
        tokens = app.tokens(signed_in, scope=scope, posted={"patient": str(mine.patient_id)})
        assert (tokens["scope"], tokens["patient"]) == (scope, str(mine.patient_id))
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        machine = Browser(HTTP_HOST="127.0.0.1")
        assert self.studies(tokens["access_token"]) == ["1.2.3"]
        assert machine.get("/dicom-web/studies/1.2.4/metadata", headers=header).status_code == 404
        assert machine.get("/dicom-web/studies/1.2.4/series", headers=header).content == b"[]"
        assert other.patient_id != mine.patient_id
        event = AccessEvent.objects.filter(kind="sign_in").order_by("-sequence")[0]
        assert event.patient_ids == ["P1"]

    def test_of_others_and_of_nobody_look_alike(self, signed_in: Browser, app: App, make_study: MakeStudy) -> None:
        """Somebody who may see all studies asks with a token of one patient: the same work, the same event."""
        mine, _ = make_study("1.2.3", patient_id="P1"), make_study("1.2.4", patient_id="P2")
        tokens = app.tokens(signed_in, scope="patient/ImagingStudy.rs", posted={"patient": str(mine.patient_id)})
        header = {"Authorization": f"Bearer {tokens['access_token']}"}
        for uid in ("1.2.4", "1.2.5"):
            answer = Browser(HTTP_HOST="127.0.0.1").get(f"/dicom-web/studies/{uid}/metadata", headers=header)
            assert answer.status_code == 404
        refused = AccessEvent.objects.filter(kind="refused").order_by("sequence")
        assert [event.study_uids for event in refused] == [["1.2.4"], ["1.2.5"]]

    def test_names_are_shown_to_whoever_is_shown_names(
        self, browser: Browser, app: App, make_study: MakeStudy, make_person: MakePerson
    ) -> None:
        rights = {"search": "ALL", "retrieve": "ALL"}
        CustomRole.objects.create(name="counting", title="Counting", rights=rights, withheld=["identity"])
        browser.force_login(make_person("counting"))
        mine = make_study("1.2.3", patient_id="P1")
        Patient.objects.update(patient_birth_date="19310203")
        page = browser.get(app.question(scope="patient/ImagingStudy.rs")).content.decode()
        assert "P1" in page
        app.tokens(browser, scope="patient/ImagingStudy.rs", posted={"patient": str(mine.patient_id)})
        listed = browser.get("/account/keys/").content.decode()
        assert "one patient" in listed
        for text in (page, listed):
            assert "DOE" not in text
            assert "1931" not in text

    def test_the_limit_outlives_a_refresh(self, signed_in: Browser, app: App, make_study: MakeStudy) -> None:
        mine = make_study("1.2.3", patient_id="P1")
        make_study("1.2.4", patient_id="P2")
        scope = "patient/ImagingStudy.rs user/ImagingStudy.rs"
        tokens = app.tokens(signed_in, scope=scope, posted={"patient": str(mine.patient_id)})
        assert self.studies(tokens["access_token"]) == ["1.2.3"], "the narrower scope counts"
        again = app.refresh(tokens["refresh_token"], scope="user/ImagingStudy.rs").json()
        assert again["patient"] == str(mine.patient_id)
        assert self.studies(again["access_token"]) == ["1.2.3"]

    def test_no_choice_no_code(self, signed_in: Browser, app: App, make_study: MakeStudy) -> None:
        make_study("1.2.3")
        for posted in (
            {},
            {"patient": ""},
            {"patient": "0"},
            {"patient": "-1"},
            {"patient": "x"},
            {"patient": "9" * 40},
        ):
            response = app.ask(signed_in, scope="patient/ImagingStudy.rs", posted=posted)
            assert response.status_code in (200, 400), posted
        assert not AppSession.objects.exists()

    def test_not_somebody_whom_one_may_not_see(
        self, browser: Browser, make_person: MakePerson, app: App, make_study: MakeStudy
    ) -> None:
        study = make_study("1.2.3")
        browser.force_login(make_person("referring_physician"))
        page = browser.get(app.question(scope="patient/ImagingStudy.rs")).content.decode()
        assert "DOE, JANE" not in page
        response = app.ask(browser, scope="patient/ImagingStudy.rs", posted={"patient": str(study.patient_id)})
        assert response.status_code == 400
        response = app.ask(browser, scope="patient/ImagingStudy.rs", posted={"patient_id": "P1"})
        assert response.status_code == 400
        assert not AppSession.objects.exists()

    def test_of_many_one_is_named_by_its_id(self, signed_in: Browser, app: App, make_study: MakeStudy) -> None:
        for number in range(30):
            make_study(patient_id=f"P{number}", name=f"SMITH^{number:02}")
        question = app.question(scope="patient/ImagingStudy.rs")
        page = signed_in.get(question).content.decode()
        assert "SMITH" not in page
        assert 'name="patient_id"' in page
        found = app.ask(signed_in, scope="patient/ImagingStudy.rs", posted={"patient_id": " P7 "})
        assert found.status_code == 200
        assert "SMITH, 07" in found.content.decode()
        assert "SMITH, 08" not in found.content.decode()
        wrong = app.ask(signed_in, scope="patient/ImagingStudy.rs", posted={"patient_id": "P\0"})
        assert wrong.status_code == 400

    def test_a_patient_who_is_gone_takes_the_token_along(
        self, signed_in: Browser, app: App, make_study: MakeStudy
    ) -> None:
        study = make_study("1.2.3")
        tokens = app.tokens(signed_in, scope="patient/ImagingStudy.rs", posted={"patient": str(study.patient_id)})
        study.delete()
        Patient.objects.all().delete()
        assert app.whoami(tokens["access_token"]).status_code == 401

    def test_asked_for_it_stays(self, signed_in: Browser, make_study: MakeStudy) -> None:
        """What an app asks for and may not have is left out, but never the limit: less would become more."""
        mine = make_study("1.2.3", patient_id="P1")
        make_study("1.2.4", patient_id="P2")
        for scopes in (("user/ImagingStudy.rs",), ("launch/patient", "user/ImagingStudy.rs")):
            app, asked = make_app(scopes=scopes, name=f"App of {len(scopes)}"), "launch/patient user/ImagingStudy.rs"
            tokens = app.tokens(signed_in, scope=asked, posted={"patient": str(mine.patient_id)})
            assert (tokens["scope"], tokens["patient"]) == (asked, str(mine.patient_id))
            assert self.studies(tokens["access_token"]) == ["1.2.3"]
            again = app.refresh(tokens["refresh_token"], scope=asked)
            assert (again.status_code, self.studies(again.json()["access_token"])) == (200, ["1.2.3"])

    def test_it_manages_nothing(self, browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
        """Accounts, grants and the trail are of everybody."""
        browser.force_login(make_person("administrator", "auditor"))
        study = make_study("1.2.3", patient_id="P1")
        app = make_app(scopes=("dicomweb",))
        scope = "dicomweb launch/patient"
        limited = app.tokens(browser, scope=scope, posted={"patient": str(study.patient_id)})["access_token"]
        whole = app.tokens(browser, scope="dicomweb")["access_token"]
        for path in ("/api/people", "/api/grants", "/administration/", "/administration/emergencies/", "/trail/"):
            found = [
                app.machine.get(path, headers={"Authorization": f"Bearer {token}"}).status_code
                for token in (limited, whole)
            ]
            assert found == [403, 200], path

    def test_introspection_names_the_patient(
        self, signed_in: Browser, app: App, make_study: MakeStudy, make_client: MakeClient
    ) -> None:
        study = make_study("1.2.3")
        tokens = app.tokens(signed_in, scope="patient/ImagingStudy.rs", posted={"patient": str(study.patient_id)})
        asking = make_client("technologist", secret="secret")
        set_scopes(asking, ["dicomweb"], may_introspect=True)
        found = introspect(asking, tokens["access_token"]).json()
        assert (found["active"], found["patient"]) == (True, str(study.patient_id))
        assert (found["scope"], found["username"]) == ("patient/ImagingStudy.rs", "dr.reader")
        assert (found["client_id"], found["iss"]) == (app.client.client_id, settings.PACS.public_root)
        assert found["exp"] - found["iat"] in range(890, 910)


def introspect(client: Client, token: str, *, secret: str = "secret") -> Any:  # noqa: S107
    fields = {"client_id": client.client_id, "client_secret": secret, "token": token}
    return Browser(HTTP_HOST="127.0.0.1").post("/oauth/introspect/", fields)


@pytest.mark.django_db
def test_who_may_introspect(make_client: MakeClient, make_token: Any) -> None:
    asking, other = make_client("technologist", secret="secret"), make_client("technologist", secret="secret")
    token = make_token(other)
    assert introspect(asking, token).status_code == 403
    set_scopes(asking, ["dicomweb"], may_introspect=True)
    found = introspect(asking, token)
    assert found.json() | {"exp": 0, "iat": 0} == {
        "active": True,
        "iss": settings.PACS.public_root,
        "sub": str(other.external_id),
        "username": other.name,
        "client_id": other.client_id,
        "token_type": "Bearer",
        "scope": "dicomweb",
        "iat": 0,
        "exp": 0,
    }
    assert found["Cache-Control"] == "no-store"
    for nothing in ("nonsense", make_token(other, seconds=-1), make_token(make_client("device", active=False))):
        assert introspect(asking, nothing).json() == {"active": False}
    assert introspect(asking, token, secret="wrong").status_code == 401
    assert introspect(asking, "").status_code == 400
    assert introspect(make_app().client, token, secret="").status_code == 401
    assert Browser(HTTP_HOST="127.0.0.1").post("/oauth/introspect/", {"token": token}).status_code == 401
    events = list(AccessEvent.objects.filter(kind="token_checked").values_list("principal_name", flat=True))
    assert events == [asking.name] * 4


@pytest.mark.django_db
def test_credentials_in_the_address_are_none(make_client: MakeClient, make_token: Any) -> None:
    """They would stand in logs; and the trail and the throttle would name whoever the form or the header names."""
    asking, other = make_client("technologist", secret="secret"), make_client("technologist", secret="secret")
    set_scopes(asking, ["dicomweb"], may_introspect=True)
    address = f"/oauth/introspect/?client_id={asking.client_id}&client_secret=secret"
    basic = base64.b64encode(f"{other.client_id}:wrong".encode()).decode()
    for headers in ({}, {"Authorization": f"Basic {basic}"}):
        response = Browser(HTTP_HOST="127.0.0.1").post(address, {"token": make_token(other)}, headers=headers)
        assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})
    assert not AccessEvent.objects.filter(kind="token_checked").exists()


WELL_KNOWN = ("/.well-known/smart-configuration", "/dicom-web/.well-known/smart-configuration",
              "/.well-known/oauth-authorization-server")  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("address", WELL_KNOWN)
def test_discovery(address: str) -> None:
    response = Browser(HTTP_HOST="127.0.0.1").get(address)
    found = response.json()
    root = settings.PACS.public_root
    assert (response.status_code, response["Content-Type"], found["issuer"]) == (200, "application/json", root)
    for name, route in (
        ("authorization_endpoint", "authorize"),
        ("token_endpoint", "token"),
        ("revocation_endpoint", "revoke"),
        ("introspection_endpoint", "introspect"),
    ):
        assert found[name] == root + reverse(route)
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["grant_types_supported"] == ["client_credentials", "authorization_code", "refresh_token"]
    assert "private_key_jwt" in found["token_endpoint_auth_methods_supported"]
    assert set(found["scopes_supported"]) <= set(smart.SCOPES)
    assert ("capabilities" in found) == ("smart" in address)


@pytest.mark.django_db
@pytest.mark.parametrize("address", WELL_KNOWN)
def test_discovery_is_for_apps_of_other_places(address: str, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    response = Browser(HTTP_HOST="127.0.0.1").get(address, headers={"Origin": "https://app.example"})
    assert response["Access-Control-Allow-Origin"] == "https://app.example"
    consent = Browser(HTTP_HOST="127.0.0.1").get("/oauth/authorize/", headers={"Origin": "https://app.example"})
    assert "Access-Control-Allow-Origin" not in consent
