"""Every page of the administration: who may open it, and its event."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from access.models import Client, CustomRole, Grant, User
from administration.sections import SECTIONS
from administration.urls import urlpatterns
from archive.models import Study
from audit.models import AccessEvent
from tests.administration.conftest import SignedIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def addresses(
    make_person: Callable[..., User], make_client: Callable[..., Client], make_study: Callable[..., Study]
) -> dict[str, str]:
    """A real address for each named page."""
    person, client = make_person("radiologist", username="rita"), make_client("ai_vendor", name="vendor")
    grant = Grant.objects.create(
        study=make_study(), client=client, rights=["view"], valid_until=timezone.now() + timedelta(days=1)
    )
    nobody = "00000000-0000-0000-0000-000000000000"
    CustomRole.objects.create(name="reader", title="Reader", rights={"search": "ALL"})
    things: dict[str, Any] = {
        "person": person.external_id,
        "client": client.external_id,
        "grant_id": grant.pk,
        "role": "reader",
        **dict.fromkeys(("hold_id", "rule_id", "plan_id", "certificate_id", "finding_id"), 0),
        "act": "end",
    }
    return {
        str(entry.name): reverse(
            str(entry.name), kwargs={name: things.get(name, nobody) for name in entry.pattern.converters}
        )
        for entry in urlpatterns
    }


def test_strangers_are_sent_to_the_sign_in(as_role: SignedIn, addresses: dict[str, str]) -> None:
    for address in addresses.values():
        for method in ("get", "post"):
            response = getattr(as_role(), method)(address)
            assert response.status_code == 302, address
            assert response["Location"].startswith("/accounts/login/"), address


@pytest.mark.parametrize("role", ["radiologist", "technologist", "nurse", "patient", "referring_physician"])
def test_others_are_refused_and_it_is_written_down(role: str, as_role: SignedIn, addresses: dict[str, str]) -> None:
    window = as_role(role)
    for address in addresses.values():
        for method in ("get", "post"):
            before = AccessEvent.objects.filter(kind="refused").count()
            response = getattr(window, method)(address)
            assert response.status_code in (403, 405), (method, address)
            if response.status_code == 403:
                assert AccessEvent.objects.filter(kind="refused").count() == before + 1, (method, address)


def test_auditors_look_and_change_nothing(as_role: SignedIn, addresses: dict[str, str]) -> None:
    window = as_role("auditor")
    for section in SECTIONS:
        response = window.get(addresses[section.address])
        assert response.status_code == 200, section
        text = response.content.decode().partition('id="content"')[2]
        assert text.count("<form") == text.count('role="search"'), section
    for name in ("administration-person", "administration-client"):
        text = window.get(addresses[name]).content.decode().partition('id="content"')[2]
        assert "<form" not in text, name
    before = list(User.objects.values()), list(Client.objects.values()), list(Grant.objects.values())
    for name, address in addresses.items():
        status = window.post(address).status_code
        assert status in (403, 405) or name in {each.address for each in SECTIONS}, name
    after = list(User.objects.values()), list(Client.objects.values()), list(Grant.objects.values())
    assert before == after


def test_every_page_leaves_its_event_before_it_is_shown(manager: Browser, addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        before = AccessEvent.objects.count()
        response = manager.get(address)
        assert response.status_code in (200, 404, 405), name
        if response.status_code == 200:
            events = list(AccessEvent.objects.order_by("-sequence")[: AccessEvent.objects.count() - before])
            assert [event.principal_name for event in events] == ["mara"], name
            assert (events[0].rule, events[0].path) == ("manage", f"/{response.resolver_match.route}")
            assert response["Cache-Control"] == "no-store", name


def test_the_menu_names_the_page_that_is_shown(manager: Browser, addresses: dict[str, str]) -> None:
    for section in SECTIONS:
        assert 'aria-current="page"' in manager.get(addresses[section.address]).content.decode(), section
    known = {entry.name for entry in urlpatterns}
    assert {name for section in SECTIONS for name in (section.address, *section.below)} <= known


def test_forms_of_other_sites_are_refused(as_role: SignedIn, addresses: dict[str, str]) -> None:
    window = as_role("administrator", checks=True)
    for name, address in addresses.items():
        response = window.post(address, {"reason": "x"}, headers={"Origin": "https://evil.example"})
        assert response.status_code == 403, name


def test_what_nobody_has_is_404(manager: Browser) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    for kind in ("people", "clients"):
        assert manager.get(f"/administration/{kind}/{nobody}/").status_code == 404
    for method, address in (
        ("post", f"/administration/people/{nobody}/off"),
        ("post", f"/administration/clients/{nobody}/secret"),
        ("post", f"/administration/sessions/{nobody}/end"),
        ("post", f"/administration/grants/{10**30}/end"),
        ("get", "/administration/people/1/"),
    ):
        assert getattr(manager, method)(address).status_code == 404, address


def test_the_bar_leads_here_for_those_who_may(as_role: SignedIn) -> None:
    assert 'href="/administration/"' in as_role("administrator").get("/administration/").content.decode()
    assert 'href="/administration/"' not in as_role("radiologist").get("/").content.decode()
