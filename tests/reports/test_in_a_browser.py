"""The report's pages as a person meets them: under the strict policy, on a telephone, beside the viewer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import User
from archive.models import Series, Study
from reports.facts import Attachment
from reports.visible import anything
from tests.reports.making import reported
from tests.reports.test_pages import pdf

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery staple"
LONG = "A mass of 12 mm in the right frontal lobe, with surrounding oedema.\nNo shift of the midline."


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture
def page(chromium: str, complaints: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        chrome.close()


def saved(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=Path(os.environ.get("PACS_SCREENSHOTS") or folder) / f"report-{name}.png", full_page=True)


def test_read_compare_and_open(
    page: Page,
    complaints: list[str],
    live_server: LiveServer,
    tmp_path: Path,
    make_person: Callable[..., User],
    make_study: Callable[..., Study],
) -> None:
    anything.forget()
    make_person("radiologist", username="rita", password=PASSWORD)
    study = make_study(
        "1.2.3",
        name="PHANTOM^LONGISH NAME",
        patient_id="PAT-7",
        accession_number="A7",
        study_date="20250110",
        study_description="CT head",
        modalities_in_study=["CT"],
    )
    for number in (1, 2):
        uid = f"1.2.3.{number}"
        Series.objects.create(study=study, series_instance_uid=uid, modality="CT", series_description="Axial")
    reported(study, LONG, "P")
    reported(study, LONG.replace("12 mm", "14 mm"))
    link = Attachment("text/html", "Key images", link="https://ris.example/" + "long/" * 30)
    reported(study, LONG.replace("12 mm", "16 mm"), "C", pdf=pdf(2), attachments=(link,))
    early = make_study("1.2.4", patient_id="P2", study_description="Chest", study_date="20250109")
    reported(early, "Normal.", "P")
    page.route("**/thumbnail", lambda route: route.fulfill(status=200, content_type="image/png", body=b""))

    page.goto(f"{live_server.url}/accounts/login/")
    page.fill("#username", "rita")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Report of this study: corrected")
    saved(page, tmp_path, "list")
    page.click("text=Report of this study: corrected")
    page.wait_for_selector("text=It replaces what was signed before")
    page.click("summary")
    assert page.locator("ins").inner_text().startswith("A mass of 16 mm")
    saved(page, tmp_path, "corrected")
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
    page.set_viewport_size({"width": 390, "height": 800})
    saved(page, tmp_path, "telephone")
    page.click("text=Version 1")
    page.wait_for_selector("text=Version 3 took its place")
    page.click("text=show the newest")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.click("text=Pages of the PDF")
    picture = page.locator(".report-page")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    page.click("text=Next")
    page.wait_for_selector("text=Page 2 of 2")
    saved(page, tmp_path, "document")
    page.goto(f"{live_server.url}/studies/1.2.4/reports/")
    page.wait_for_selector("text=Not signed yet")
    saved(page, tmp_path, "preliminary")
    # Nothing of all this was stopped by the policy, or failed.
    assert not [each for each in complaints if "thumbnail" not in each]
    page.goto(f"{live_server.url}/studies/1.2.3/read/")
    frame = page.frame_locator(".reading-images")
    frame.locator("body").wait_for()
    assert page.evaluate("crossOriginIsolated")
    page.wait_for_timeout(int(os.environ.get("PACS_SCREENSHOTS_WAIT", "0")))
    saved(page, tmp_path, "reading")
    assert not [each for each in complaints if "Content Security Policy" in each]
