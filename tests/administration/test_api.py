"""The JSON resources: the same rules as the pages, for programs."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from access import managers
from access.custom_roles import change_role
from access.models import Client, CustomRole, Grant, User
from access.people import set_roles
from access.roles import Permission, Scope
from administration.api_urls import urlpatterns
from archive.models import Study
from audit.bounded import bounded
from audit.models import AccessEvent
from tests.administration.conftest import SignedIn

pytestmark = pytest.mark.django_db
Machine = Callable[[str], Browser]
Newest = Callable[[str], AccessEvent]
JSON = "application/json"
# Rights are asked for first; whoever has them is told that there is none.
NONE_THERE = ("hold", "rule", "plan", "certificate", "finding")
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def rita(make_person: Callable[..., User]) -> User:
    return make_person("radiologist", username="rita")


@pytest.fixture
def program(machine: Machine) -> Browser:
    """An administrator's program."""
    return machine("administrator")


@pytest.fixture
def addresses(rita: User, make_client: Callable[..., Client], make_study: Callable[..., Study]) -> dict[str, str]:
    client = make_client("ai_vendor", name="vendor")
    grant = Grant.objects.create(study=make_study("1.2.3", patient_id="PID-77"), client=client, rights=["view"])
    CustomRole.objects.create(name="reader", title="Reader", rights={"search": "ALL"})
    things: dict[str, Any] = {
        "person": rita.external_id,
        "client": client.external_id,
        "grant": grant.pk,
        "role": "reader",
        "study": "1.2.3",
        "act": "confirm",
    }
    things |= dict.fromkeys(NONE_THERE, 1)
    return {
        str(entry.name): reverse(str(entry.name), kwargs={name: things[name] for name in entry.pattern.converters})
        for entry in urlpatterns
    }


def state() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (User, Client, Grant, CustomRole)]


def test_strangers(addresses: dict[str, str]) -> None:
    for address in addresses.values():
        for method in METHODS:
            response = getattr(Browser(HTTP_HOST="127.0.0.1"), method)(address)
            assert response.status_code == 401, (method, address)


@pytest.mark.parametrize("role", ["radiologist", "ai_vendor", "device", "referring_physician"])
def test_others(role: str, machine: Machine, addresses: dict[str, str], newest: Newest) -> None:
    program = machine(role)
    before = state()
    for address in addresses.values():
        for method in METHODS:
            response = getattr(program, method)(address, {"reason": "x"}, content_type=JSON)
            assert response.status_code in (403, 405), (method, address)
            if response.status_code == 403:
                assert response.json()["code"] == "forbidden"
                assert response["Content-Type"] == "application/problem+json"
    assert state() == before
    assert newest("refused").rule == "manage"


def test_auditors_read(machine: Machine, addresses: dict[str, str], newest: Newest) -> None:
    program = machine("auditor")
    before = state()
    for name, address in addresses.items():
        response = program.get(address)
        absent = any(f"<int:{thing}>" in str(response.resolver_match.route) for thing in NONE_THERE)
        assert response.status_code in (404 if absent else 200, 405), name
        if response.status_code == 200:
            assert newest("search").path == f"/{response.resolver_match.route}"
            assert response["Cache-Control"] == "no-store"
        for method in METHODS[1:]:
            assert getattr(program, method)(address, {}, content_type=JSON).status_code in (403, 405), (method, name)
    assert state() == before
    grant = program.get(addresses["api-grant"]).json()
    assert (grant["study"], grant["what"]) == ("1.2.3", "a patient")


