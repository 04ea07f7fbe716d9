"""The pages about clients and the roles of the house's own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from access.models import Client, CustomRole, User
from audit.models import AccessEvent

pytestmark = pytest.mark.django_db
Newest = Callable[[str], AccessEvent]
CLIENTS = "/administration/clients/"
MACHINE = {"name": "gateway", "kind": "machine", "role": "technologist"}
DEVICE = {"name": "CT 1", "kind": "device", "ae_title": "CT_1"}
APP = {
    "name": "viewer",
    "kind": "app",
    "redirect_uris": "https://viewer.example/back",
    "scopes": ["user/ImagingStudy.rs"],
}


def text(response: Any) -> str:
    found: str = response.content.decode()
    return found


def once(response: Any) -> list[str]:
    """What is shown once."""
    parts = text(response).split('<div class="copied"><input id="once')[1:]
    return [part.partition('value="')[2].partition('"')[0] for part in parts]


def page_of(client: Client) -> str:
    return f"{CLIENTS}{client.external_id}/"


def whoami(token: str) -> int:
    return Browser(HTTP_HOST="127.0.0.1").get("/api/whoami", headers={"Authorization": f"Bearer {token}"}).status_code


def token_of(client_id: str, secret: str) -> Any:
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return Browser(HTTP_HOST="127.0.0.1").post("/oauth/token/", fields)


def test_there_are_none_yet(manager: Browser) -> None:
    assert "no clients yet" in text(manager.get(CLIENTS))


def test_a_machine_gets_a_token_with_what_is_shown_once(manager: Browser, newest: Newest) -> None:
    response = manager.post(CLIENTS + "new", MACHINE)
    client_id, secret = once(response)
    assert (response.status_code, response["Cache-Control"]) == (201, "no-store")
    client = Client.objects.get(name="gateway")
    assert newest("user_changed").principal_name == "mara"
    token = token_of(client_id, secret).json()["access_token"]
    assert whoami(token) == 200
    shown = text(manager.get(page_of(client)))
    assert "1 token good now" in shown
    assert secret not in shown

    _, other = once(manager.post(page_of(client) + "secret"))
    assert other != secret
    assert (whoami(token), token_of(client_id, secret).status_code) == (401, 401)
    assert token_of(client_id, other).status_code == 200
    assert secret not in str(list(AccessEvent.objects.values()))


def test_a_device_has_keys_that_are_revoked_one_by_one(manager: Browser) -> None:
    (key,) = once(manager.post(CLIENTS + "new", DEVICE))
    client = Client.objects.get(ae_title="CT_1")
    (second,) = once(manager.post(page_of(client) + "keys/new"))
    assert (whoami(key), whoami(second)) == (200, 200)
    first = client.api_keys.order_by("pk")[0]
    manager.post(f"{page_of(client)}keys/{first.external_id}/revoke")
    assert (whoami(key), whoami(second)) == (401, 200)
    assert manager.post(page_of(client) + "secret").status_code == 404


def test_an_app(manager: Browser) -> None:
    assert len(once(manager.post(CLIENTS + "new", {**APP, "public": "on"}))) == 1
    client = Client.objects.get(name="viewer")
    shown = text(manager.get(page_of(client)))
    assert "https://viewer.example/back" in shown
    assert page_of(client) + "secret" not in shown
    assert "user/ImagingStudy.rs" in shown
    response = manager.post(page_of(client) + "role", {"role": "administrator", "reason": "x"}, follow=True)
    assert "no role of its own" in text(response)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({**MACHINE, "role": ""}, "This is needed"),
        ({**MACHINE, "role": "king"}, "king"),
        ({**MACHINE, "name": ""}, "required"),
        ({**MACHINE, "name": "Taken"}, "taken"),
        ({**DEVICE, "ae_title": ""}, "needed"),
        ({**DEVICE, "ae_title": "a\\b"}, "16 characters"),
        ({**APP, "redirect_uris": "http://viewer.example/"}, "https"),
        ({**APP, "redirect_uris": "javascript:alert(1)"}, "redirect address"),
        ({**APP, "scopes": ["everything"]}, "everything"),
    ],
)
def test_what_was_typed_stays(
    manager: Browser, make_client: Callable[..., Client], form: dict[str, Any], words: str
) -> None:
    make_client("device", name="taken")
    response = manager.post(CLIENTS + "new", form)
    assert response.status_code == 400
    assert words in text(response)
    assert f'value="{form["name"]}"' in text(response)
    assert Client.objects.count() == 1


def test_role_and_limit(manager: Browser, make_client: Callable[..., Client], newest: Newest) -> None:
    client = make_client("ai_vendor", name="vendor")
    form = {"role": "technologist", "limit_kind": "site", "limit_values": "North", "reason": "Pilot"}
    manager.post(page_of(client) + "role", form)
    client.refresh_from_db()
    assert (client.role, client.limit_kind, client.limit_values) == ("technologist", "site", ["North"])
    event = newest("roles_changed")
    assert event.outcome_description.endswith("has now technologist (site: North); had ai_vendor")
    assert event.purpose == "Pilot"
    for wrong in ({"limit_values": ""}, {"reason": ""}, {"role": "king"}, {"limit_kind": "x"}, {"limit_kind": ""}):
        assert manager.post(page_of(client) + "role", {**form, **wrong}).status_code == 400, wrong


def test_off_on_and_the_end(manager: Browser, make_client: Callable[..., Client], make_token: Any) -> None:
    client = make_client("device", name="scanner")
    token = make_token(client)
    assert whoami(token) == 200
    for address in ("off", "on"):
        manager.post(page_of(client) + address)
        assert whoami(token) == 401
    token = make_token(client)
    assert whoami(token) == 200
    assert manager.post(page_of(client) + "leave", {"reason": ""}).status_code == 400
    manager.post(page_of(client) + "leave", {"reason": "Scrapped"})
    manager.post(page_of(client) + "on")
    assert whoami(token) == 401


class TestCustomRoles:
    NEW = {"name": "assistant", "title": "Assistant", "search": "ALL", "retrieve": "LIMITED", "withheld": ["contact"]}

    def test_make_give_change_delete(self, manager: Browser, make_person: Callable[..., User], newest: Newest) -> None:
        manager.post("/administration/roles/new", self.NEW)
        role = CustomRole.objects.get()
        assert (role.rights, role.withheld) == ({"search": "ALL", "retrieve": "LIMITED"}, ["contact"])
        assert "Assistant" in text(manager.get("/administration/roles/"))
        person = make_person("radiologist", username="rita")
        manager.post(f"/administration/people/{person.external_id}/roles", {"roles": ["assistant"], "reason": "x"})
        assert list(person.roles.values_list("role", flat=True)) == ["assistant"]
        response = manager.post("/administration/roles/assistant/delete", follow=True)
        assert "have this role" in text(response)
        manager.post("/administration/roles/assistant/", {"title": "Helper", "search": "LIMITED"})
        role.refresh_from_db()
        assert (role.title, role.rights) == ("Helper", {"search": "LIMITED"})
        assert newest("roles_changed").principal_name == "mara"
        person.roles.all().delete()
        manager.post("/administration/roles/assistant/delete")
        assert not CustomRole.objects.exists()

    @pytest.mark.parametrize(
        "wrong",
        [{"name": "Big Name"}, {"name": "nurse"}, {"title": ""}, {"search": "SOME"}, {"search": "", "retrieve": ""},
         {"manage": "LIMITED"}, {"search": "LIMITED", "retrieve": "ALL"}, {"withheld": ["soul"]}],
    )  # fmt: skip
    def test_what_can_not_be(self, manager: Browser, wrong: dict[str, Any]) -> None:
        response = manager.post("/administration/roles/new", {**self.NEW, **wrong})
        assert response.status_code == 400
        assert 'role="alert"' in text(response)
        assert not CustomRole.objects.exists()

    def test_built_in_ones_are_not_changed(self, manager: Browser) -> None:
        for address in ("/administration/roles/nurse/", "/administration/roles/nurse/delete"):
            assert manager.post(address, self.NEW).status_code == 404
