"""Somebody without an account opens a share link in the viewer: that study is painted, no other exists; it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.picture import is_image, wait_for
from tests.browser.test_viewer import SampleSeries, sample_series, wait_for_viewport
from tests.browser.witness import Witness
from tests.live.server import LivePacs

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STATUS = "async address => (await fetch(address, { headers: { Accept: 'application/dicom+json' } })).status"
FOUND = "async address => (await (await fetch(address)).json()).map(study => study['0020000D'].Value[0])"


@pytest.fixture
def visitor(live_pacs: LivePacs, browser: Browser) -> Iterator[Page]:
    """A window of somebody who never signed in."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, base_url=live_pacs.url)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def save(page: Page, tmp_path: Path, name: str) -> None:
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or tmp_path)
    page.screenshot(path=folder / f"{name}.png")


def make_link(page: Page, series: SampleSeries, tmp_path: Path) -> tuple[str, str]:
    """By keyboard and the pages: the address and the PIN of a new link."""
    page.goto("/")
    page.locator(f'a[href="/sharing/{series.study_instance_uid}/"]').press("Enter")
    page.locator("#recipient:focus").wait_for()
    page.keyboard.insert_text("Dr. R. Reader, Anytown")
    page.keyboard.press("Tab")
    page.keyboard.insert_text("Second opinion")
    save(page, tmp_path, "share-form")
    page.keyboard.press("Enter")
    page.wait_for_selector("#link")
    save(page, tmp_path, "share-made")
    return page.locator("#link").input_value(), page.locator("#pin").input_value()


def test_a_link_opens_its_study_until_it_is_ended(
    signed_in: Page, visitor: Page, live_pacs: LivePacs, tmp_path: Path
) -> None:
    all_series = sample_series(signed_in)
    series = next(each for each in all_series if each.modality == "CT" and each.instances > 10)
    other = next(each for each in all_series if each.study_instance_uid != series.study_instance_uid)
    address, pin = make_link(signed_in, series, tmp_path)
    assert address.startswith(f"{live_pacs.url}/s/#")

    witness = Witness(urlsplit(live_pacs.url).netloc)
    witness.follow(visitor)
    visitor.goto(address)
    visitor.locator("#open button:focus").wait_for()
    assert visitor.url == f"{live_pacs.url}/s/"
    visitor.keyboard.press("Enter")
    visitor.locator("#pin:focus").wait_for()
    save(visitor, tmp_path, "share-pin")
    assert [each for each in witness.complaints if "401" not in each] == []
    witness.forget()
    visitor.keyboard.insert_text(pin)
    visitor.keyboard.press("Enter")
    visitor.wait_for_url("**/share/*/viewer/viewer?StudyInstanceUIDs=*")
    wait_for_viewport(visitor, witness)
    wait_for(visitor, is_image, "the shared study")
    save(visitor, tmp_path, "share-viewer")
    assert visitor.evaluate("crossOriginIsolated")
    visitor.wait_for_load_state("networkidle")
    assert witness.complaints == []

    mount = urlsplit(visitor.url).path.removesuffix("/viewer/viewer")
    assert visitor.evaluate(FOUND, f"{mount}/dicom-web/studies") == [series.study_instance_uid]
    mine = f"{mount}/dicom-web/studies/{series.study_instance_uid}/metadata"
    assert visitor.evaluate(STATUS, mine) == 200
    assert visitor.evaluate(STATUS, f"{mount}/dicom-web/studies/{other.study_instance_uid}/metadata") == 404
    for outside in ("/dicom-web/studies", "/api/whoami", "/viewer/app-config.js"):
        assert visitor.evaluate(STATUS, outside) == 401, outside

    signed_in.goto("/sharing/")
    save(signed_in, tmp_path, "shares")
    signed_in.get_by_role("button", name="End the link for Dr. R. Reader, Anytown").press("Enter")
    signed_in.get_by_text("revoked").wait_for()
    assert visitor.evaluate(STATUS, mine) == 401
    visitor.reload()
    visitor.wait_for_url("**/s/")
    visitor.get_by_text("the link has ended").wait_for()
    save(visitor, tmp_path, "share-ended")


def test_who_may_download_is_asked_what_to_do(live_pacs: LivePacs, signed_in: Page, visitor: Page) -> None:
    series = sample_series(signed_in)[0]
    made = live_pacs.manage(
        *("share_study", series.study_instance_uid, "--recipient", "P", "--purpose", "Own copy", "--right", "download")
    )
    visitor.goto(next(line.split()[1] for line in made.splitlines() if line.startswith("link")))
    visitor.get_by_role("button", name="Open").click()
    visitor.locator("#viewer:focus").wait_for()
    with visitor.expect_download() as download:
        visitor.get_by_text("Download (zip)").click()
    assert download.value.path().read_bytes()[:2] == b"PK"
