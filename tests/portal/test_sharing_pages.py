"""The pages about sharing, on a phone and a screen, light and dark: nothing sticks out, nothing is complained of."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import User
from archive.models import Study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery staple"
STICKS_OUT = """() => [...document.querySelectorAll('main *, header *')]
  .filter(each => each.getBoundingClientRect().right > window.innerWidth + 1)
  .map(each => each.outerHTML.slice(0, 80))"""


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, chromium: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context(color_scheme=request.param).new_page()
        page.set_default_timeout(10_000)
        yield page
        chrome.close()


def test_sharing_on_every_screen(
    page: Page,
    live_server: LiveServer,
    make_person: Callable[..., User],
    make_study: Callable[..., Study],
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
        for width in (320, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png")
            assert page.evaluate(STICKS_OUT) == [], (name, width)

    make_person("radiologist", username="rita", password=PASSWORD)
    for number in range(3):
        make_study(
            f"1.2.{number}", name=f"PHANTOM{number}^LONGISHNAME", modalities_in_study=["CT"], study_date="20260101"
        )
    page.goto(live_server.url)
    page.fill("#username", "rita")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_selector("text=Shared")
    look("list")
    page.goto(live_server.url + "/sharing/")
    page.wait_for_selector("text=Nothing is shared")
    look("shared-empty")
    for number, purpose in enumerate(("Second opinion", "The patient's own copy")):
        page.goto(f"{live_server.url}/sharing/1.2.{number}/")
        page.fill("#recipient", "Dr. Robin Reader, Hospital of the Four Winds, Anytown")
        page.fill("#purpose", purpose)
        look("form")
        page.check("input[name=annotate]")
        page.press("#purpose", "Enter")
        page.wait_for_selector("#link")
        look("made")
    address = page.locator("#link").input_value()
    page.goto(live_server.url + "/sharing/")
    page.locator("button", has_text="End").first.press("Enter")
    page.wait_for_selector("text=revoked")
    look("shared")
    assert not complaints

    page.goto(live_server.url + "/s/#" + address.partition("#")[2])
    page.get_by_role("button", name="Open").press("Enter")
    page.wait_for_selector("text=does not work")
    look("refused")
    assert all("401" in each for each in complaints)
