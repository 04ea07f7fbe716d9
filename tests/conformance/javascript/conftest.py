"""Foreign JavaScript clients in headless Chromium, on pages of another origin than the server they ask."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.conformance.javascript.foreign import Foreign
from tests.conformance.javascript.installation import Installation
from tests.conformance.javascript.site import NPM, build, installed, served
from tests.live.server import LivePacs

# dicom-microscopy-viewer paints with WebGL, for which a machine without a display needs the software renderer.
SOFTWARE_WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_npm = pytest.mark.skip(reason="no npm on this machine to install the JavaScript clients with (Node.js has it)")
    for item in items:
        if Path(__file__).parent in item.path.parents and not NPM:
            item.add_marker(no_npm)


@pytest.fixture(scope="package")
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the pages are; the packages they are built of stay between runs."""
    site = tmp_path_factory.mktemp("site")
    build(installed(Path(request.config.cache.mkdir("javascript-clients"))), site)
    with served(site) as address:
        yield address


@pytest.fixture(scope="package")
def installation(origin: str) -> Iterator[Installation]:
    """A server without worker and relay that lets the pages in; every test brings studies of its own."""
    live = LivePacs()
    live.environment["PACS_CORS_ORIGINS"] = json.dumps([origin])
    try:
        live.start(worker=False)
        yield Installation(live, live.machine("technologist"))
    finally:
        live.stop()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Closed with the module: its event loop runs in this thread, and beside one Django's ORM refuses to work."""
    with sync_playwright() as playwright:
        flags = [flag for flag in FLAGS if flag != "--disable-gpu"] + SOFTWARE_WEBGL
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser: Browser, origin: str) -> Iterator[Callable[[str], Foreign]]:
    """Opens one of the pages, when all its scripts have run."""
    context = browser.new_context(viewport={"width": 800, "height": 600}, base_url=origin)
    context.set_default_timeout(30_000)

    def opened(name: str) -> Foreign:
        page: Page = context.new_page()
        page.goto(f"/{name}.html")
        page.wait_for_function("window.ready === true")
        return Foreign(page)

    yield opened
    context.close()


@pytest.fixture(scope="module")
def dicomweb(open_page: Callable[[str], Foreign], installation: Installation) -> Foreign:
    """The page with dicomweb-client, connected, and dcmjs."""
    foreign = open_page("dicomweb")
    foreign("connect", installation.connection)
    return foreign
