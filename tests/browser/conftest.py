"""Headless Chromium against a running Lightbox (`live_pacs`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.witness import Witness
from tests.live.server import LivePacs
from tools.viewer import ensure

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def live_pacs(request: pytest.FixtureRequest) -> Iterator[LivePacs]:
    """A server with viewer and small sample studies, and a person who may see and store them.

    PACS_WHOLE_SAMPLES=1 loads the studies in full size.
    """
    viewer = Path(request.config.cache.mkdir("viewer")) / "prepared"
    ensure(viewer)
    live = LivePacs()
    live.environment["PACS_VIEWER_DIR"] = str(viewer)
    try:
        live.start()
        live.manage("load_samples", *([] if os.environ.get("PACS_WHOLE_SAMPLES") else ["--small"]))
        yield live
    finally:
        live.stop()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Closed with the module: its event loop runs in this thread, and beside one Django's ORM refuses to work."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(live_pacs: LivePacs, browser: Browser) -> Iterator[Page]:
    """A window of a new visitor."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, base_url=live_pacs.url)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def witness(page: Page, live_pacs: LivePacs) -> Witness:
    witness = Witness(urlsplit(live_pacs.url).netloc)
    witness.follow(page)
    return witness


@pytest.fixture
def signed_in(page: Page, live_pacs: LivePacs) -> Page:
    """The same window after its visitor signed in on the form, at the study list."""
    page.goto("/")
    page.locator("input[name=username]").fill(live_pacs.username)
    page.locator("input[name=password]").fill(live_pacs.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{live_pacs.url}/")
    page.wait_for_load_state("networkidle")  # leaving earlier would abort the list's own pictures
    return page


@pytest.fixture
def screenshot(page: Page, tmp_path: Path) -> Callable[[str], Path]:
    """Saves the window under a name, in the folder PACS_SCREENSHOTS if that is set."""
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str) -> Path:
        path = folder / f"{name}.png"
        page.screenshot(path=path)
        return path

    return save