def test_a_session_needs_our_own_pages(as_role: SignedIn, rita: User) -> None:
    window = as_role("administrator", checks=True)
    address = f"/api/people/{rita.external_id}"
    form = {"first_name": "Eve"}
    evil = window.patch(address, form, content_type=JSON, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    assert window.patch(address, form, content_type=JSON).status_code == 403
    ours = window.patch(address, form, content_type=JSON, headers={"Origin": "http://127.0.0.1"})
    assert ours.status_code == 200


class TestPeople:
    def test_make_look_change_end(self, program: Browser, newest: Newest) -> None:
        sent = {
            "username": "nora",
            "first_name": "Nora",
            "roles": ["nurse"],
            "limits": {"nurse": {"kind": "department", "values": ["Ward 3"]}},
            "reason": "Starts on Monday",
        }
        made = program.post("/api/people", sent, content_type=JSON)
        assert made.status_code == 201
        user = User.objects.get(username="nora")
        assert user.check_password(made.json()["password"])
        event = newest("roles_changed")
        assert (event.principal_kind, event.purpose) == ("client", "Starts on Monday")
        address = f"/api/people/{user.external_id}"
        found = program.get(address).json()
        assert "password" not in found
        assert found["roles"][0]["limit"] == {"kind": "department", "values": ["Ward 3"]}
        assert [each["username"] for each in program.get("/api/people?show=active&role=nurse").json()] == ["nora"]
        assert program.get("/api/people?offset=1").json() == []

        changed = program.patch(address, {"roles": ["nurse", "auditor"], "reason": "x"}, content_type=JSON).json()
        assert [role["name"] for role in changed["roles"]] == ["auditor", "nurse"]
        assert changed["roles"][1]["limit"] is not None
        changed = program.patch(address, {"is_active": False, "reason": "Leaves"}, content_type=JSON).json()
        assert changed["is_active"] is False
        assert program.patch(address, {"is_active": True, "reason": "Back"}, content_type=JSON).json()["is_active"]
        again = program.post(f"{address}/password")
        user.refresh_from_db()
        assert user.check_password(again.json()["password"])
        ended = program.post(f"{address}/termination", {"reason": "Gone"}, content_type=JSON)
        assert ended.json()["is_active"] is False

    def test_tricks_are_ignored(self, program: Browser, rita: User) -> None:
        tricks = {"is_superuser": True, "is_staff": True, "id": "x", "username": "root", "password": "x", "tenant": "2"}
        before = User.objects.values().get(pk=rita.pk)
        response = program.patch(f"/api/people/{rita.external_id}", tricks, content_type=JSON)
        assert response.status_code == 200
        assert User.objects.values().get(pk=rita.pk) == before
        made = {"username": "eve", "roles": ["nurse"], **tricks} | {"username": "eve"}
        assert program.post("/api/people", made, content_type=JSON).status_code == 201
        eve = User.objects.get(username="eve")
        assert (eve.is_superuser, eve.is_staff, eve.check_password("x")) == (False, False, False)

    def test_names_are_equal_in_any_letters(self, program: Browser) -> None:
        """What is written in wide letters is kept in plain ones (NFKC)."""
        statuses = {
            "ｎｏｒａ": 201,
            "ＮＯＲＡ": 409,
            "nora": 409,
            "ﷺ": 409,  # a word in plain letters with spaces
            "ﷺ" * 150: 409,
        }
        for name, status in statuses.items():
            made = program.post("/api/people", {"username": name, "roles": ["nurse"]}, content_type=JSON)
            assert made.status_code == status, name
        assert list(User.objects.values_list("username", flat=True)) == ["nora"]

    def test_who_takes_the_right_to_manage_waits_in_turn(self, make_person: Callable[..., User]) -> None:
        """Else one changes the role of the last but one while another takes the role of the last."""
        role = CustomRole.objects.create(name="boss", title="Boss", rights={"manage": "ALL"})
        make_person("administrator")
        other = make_person("administrator")
        changes: tuple[Callable[[], object], ...] = (
            lambda: set_roles(other, ["boss"]),
            lambda: change_role(role, "Boss", {Permission.SEARCH: Scope.ALL}),
        )
        with psycopg.connect(**connection.get_connection_params()) as somebody:
            somebody.execute("SELECT pg_advisory_xact_lock(%s)", [managers._LOCK])
            for change in changes:
                with pytest.raises(OperationalError), transaction.atomic(), bounded(lock_seconds=0.2):
                    change()
            somebody.rollback()
        for change in changes:
            change()

    def test_own_roles_stay(self, as_role: SignedIn, make_person: Callable[..., User]) -> None:
        window = as_role("administrator", username="mara")
        make_person("administrator")
        mara = User.objects.get(username="mara")
        address = f"/api/people/{mara.external_id}"
        for method, path, sent in (
            ("patch", address, {"roles": ["administrator", "radiologist"], "reason": "x"}),
            ("patch", address, {"is_active": False, "reason": "x"}),
            ("post", f"{address}/termination", {"reason": "x"}),
            ("post", f"{address}/password", {}),
        ):
            response = getattr(window, method)(path, sent, content_type=JSON)
            assert (response.status_code, response.json()["code"]) == (409, "conflict"), (path, sent)
        assert list(mara.roles.values_list("role", flat=True)) == ["administrator"]

    def test_the_last_manager_stays(self, program: Browser, make_person: Callable[..., User]) -> None:
        last = make_person("administrator")
        address = f"/api/people/{last.external_id}"
        for sent in ({"is_active": False}, {"roles": ["nurse"]}):
            assert program.patch(address, {**sent, "reason": "x"}, content_type=JSON).status_code == 409
        assert program.post(f"{address}/termination", {"reason": "x"}, content_type=JSON).status_code == 409
        last.refresh_from_db()
        assert last.is_active

    def test_all_or_nothing(self, as_role: SignedIn, program: Browser, make_person: Callable[..., User]) -> None:
        last = make_person("administrator")
        sent = {"first_name": "Eve", "roles": ["administrator", "nurse"], "is_active": False, "reason": "x"}
        response = program.patch(f"/api/people/{last.external_id}", sent, content_type=JSON)
        assert response.status_code == 409
        assert list(last.roles.values_list("role", flat=True)) == ["administrator"]

    @pytest.mark.parametrize(
        "sent",
        [
            {},
            {"username": "a b", "roles": ["nurse"]},
            {"username": "x", "roles": []},
            {"username": "x", "roles": ["king"]},
            {"username": "x", "roles": "nurse"},
            {"username": "x\0", "roles": ["nurse"]},
            {"username": "x", "roles": ["nurse"], "limits": {"nurse": {"kind": "moon", "values": ["x"]}}},
            {"username": "x", "roles": ["nurse"], "limits": {"nurse": []}},
            {"username": "x", "roles": ["nurse"], "email": "nowhere"},
            [],
            "text",
            None,
        ],
    )
    def test_bad_input(self, program: Browser, sent: Any) -> None:
        response = program.post("/api/people", sent, content_type=JSON)
        assert response.status_code == 400, response.content
        assert response["Content-Type"] == "application/problem+json"
        assert not User.objects.exists()

    def test_a_reason_is_needed(self, program: Browser, rita: User) -> None:
        response = program.patch(f"/api/people/{rita.external_id}", {"roles": ["nurse"]}, content_type=JSON)
        assert (response.status_code, response.json()["detail"]) == (400, "reason: say why")

    def test_broken_bodies(self, program: Browser, rita: User) -> None:
        address = f"/api/people/{rita.external_id}"
        assert program.patch(address, "{", content_type=JSON).status_code == 400
        assert program.patch(address, "<a/>", content_type="text/xml").status_code == 415
        assert program.put(address, {}, content_type=JSON).status_code == 405
        for query in ("show=all", "limit=0", "limit=x", "offset=-1", "limit=100000"):
            assert program.get(f"/api/people?{query}").status_code == 400, query

    def test_who_was_away_from_the_desk_is_asked_again(self, as_role: SignedIn, rita: User) -> None:
        window = as_role("administrator")
        session = window.session
        session["proved_at"] = 0
        session.save()
        sent = {"roles": ["nurse"], "reason": "x"}
        headers = {"Accept": "application/json"}
        response = window.patch(f"/api/people/{rita.external_id}", sent, content_type=JSON, headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "confirmation-needed")
        assert list(rita.roles.values_list("role", flat=True)) == ["radiologist"]


class TestClients:
    def test_make_change_rotate(self, program: Browser) -> None:
        made = program.post("/api/clients", {"name": "gateway", "role": "technologist"}, content_type=JSON).json()
        address = f"/api/clients/{made['id']}"
        limit = {"kind": "site", "values": ["North"]}
        sent = {"role": "ai_vendor", "limit": limit, "is_active": False, "reason": "Pilot"}
        changed = program.patch(address, sent, content_type=JSON).json()
        assert (changed["role"], changed["limit"], changed["is_active"]) == ("ai_vendor", limit, False)
        assert program.post(f"{address}/secret").json()["secret"] != made["secret"]
        assert "secret" not in program.get(address).json()
        device = program.post("/api/clients", {"kind": "device", "name": "CT", "ae_title": "CT"}, content_type=JSON)
        assert device.json()["secret"].startswith("lbk_")
        assert program.post(f"/api/clients/{device.json()['id']}/secret").status_code == 404
        app = {"kind": "app", "name": "viewer", "redirect_uris": ["https://viewer.example/back"], "public": True}
        assert program.post("/api/clients", app, content_type=JSON).json()["secret"] == ""
        assert {each["kind"] for each in program.get("/api/clients").json()} == {"machine", "device", "app"}

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            ({"name": "x"}, 400),
            ({"name": "x", "role": "king"}, 400),
            ({"name": "", "role": "device"}, 400),
            ({"name": "x", "kind": "device"}, 400),
            ({"name": "x", "kind": "device", "ae_title": "a\\b"}, 400),
            ({"name": "x", "kind": "app", "redirect_uris": ["ftp://x"]}, 400),
            ({"name": "x", "kind": "app", "redirect_uris": ["https://x.example/"], "scopes": ["all"]}, 400),
            ({"name": "TAKEN", "role": "device"}, 409),
        ],
    )
    def test_bad_input(self, program: Browser, make_client: Any, sent: Any, status: int) -> None:
        make_client("device", name="taken")
        before = Client.objects.count()
        response = program.post("/api/clients", sent, content_type=JSON)
        assert response.status_code == status, response.content
        assert Client.objects.count() == before

    def test_its_own_role_stays(self, program: Browser) -> None:
        client = Client.objects.get()
        sent = {"role": "radiologist", "reason": "x"}
        address = f"/api/clients/{client.external_id}"
        assert program.patch(address, sent, content_type=JSON).status_code == 409
        assert program.patch(address, {"is_active": False, "reason": "x"}, content_type=JSON).status_code == 409


