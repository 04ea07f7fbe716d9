"""The pages as an administrator meets them: by keyboard, on desk and phone, light and dark, under the strict policy."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.acting import COMMAND_LINE
from access.clients import create_device
from access.models import Client, CustomRole, User
from access.people import set_roles
from administration.sections import SECTIONS
from archive.models import Study
from tests.administration.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
STICKS_OUT = """() => [...document.querySelectorAll('main *, header *')]
  .filter(each => each.getBoundingClientRect().right > window.innerWidth + 1 && !each.closest('.hidden'))
  .map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture(params=["light", "dark", "no-script"])
def page(
    request: pytest.FixtureRequest, chromium: str, monkeypatch: pytest.MonkeyPatch, complaints: list[str]
) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    scheme: Literal["light", "dark"] = "dark" if request.param == "dark" else "light"
    script = request.param != "no-script"
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context(color_scheme=scheme, java_script_enabled=script).new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        chrome.close()


@pytest.fixture
def complaints() -> list[str]:
    return []


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there."""
    for _ in range(150):
        if page.locator(f"{selector}:focus").count():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} can't be reached by keyboard")


def test_an_afternoon_of_an_administrator(
    page: Page,
    complaints: list[str],
    live_server: LiveServer,
    make_person: Callable[..., User],
    make_client: Callable[..., Client],
    make_study: Callable[..., Study],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    make_person("administrator", username="mara", password=PASSWORD)
    rita = make_person("radiologist", "technologist", username="rita")
    rita.first_name, rita.last_name, rita.email = "Rita", "Reader", "rita.reader@hospital.example"
    rita.save()
    set_roles(rita, ["radiologist"], reason="Leaves the modality team")
    make_person("nurse", username="nora.nightingale@hospital.example", active=False)
    study = make_study(description := "1.2.826.0.1.3680043.8.498.4711", patient_id="P4711")
    make_client("ai_vendor", name="Lung nodule finder")
    create_device("CT, ground floor", "CT_GROUND", by=COMMAND_LINE)
    CustomRole.objects.create(name="assistant", title="Cardiology assistant", rights={"search": "LIMITED"})
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    scheme = request.node.callspec.params["page"]
    assert study.study_instance_uid == description

    def look(name: str) -> None:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            if scheme != "no-script":
                page.screenshot(path=folder / f"administration-{name}-{width}-{scheme}.png", full_page=True)
                assert page.evaluate(STICKS_OUT) == [], (name, width)

    def save(form: str) -> None:
        page.locator(f"form[action$='{form}'] button").last.press("Enter")
        page.wait_for_load_state()

    page.goto(live_server.url + "/administration/")
    page.fill("#username", "mara")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("h1:has-text('Overview')")
    for section in SECTIONS:
        page.locator(".menu a", has_text=section.title).press("Enter")
        page.wait_for_selector(".menu a[aria-current=page]")
        look(section.title.lower().replace(" ", "-"))

    page.goto(live_server.url + "/administration/people/new")
    look("person-new")
    tab_to(page, "#username")
    page.keyboard.insert_text("no spaces please")
    tab_to(page, "input[name=roles][value=referring_physician]")
    page.keyboard.press("Space")
    tab_to(page, "#reason")
    page.keyboard.insert_text("New practice, ticket 12")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert page.locator("#username").input_value() == "no spaces please"
    assert page.locator("input[value=referring_physician]").is_checked()
    look("person-new-wrong")
    page.fill("#username", "dr.example")
    page.press("#username", "Enter")
    page.wait_for_selector("text=shown this once")
    assert len(page.locator("#secret").input_value()) >= 20
    look("password")

    page.get_by_role("link", name="Go to dr.example").press("Enter")
    page.wait_for_selector("h1:has-text('dr.example')")
    page.get_by_role("link", name="New grant").press("Enter")
    page.wait_for_selector("#holder")
    assert page.locator("#holder").input_value() == "dr.example"
    page.fill("#study", study.study_instance_uid)
    look("grant-new")
    page.press("#study", "Enter")
    page.wait_for_selector("text=Opened to dr.example")
    look("grants-one")

    page.goto(f"{live_server.url}/administration/people/{rita.external_id}/")
    look("person")
    tab_to(page, "details.wide > summary")
    page.keyboard.press("Enter")
    tab_to(page, "input[name=roles][value=auditor]")
    page.keyboard.press("Space")
    page.fill("#reason", "Stands in for the auditor")
    look("person-changed")
    save("/roles")
    page.wait_for_selector("text=new roles count")
    assert set(rita.roles.values_list("role", flat=True)) == {"radiologist", "auditor"}
    page.fill("#off_reason", "On leave")
    save("/off")
    page.wait_for_selector("text=switched off, from now on")
    look("person-off")
    page.goto(f"{live_server.url}/administration/people/{User.objects.get(username='mara').external_id}/activity")
    page.wait_for_selector("text=signed in")
    look("activity")

    page.goto(live_server.url + "/administration/clients/new")
    look("client-new")
    page.fill("#name", "Gateway")
    page.select_option("#role", "technologist")
    page.press("#name", "Enter")
    page.wait_for_selector("text=shown this once")
    look("secret")
    for name in ("Lung nodule finder", "CT, ground floor"):
        page.goto(live_server.url + "/administration/clients/")
        page.get_by_role("link", name=name).press("Enter")
        page.wait_for_selector(f"h1:has-text('{name}')")
        look("client-" + name.split()[0].lower().strip(","))

    page.goto(live_server.url + "/administration/roles/new")
    look("role-new")
    page.goto(live_server.url + "/administration/roles/assistant/")
    look("role")
    # The browser tells of the form that was filled in wrongly, and of nothing else.
    assert all("400 (Bad Request)" in each for each in complaints)
    assert len(complaints) <= 1
