"""The pages as a person meets them: by keyboard, without JavaScript, on a phone, under the strict policy."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from access.models import User
from archive.models import Study

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "correct horse battery staple"


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def page(
    request: pytest.FixtureRequest, chromium: str, complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # the driver's loop runs in the thread of the test
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = chrome.new_context(java_script_enabled=request.param).new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page
        chrome.close()


def test_sign_in_search_and_leave(
    page: Page,
    complaints: list[str],
    live_server: LiveServer,
    make_person: Callable[..., User],
    make_study: Callable[..., Study],
) -> None:
    make_person("radiologist", username="rita", password=PASSWORD)
    for number in range(30):
        make_study(
            f"1.2.{number}", name=f"PHANTOM{number}^LONGISHNAME OF A PERSON", modalities_in_study=["CT", "PT", "SR"]
        )
    page.route("**/thumbnail", lambda route: route.fulfill(status=200, content_type="image/png", body=b""))
    outside: list[str] = []
    page.on("request", lambda sent: None if sent.url.startswith(live_server.url) else outside.append(sent.url))

    page.goto(live_server.url)
    page.locator("#username:focus").wait_for()
    for key in ("rita", "Tab", PASSWORD, "Enter"):
        page.keyboard.press(key) if key in ("Tab", "Enter") else page.keyboard.insert_text(key)
    page.wait_for_selector("text=Page 1")
    assert page.locator("tbody tr").count() == 25
    page.click("text=Older")
    page.wait_for_selector("text=Page 2")

    page.fill("#patient", "phantom7")
    page.press("#patient", "Enter")
    page.wait_for_selector("text=Clear")
    assert page.locator("tbody tr").count() == 1
    assert "phantom" not in page.url.lower()
    assert page.locator(".open").get_attribute("href") == "/viewer/viewer?StudyInstanceUIDs=1.2.7"

    page.goto(live_server.url)
    for width in (320, 390, 768, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        widest = page.locator("table.studies").bounding_box()
        assert widest is not None
        assert widest["x"] + widest["width"] <= width, width

    page.click("text=Sign out")
    page.wait_for_selector("#password")
    page.goto(live_server.url + "/?page=2")
    assert "/accounts/login/" in page.url
    assert not [complaint for complaint in complaints if "thumbnail" not in complaint]
    assert not outside


@pytest.mark.parametrize("page", [True], ids=["script"], indirect=True)
def test_documentation_draws_itself_offline(
    page: Page, complaints: list[str], live_server: LiveServer, make_person: Callable[..., User]
) -> None:
    make_person("radiologist", username="rita", password=PASSWORD)
    page.goto(live_server.url + "/accounts/login/?next=/api/docs")
    page.fill("#username", "rita")
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    page.wait_for_url("**/api/docs")
    page.wait_for_selector(".opblock")
    assert not complaints