class TestGrants:
    def test_make_and_end(self, program: Browser, addresses: dict[str, str], newest: Newest) -> None:
        until = (timezone.now() + timedelta(days=2)).isoformat()
        sent = {"holder": "rita", "study": "1.2.3", "rights": ["view", "download"], "until": until}
        made = program.post("/api/grants", sent, content_type=JSON).json()
        assert (made["holder"], made["reach"], made["open"]) == ("rita", "study", True)
        assert made["rights"] == ["download", "view"]
        assert newest("user_changed").study_uids == ["1.2.3"]
        assert [each["id"] for each in program.get("/api/grants?holder=rita&state=open").json()] == [made["id"]]
        assert program.delete(f"/api/grants/{made['id']}").status_code == 204
        assert program.get(f"/api/grants/{made['id']}").json()["open"] is False
        by_patient = {"holder": "vendor", "patient_id": "PID-77", "rights": ["view"]}
        assert program.post("/api/grants", by_patient, content_type=JSON).json()["reach"] == "patient"

    @pytest.mark.parametrize(
        "wrong",
        [
            {"holder": "nobody"},
            {"study": "9.9.9"},
            {"study": "x"},
            {"series": "1.2"},
            {"rights": []},
            {"rights": ["all"]},
            {"until": "2001-01-01T00:00:00Z"},
            {"until": "soon"},
        ],
    )
    def test_bad_input(self, program: Browser, addresses: dict[str, str], wrong: dict[str, Any]) -> None:
        sent = {"holder": "rita", "study": "1.2.3", "rights": ["view"], **wrong}
        response = program.post("/api/grants", sent, content_type=JSON)
        assert response.status_code == 400, response.content
        assert Grant.objects.count() == 1

    def test_no_patient_is_named_in_errors(self, program: Browser, addresses: dict[str, str]) -> None:
        sent = {"holder": "rita", "patient_id": "MARKER-4711", "issuer": "MARKER", "rights": ["view"]}
        response = program.post("/api/grants", sent, content_type=JSON)
        assert response.status_code == 400
        assert b"MARKER" not in response.content
        assert program.get(f"/api/grants/{10**30}").status_code == 404


