"""The page of emergency accesses and its banner: what they say, whom they serve, and how they look."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.acting import Acting
from access.authentication import person
from access.emergency import begin, end_all
from access.emergency_models import EmergencyAccess
from access.marking import restrict
from access.models import User
from access.restriction_models import Mark
from access.restrictions import marks
from archive.models import Study
from audit.models import AccessEvent
from tests.portal.test_sharing_pages import STICKS_OUT

Make = Callable[..., Any]
PASSWORD = "correct horse battery staple"
REASON = "unconscious after an accident, images wanted in theatre"
PAGE = "/emergency/"


@pytest.fixture(autouse=True)
def nothing_believed() -> None:
    marks.forget()


@pytest.fixture
def closed(make_study: Make) -> Study:
    """A study of a patient who is marked."""
    study: Study = make_study("1.2.1", name="VIPSON^VERA", patient_id="VIP1", accession_number="ACC1")
    restrict(study.patient, Mark.VIP, "a well-known person")
    marks.forget()
    return study


@pytest.fixture
def doctor(make_person: Make) -> Browser:
    window = Browser(HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
    window.force_login(make_person("radiologist", username="rita"))
    return window


def asked(**given: Any) -> dict[str, Any]:
    return {"patient_id": "VIP1", "reason": REASON, "minutes": 30} | given


@pytest.mark.django_db
class TestPage:
    """Without a browser."""

    def test_opening_and_ending(self, doctor: Browser, closed: Study, make_study: Make) -> None:
        make_study("1.2.9")
        assert b"VIP" not in doctor.get("/").content
        assert doctor.get(PAGE).status_code == 200
        response = doctor.post(PAGE, asked())
        assert (response.status_code, response["Location"]) == (302, PAGE)
        page = doctor.get(PAGE).content.decode()
        assert "Vipson, Vera" in page.title()
        assert "StudyInstanceUIDs=1.2.1" in page
        listed = doctor.get("/").content.decode()
        assert "Emergency access to" in listed
        assert "End now" in listed
        assert "1.2.1" in listed
        assert "/sharing/1.2.1/" not in listed
        assert "/sharing/1.2.9/" in listed
        begun = EmergencyAccess.objects.get()
        ended = doctor.post(f"/emergency/{begun.external_id}/end")
        assert (ended.status_code, ended["Location"]) == (302, PAGE)
        assert "has ended" in doctor.get(PAGE).content.decode()
        assert b"VIP" not in doctor.get("/").content

    def test_the_page_s_event_names_what_it_shows(self, doctor: Browser, closed: Study) -> None:
        doctor.post(PAGE, asked(patient_id="", accession="ACC1"))
        doctor.get(PAGE)
        event = AccessEvent.objects.latest("sequence")
        assert (event.kind, event.study_uids, event.path) == ("search", ["1.2.1"], PAGE)

    @pytest.mark.parametrize(
        ("given", "status", "text"),
        [
            ({"patient_id": "V"}, 404, "has this identifier"),
            ({"patient_id": ""}, 400, "patient ID or an accession number"),
            ({"reason": "urgent"}, 400, "at least 10 characters"),
            ({"reason": ""}, 400, "Reason: This field is required"),
            ({"minutes": 241}, 400, "at most 240 minutes"),
            ({"minutes": ""}, 400, "Minutes"),
            ({"patient_id": "x\0"}, 400, "Null characters"),
            ({"patient_id": "twice"}, 409, "Several patients"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, doctor: Browser, closed: Study, make_study: Make, given: dict[str, Any], status: int, text: str
    ) -> None:
        make_study(patient_id="twice")
        make_study(patient_id="twice")
        response = doctor.post(PAGE, asked(**given))
        assert response.status_code == status
        page = response.content.decode()
        assert text in page
        assert 'role="alert"' in page
        assert not EmergencyAccess.objects.exists()

    def test_guessing_is_stopped(self, doctor: Browser, closed: Study) -> None:
        found = [doctor.post(PAGE, asked(patient_id=f"guess{n}")) for n in range(11)]
        assert [response.status_code for response in found] == [404] * 10 + [429]
        assert "Try again in" in found[-1].content.decode()

    def test_others_have_neither_page_nor_entry(self, make_person: Make, closed: Study) -> None:
        window = Browser(HTTP_ACCEPT="text/html", HTTP_HOST="127.0.0.1")
        window.force_login(make_person("technologist"))
        assert window.get(PAGE).status_code == window.post(PAGE, asked()).status_code == 403
        assert PAGE not in window.get("/").content.decode()
        assert not EmergencyAccess.objects.exists()

    def test_one_of_somebody_else_is_not_there(self, doctor: Browser, closed: Study, make_person: Make) -> None:
        other = make_person("radiologist")
        begun = begin(closed.patient, REASON, 5, Acting(None, person(other, "")))
        assert doctor.post(f"/emergency/{begun.external_id}/end").status_code == 404
        assert EmergencyAccess.objects.active().count() == 1
        assert "Emergency access to" not in doctor.get("/").content.decode()

    def test_a_form_of_another_site_opens_nothing(self, make_person: Make, closed: Study, browser: Browser) -> None:
        browser.force_login(make_person("radiologist"))
        assert browser.post(PAGE, asked(), headers={"Origin": "https://evil.example"}).status_code == 403
        assert not EmergencyAccess.objects.exists()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context(color_scheme=request.param).new_page()
        page.set_default_timeout(60_000)
        yield page
        chrome.close()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_on_every_screen(
    page: Page,
    live_server: LiveServer,
    make_person: Callable[..., User],
    make_study: Make,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.route("**/thumbnail", lambda route: route.fulfill(status=200, content_type="image/png", body=b""))
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    scheme = request.node.callspec.params["page"]

    def look(name: str) -> None:
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            assert page.evaluate(STICKS_OUT) == [], (name, width)

    make_person("radiologist", username="rita", password=PASSWORD)
    make_person("administrator", username="mara", password=PASSWORD)
    study = make_study(
        "1.2.1", name="VIPSON^VERA", patient_id="VIP1", modalities_in_study=["CT"], study_date="20260101",
        study_description="Head, native", number_of_study_related_instances=120,
    )  # fmt: skip
    make_study("1.2.2", name="OTHER^OSCAR", patient_id="P2", modalities_in_study=["MR"], study_date="20260102")
    restrict(study.patient, Mark.VIP, "a well-known person")

    sign_in(page, live_server.url, "rita")
    page.goto(f"{live_server.url}/emergency/")
    look("emergency-form")
    page.fill("#patient_id", "VIP1")
    page.fill("#reason", REASON)
    page.focus("input[name=minutes][value='60']")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=more min")
    assert EmergencyAccess.objects.get().expires_at < timezone.now() + timedelta(minutes=31)
    look("emergency-open")
    page.goto(live_server.url)
    page.wait_for_selector("text=Emergency access to")
    look("emergency-banner")
    page.locator("button", has_text="End now").press("Enter")
    page.wait_for_selector("text=has ended")
    look("emergency-ended")
    begin(study.patient, REASON, 30, Acting(None, person(User.objects.get(username="rita"), "")))
    page.context.clear_cookies()

    sign_in(page, live_server.url, "mara")
    for name in ("emergencies", "restrictions", "restrictions/new", "reviews", "reviews/new"):
        page.goto(f"{live_server.url}/administration/{name}{'' if 'new' in name else '/'}")
        page.wait_for_selector("h1")
        look(f"administration-{name.replace('/', '-')}")
    page.locator("button", has_text="Start the review").press("Enter")
    page.wait_for_selector("text=left to decide")
    page.locator("summary").first.press("Enter")
    look("administration-review")
    page.goto(f"{live_server.url}/administration/emergencies/")
    page.locator("a.open").first.press("Enter")
    page.wait_for_selector("text=Was it needed?")
    look("administration-emergency")
    page.check("input[value=justified]")
    page.locator("button", has_text="Save").press("Enter")
    page.wait_for_selector("text=Marked as justified")
    look("administration-emergencies-seen")
    end_all(User.objects.get(username="rita"), Acting(), "the test is over")
    assert [text for text in complaints if "404" not in text] == []


def sign_in(page: Page, root: str, name: str) -> None:
    page.goto(f"{root}/accounts/login/")
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("text=Sign out")
