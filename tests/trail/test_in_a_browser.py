"""The trail as an auditor meets it: by keyboard, without JavaScript, on a phone, under the strict policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright
from pytest_django.live_server_helper import LiveServer

from audit.kinds import REFUSED
from tests.access.conftest import MakePerson, MakeStudy
from tests.trail.conftest import Happen

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery staple"


def test_ask_open_and_save(
    live_server: LiveServer,
    chromium: str,
    make_person: MakePerson,
    make_study: MakeStudy,
    happen: Happen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    make_person("auditor", username="ada", password=PASSWORD)
    make_study("1.2.3", patient_id="P-3", accession_number="ACC-3")
    happen(study_uids=["1.2.3"], instance_count=2)
    happen(REFUSED, who="dr.with-a-very-long-name-that-does-not-end-soon", decision="deny", outcome=4)
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context(java_script_enabled=False).new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(live_server.url)
        page.fill("#username", "ada")
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        # Whoever may not see the studies begins at the pages that are theirs.
        page.click("nav >> text=Trail")
        page.fill("#subject", "ACC-3")
        page.press("#subject", "Enter")
        page.wait_for_selector("text=opened 2 images")
        assert "ACC-3" not in page.url
        assert page.locator(".events > li").count() == 1
        page.locator(".events summary").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("text=./pacs audit proof")
        page.fill("#name", "ACC-3 again")
        page.press("#name", "Enter")
        page.click("text=ACC-3 again")
        page.wait_for_selector("text=Nobody has reviewed it yet")
        page.click("text=Reviewed up to here")
        page.wait_for_selector("td.last >> text=ada")
        for address in ("/trail/", "/trail/alerts/", "/trail/reviews/", "/trail/disclosures?patient=P-3"):
            page.goto(live_server.url + address)
            for width in (320, 390, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                widest = page.locator("main").bounding_box()
                assert widest is not None
                assert widest["x"] + widest["width"] <= width, (address, width)
        chrome.close()
    assert complaints == []
