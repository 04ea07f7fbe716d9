"""Interfaces and messages as an administrator meets them: on desk and phone, light and dark, by the strict policy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright
from pytest_django.live_server_helper import LiveServer

from hl7.interfaces import Peer
from hl7.models import Hl7Interface, Hl7Message
from hl7.receive import receive
from tests.access.conftest import MakePerson, make_person
from tests.administration.conftest import PASSWORD
from tests.administration.test_in_a_browser import STICKS_OUT
from tests.hl7.messages import LEGACY, ORDER, REGISTER, wire

__all__ = ["make_person"]
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NOT_TOLD = ORDER.replace("|SC\n", "|Ordered\n")


def test_what_came_and_what_waits(
    chromium: str, live_server: LiveServer, make_person: MakePerson, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    make_person("administrator", username="mara", password=PASSWORD)
    for name, application in (("Admissions", "ADT"), ("Radiology orders", "RIS"), ("Clinic", "NOBODY")):
        Hl7Interface.objects.create(name=name, sending_application=application)
    for raw in (wire(REGISTER), *(wire(NOT_TOLD.replace("|O1|", f"|O{at}|")) for at in (1, 2)), wire(LEGACY)):
        receive(raw, Peer("mllp", "127.0.0.1"))
    Hl7Interface.objects.filter(name="Radiology orders").update(profile={"control_map": {"NW_Ordered": "NW_SC"}})
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    complaints: list[str] = []

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context().new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))

        def look(name: str) -> None:
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                for width in (390, 1280):
                    page.set_viewport_size({"width": width, "height": 900})
                    page.screenshot(path=folder / f"hl7-{name}-{width}-{scheme}.png", full_page=True)
                    assert page.evaluate(STICKS_OUT) == [], (name, width)

        page.goto(live_server.url + "/interfaces/")
        page.fill("#username", "mara")
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_selector("h1:has-text('Interfaces')")
        look("interfaces")
        page.get_by_label("Interfaces").get_by_role("link", name="Messages").press("Enter")
        page.fill("#patient", "123")
        page.press("#patient", "Enter")
        page.wait_for_selector("text=OMI^O23")
        assert "123" not in page.url
        look("messages")
        page.goto(f"{live_server.url}/interfaces/messages/{Hl7Message.objects.get(control_id='A1').pk}/")
        page.wait_for_selector("text=Patient identifier list")
        look("message")
        page.get_by_role("link", name="Parked").press("Enter")
        page.wait_for_selector("text=Nothing of these is in the database")
        look("parked")
        page.check("#every")
        page.get_by_role("button", name="What would they do?").press("Enter")
        page.wait_for_selector("text=Nothing was changed")
        look("tried")
        page.get_by_role("button", name="Apply 2 now").press("Enter")
        page.wait_for_selector("text=Nothing waits")
        look("nothing-waits")
        chrome.close()
    assert complaints == []