class TestRoles:
    def test_make_change_delete(self, program: Browser) -> None:
        sent = {"name": "helper", "title": "Helper", "rights": {"search": "limited"}, "withheld": ["contact"]}
        made = program.post("/api/roles", sent, content_type=JSON).json()
        assert made == {**sent, "own": True, "holders": 0}
        changed = program.patch("/api/roles/helper", {"title": "Aide"}, content_type=JSON).json()
        assert changed == {**made, "title": "Aide"}
        listed = {each["name"]: each for each in program.get("/api/roles").json()}
        assert listed["nurse"]["rights"]["search"] == "limited"
        assert listed["administrator"]["holders"] == 1
        assert program.get("/api/roles/nurse").json()["own"] is False
        assert program.delete("/api/roles/helper").status_code == 204
        for method in ("get", "patch", "delete"):
            assert getattr(program, method)("/api/roles/helper").status_code == 404
        for method in ("patch", "delete"):
            assert getattr(program, method)("/api/roles/nurse").status_code == 404

    @pytest.mark.parametrize(
        ("wrong", "status"),
        [
            ({"name": "Big Name"}, 400),
            ({"rights": {"fly": "all"}}, 400),
            ({"rights": {"search": "moon"}}, 400),
            ({"rights": {}}, 409),
            ({"withheld": ["soul"]}, 400),
            ({"name": "nurse"}, 409),
        ],
    )
    def test_bad_input(self, program: Browser, wrong: dict[str, Any], status: int) -> None:
        sent = {"name": "helper", "title": "Helper", "rights": {"search": "limited"}, **wrong}
        assert program.post("/api/roles", sent, content_type=JSON).status_code == status
        assert not CustomRole.objects.exists()


