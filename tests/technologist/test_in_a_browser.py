"""The pages as a technologist meets them: by keyboard, on desk and phone, light and dark, under the strict policy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import User
from tests.administration.conftest import PASSWORD
from tests.administration.test_in_a_browser import STICKS_OUT
from tests.technologist.test_day import routine
from tests.worklist.making import UID, A, B, image, send, work
from worklist.models import Order, ScheduledProcedureStep, StudyOrderLink

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_morning_at_the_scanner(
    chromium: str,
    live_server: LiveServer,
    make_person: Callable[..., User],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    make_person("technologist", username="tina", password=PASSWORD)
    send()
    for number in (2, 3):
        send(routine(number, what="MR knee left, meniscus"), patient=B)
    ScheduledProcedureStep.objects.update(start_date=f"{timezone.now():%Y%m%d}")
    Order.objects.filter(accession_number="A2").update(
        reason="Pain since a fall, meniscus tear?", attributes={"Allergies": "Penicillin", "MedicalAlerts": "Pacemaker"}
    )
    image(B, StudyInstanceUID=UID, AccessionNumber="A100", Modality="CT")
    image(B, StudyInstanceUID="1.2.840.99.3", AccessionNumber="A3", Modality="MR")
    unknown = image(A, AccessionNumber="NONE", StudyDate=f"{timezone.now():%Y%m%d}", Modality="CT")
    work()
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    complaints: list[str] = []

    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context().new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))

        def look(name: str) -> None:
            _look(page, folder / f"technologist-{name}")

        page.goto(live_server.url + "/worklist/")
        page.fill("#username", "tina")
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_selector("h1:has-text('Today')")
        assert page.locator("tbody tr").first.get_by_text("STAT").count()
        look("today")
        page.get_by_role("link", name="Day after").press("Enter")
        page.wait_for_selector("text=Nothing is to be done")
        look("nothing")
        page.get_by_role("link", name="Reconciliation").press("Enter")
        page.wait_for_selector("text=Quarantined")
        look("queue")
        page.goto(f"{live_server.url}/worklist/reconciliation/{UID}/")
        page.wait_for_selector("text=the order of another patient")
        look("conflict")
        page.goto(f"{live_server.url}/worklist/reconciliation/{unknown.study_instance_uid}/")
        look("proposal")
        page.check("input[name=procedure]")
        page.fill("#reason", "the number was typed wrongly")
        page.get_by_role("button", name="Link to the orders ticked").press("Enter")
        page.wait_for_selector("text=Yes, do it")
        look("confirm")
        page.get_by_role("button", name="Yes, do it").press("Enter")
        page.wait_for_selector("[role=status]")
        assert StudyOrderLink.objects.filter(study=unknown, made_by="tina").exists()
        chrome.close()
    assert complaints == []


def _look(page: Page, path: Path) -> None:
    """Nothing sticks out at either width, and a picture of each is kept."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{path}-{width}-{scheme}.png", full_page=True)
            beyond = [each for each in page.evaluate(STICKS_OUT) if "wide-table" not in each and "compare" not in each]
            assert beyond == [] or page.locator(".wide-table").count(), (path.name, width, beyond)
