"""What opens records to others, or takes a mark away, asks again who sits there; machines act by their scopes alone."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client as Browser

from access.acting import Acting
from access.api_keys import Wish, make_key
from access.marking import restrict
from access.models import Grant, Restriction, ShareLink, User
from access.restriction_models import Mark
from access.step_up import RECENT_SECONDS
from archive.models import Study
from tests.administration.conftest import SignedIn

pytestmark = pytest.mark.django_db
JSON = "application/json"
GRANT = {"holder": "rita", "study": "1.2.3", "rights": ["view"]}
MARK = {"mark": "vip", "reach": "study", "study": "1.2.3", "reason": "a well-known person"}
SHARE = {"recipient": "Dr. R", "purpose": "Second opinion", "days": "7", "pin": "on"}


@pytest.fixture
def study(make_study: Callable[..., Study], make_person: Callable[..., User]) -> Study:
    make_person("referring_physician", username="rita")
    return make_study("1.2.3")


def aged(window: Browser, seconds: float = RECENT_SECONDS + 1) -> Browser:
    """Whoever sits there proved it too long ago."""
    session = window.session
    session["proved_at"] -= seconds
    session.save()
    return window


def asks(response: Any, onward: str) -> bool:
    """Whether the answer leads to the page that asks, and from there on."""
    found = urlsplit(response.get("Location", ""))
    return (response.status_code, found.path, parse_qs(found.query).get("next")) == (302, "/account/confirm", [onward])


class TestGrants:
    def test_the_page(self, manager: Browser, study: Study) -> None:
        address = "/administration/grants/new"
        assert manager.get(address).status_code == 200
        aged(manager)
        assert asks(manager.get(f"{address}?for=x"), f"{address}?for=x")
        sent = manager.post(address, GRANT | {"reach": "study"}, headers={"referer": f"http://127.0.0.1{address}"})
        assert asks(sent, address)
        assert not Grant.objects.exists()

    def test_programs(self, manager: Browser, machine: Callable[[str], Browser], study: Study) -> None:
        refused = aged(manager).post("/api/grants", GRANT, content_type=JSON, headers={"accept": JSON})
        assert (refused.status_code, refused.json()["code"]) == (403, "confirmation-needed")
        _, key = make_key(User.objects.get(username="mara"), Wish(name="script"), Acting())
        by_key = Browser(HTTP_HOST="127.0.0.1", HTTP_AUTHORIZATION=f"Bearer {key}")
        refused = by_key.post("/api/grants", GRANT, content_type=JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "confirmation-needed")
        assert not Grant.objects.exists()
        made = machine("administrator").post("/api/grants", GRANT, content_type=JSON)
        assert made.status_code == 201
        # What is ended opens nothing: that asks nobody.
        assert manager.delete(f"/api/grants/{made.json()['id']}").status_code == 204


def test_marks(manager: Browser, study: Study) -> None:
    address = "/administration/restrictions/"
    assert manager.post(f"{address}new", MARK).status_code == 302
    assert Restriction.objects.active().count() == 1
    aged(manager)
    assert asks(manager.get(f"{address}new"), f"{address}new")
    assert asks(manager.post(f"{address}new", MARK), "/")
    sent = {"id": Restriction.objects.get().pk}
    assert asks(manager.post(f"{address}end", sent, headers={"referer": f"http://127.0.0.1{address}"}), address)
    assert Restriction.objects.active().count() == 1


def test_a_link_that_opens_more_than_looking(as_role: SignedIn, study: Study) -> None:
    reader = aged(as_role("radiologist"))
    form = reader.get("/sharing/1.2.3/").content.decode()
    assert "/account/confirm?next=%2Fsharing%2F1.2.3%2F" in form
    assert 'name="download" disabled' in form
    for right in ("download", "annotate"):
        assert asks(reader.post("/sharing/1.2.3/", SHARE | {right: "on"}), "/")
    assert not ShareLink.objects.exists()
    assert reader.post("/sharing/1.2.3/", SHARE).status_code == 201
    aged(reader, -RECENT_SECONDS)
    assert "disabled" not in reader.get("/sharing/1.2.3/").content.decode()
    assert reader.post("/sharing/1.2.3/", SHARE | {"download": "on", "annotate": "on"}).status_code == 201
    assert Grant.objects.latest("pk").rights == ["annotate", "download", "view"]


def test_nobody_is_offered_to_pass_on_what_they_may_not(as_role: SignedIn, study: Study) -> None:
    patient = as_role("patient", username="pat")
    Grant.objects.create(user=User.objects.get(username="pat"), patient=study.patient)
    form = patient.get("/sharing/1.2.3/").content.decode()
    assert 'name="download"' in form
    assert 'name="annotate"' not in form
    assert patient.post("/sharing/1.2.3/", SHARE | {"annotate": "on", "download": "on"}).status_code == 201
    assert Grant.objects.latest("pk").rights == ["download", "view"]


def test_unmarking_counts_once(manager: Browser, study: Study) -> None:
    made = restrict(study, Mark.VIP, "a well-known person").restriction
    for _ in range(2):
        assert manager.post("/administration/restrictions/end", {"id": made.pk}).status_code == 302
    assert not Restriction.objects.active().exists()