class TestParts:
    """What is there all the time is in one of the parts, whatever comes and goes between them."""

    def test_people_and_clients(self, program: Browser, make_person: Callable[..., User]) -> None:
        for name in ("b", "d", "f"):
            make_person("nurse", username=name)
        first = program.get("/api/people?limit=2").json()
        assert [each["username"] for each in first] == ["b", "d"]
        User.objects.filter(username="b").update(username="z")
        make_person("nurse", username="a")
        rest = program.get(f"/api/people?limit=2&after={first[-1]['id']}").json()
        assert [each["username"] for each in rest] == ["f", "z"]
        clients = program.get("/api/clients").json()
        assert program.get(f"/api/clients?after={clients[-1]['id']}").json() == []
        for path in ("people", "clients"):
            unknown = program.get(f"/api/{path}?after=00000000-0000-0000-0000-000000000000")
            assert (unknown.status_code, unknown.json()["detail"]) == (400, "after: there is none of this id")
            assert program.get(f"/api/{path}?after=1").status_code == 400

    def test_grants(self, program: Browser, make_person: Callable[..., User], make_study: Callable[..., Any]) -> None:
        rita = make_person("referring_physician", username="rita")
        made = [Grant.objects.create(user=rita, study=make_study()).pk for _ in range(4)]
        first = program.get("/api/grants?limit=2&state=open").json()
        assert [each["id"] for each in first] == made[:1:-1]
        # One of the first part ends: counted rows would leave the next one out.
        Grant.objects.filter(pk=made[3]).update(valid_until=timezone.now())
        rest = program.get(f"/api/grants?limit=2&state=open&after={made[2]}").json()
        assert [each["id"] for each in rest] == made[1::-1]
