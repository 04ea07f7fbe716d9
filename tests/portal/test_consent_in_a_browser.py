"""Consent as a person gives it: by keyboard, under the strict policy, and back at the app with a code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import AppSession, User
from archive.models import Study
from tests.access.oauth import CALLBACK, make_app

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture
def page(chromium: str, complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context().new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route(
            "https://app.example/**",
            lambda route: route.fulfill(status=200, content_type="text/plain", body="the app goes on"),
        )
        yield page
        chrome.close()


def test_from_the_app_and_back(
    page: Page,
    complaints: list[str],
    live_server: LiveServer,
    make_person: Callable[..., User],
    make_study: Callable[..., Study],
) -> None:
    """The app is opened by somebody who isn't signed in yet; one patient has to be chosen."""
    make_person("radiologist", username="rita", password=PASSWORD)
    make_study("1.2.3", patient_id="P1")
    make_study("1.2.4", patient_id="P2", name="ROE^RICHARD")
    app = make_app()

    page.goto(live_server.url + app.question(scope="launch/patient patient/ImagingStudy.rs"))
    for key in ("rita", "Tab", PASSWORD, "Enter"):
        page.keyboard.press(key) if key in ("Tab", "Enter") else page.keyboard.insert_text(key)
    page.wait_for_selector("text=May Reading app act for you?")
    assert page.locator("li", has_text="open images").count() == 1
    page.get_by_label("ROE, RICHARD").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Allow", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=the app goes on")

    assert page.url.startswith(f"{CALLBACK}?")
    code = parse_qs(urlsplit(page.url).query)["code"][0]
    tokens = app.exchange(code).json()
    patient = AppSession.objects.get().patient
    assert patient is not None
    assert (patient.patient_id, tokens["patient"]) == ("P2", str(patient.pk))

    page.goto(live_server.url + "/account/keys/")
    page.get_by_role("button", name="End Reading app").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=may no longer act for you")
    assert app.whoami(tokens["access_token"]).status_code == 401
    assert complaints == []
