"""A person signs in, opens studies from the list and reads them: nothing fails, nothing leaves the house."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, TimeoutError

from dicom.transfer_syntaxes import JPEG_2000, JPEG_2000_LOSSLESS
from tests.browser.picture import CANVAS, differs, is_colour, is_image, settled, wait_for
from tests.browser.witness import Witness

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPRESSED = (JPEG_2000.uid, JPEG_2000_LOSSLESS.uid)
JSON = {"Accept": "application/dicom+json"}


@dataclass(frozen=True, slots=True)
class SampleSeries:
    """A series on the server, and what its first instance says."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instances: int
    frames: int
    transfer_syntax_uid: str


def value(attributes: dict[str, Any], tag: str, default: Any = "") -> Any:
    return (attributes.get(tag, {}).get("Value") or [default])[0]


def sample_series(page: Page) -> list[SampleSeries]:
    """All series of the server, as its own DICOMweb tells the signed-in person."""
    found = []
    for series in page.request.get("/dicom-web/series?limit=100", headers=JSON).json():
        study_uid, series_uid = value(series, "0020000D"), value(series, "0020000E")
        address = f"/dicom-web/studies/{study_uid}/series/{series_uid}"
        instances = page.request.get(f"{address}/metadata", headers=JSON).json()
        found.append(
            SampleSeries(
                study_instance_uid=study_uid,
                series_instance_uid=series_uid,
                modality=value(series, "00080060"),
                instances=len(instances),
                frames=int(value(instances[0], "00280008", 1)),
                transfer_syntax_uid=value(instances[0], "00083002"),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Reading:
    """Which series to open, and whether it is in colour and has more pictures to scroll to."""

    name: str
    of: Callable[[SampleSeries], bool]
    colour: bool = False


READINGS = (
    Reading(
        "ct",
        lambda series: (
            series.modality == "CT" and series.instances > 10 and series.transfer_syntax_uid not in COMPRESSED
        ),
    ),
    Reading("mr-multi-frame", lambda series: series.modality == "MR" and series.frames > 1),
    Reading("us-colour", lambda series: series.modality == "US", colour=True),
    Reading("jpeg-2000", lambda series: series.transfer_syntax_uid in COMPRESSED),
)


def wait_for_viewport(page: Page, witness: Witness, selector: str = CANVAS) -> None:
    """Waits for `selector`, by default a painted viewport.

    OHIF's page does not start about once in 25 loads of headless Chromium, so it may be loaded again, twice at most;
    only the last load is then held to account.
    """
    for _ in range(2):
        try:
            page.locator(selector).first.wait_for(timeout=20_000)
        except TimeoutError:
            witness.forget()
            page.reload()
        else:
            return
    page.locator(selector).first.wait_for(timeout=20_000)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_reads_a_study_from_the_list(
    signed_in: Page, witness: Witness, screenshot: Callable[[str], Path], reading: Reading
) -> None:
    page = signed_in
    series = next((each for each in sample_series(page) if reading.of(each)), None)
    assert series is not None, f"no sample for {reading.name}"
    screenshot("study-list")

    link = page.locator(f'a[href*="/viewer/"][href*="{series.study_instance_uid}"]').first
    # A study may have several series: the link is the list's own, with the series to begin with added.
    link.evaluate(
        "(link, series) => { link.removeAttribute('target'); link.href += '&initialSeriesInstanceUID=' + series; }",
        series.series_instance_uid,
    )
    link.click()
    page.wait_for_url("**/viewer/**")
    wait_for_viewport(page, witness)

    wait_for(
        page, lambda pixels: is_image(pixels) and is_colour(pixels) >= reading.colour, f"{reading.name}: first image"
    )
    first = settled(page)
    assert is_image(first)
    screenshot(reading.name)
    assert page.evaluate("crossOriginIsolated")

    if series.instances * series.frames > 1:
        scroll(page, 5)
        wait_for(page, lambda pixels: is_image(pixels) and differs(first, pixels), f"{reading.name}: scrolled image")
        settled(page)
        screenshot(f"{reading.name}-scrolled")
    page.wait_for_load_state("networkidle")
    assert witness.requests > 10
    assert witness.complaints == []


def scroll(page: Page, times: int) -> None:
    box = page.locator(CANVAS).first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for _ in range(times):
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(100)


def test_study_list_of_the_viewer(signed_in: Page, witness: Witness, screenshot: Callable[[str], Path]) -> None:
    page = signed_in
    studies = page.request.get("/dicom-web/studies", headers=JSON).json()
    page.goto("/viewer/")
    wait_for_viewport(page, witness, "text=Study List")
    page.get_by_text(f"1-{len(studies)} of {len(studies)}", exact=True).wait_for()
    screenshot("viewer-study-list")
    assert witness.complaints == []


def test_shows_a_report(signed_in: Page, witness: Witness, screenshot: Callable[[str], Path]) -> None:
    """An encapsulated PDF is fetched as bulk data (PS3.18 10.4.1.1.5) and shown from memory."""
    page = signed_in
    report = next(series for series in sample_series(page) if series.modality == "DOC")
    page.goto(
        f"/viewer/viewer?StudyInstanceUIDs={report.study_instance_uid}"
        f"&initialSeriesInstanceUID={report.series_instance_uid}"
    )
    shown = 'object[type="application/pdf"][data^="blob:"]'
    wait_for_viewport(page, witness, shown)
    text = page.locator(shown).evaluate("async shown => (await fetch(shown.data)).text()")
    assert text.startswith("%PDF-")
    page.wait_for_load_state("networkidle")
    screenshot("report")
    assert witness.complaints == []


STORE_AGAIN = """async address => {
  const ask = (method, url, headers, body) => new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = 'arraybuffer';
    for (const [name, text] of Object.entries(headers)) request.setRequestHeader(name, text);
    request.onload = () => done(request);
    request.onerror = failed;
    request.send(body);
  });
  const got = await ask('GET', address, { Accept: 'application/dicom' });
  const boundary = 'again' + Date.now();
  const body = new Blob([
    `--${boundary}\\r\\nContent-Type: application/dicom\\r\\n\\r\\n`, got.response, `\\r\\n--${boundary}--\\r\\n`,
  ]);
  const type = `multipart/related; type="application/dicom"; boundary=${boundary}`;
  const headers = { 'Content-Type': type, Accept: 'application/dicom+json' };
  const stored = await ask('POST', '/dicom-web/studies', headers, body);
  return [got.status, stored.status, new TextDecoder().decode(stored.response)];
}"""


def test_viewer_may_store(signed_in: Page, witness: Witness) -> None:
    """Saved measurements go out as the viewer's own XMLHttpRequest, which must pass the CSRF check of the session."""
    page = signed_in
    series = min(sample_series(page), key=lambda each: each.instances)
    address = f"/dicom-web/studies/{series.study_instance_uid}/series/{series.series_instance_uid}/instances"
    instance = page.request.get(address, headers=JSON).json()[0]
    page.goto("/viewer/")
    page.wait_for_function("window.config !== undefined")
    got, stored, answer = page.evaluate(STORE_AGAIN, f"{address}/{value(instance, '00080018')}")
    assert (got, stored) == (200, 200), answer
    assert "00081199" in json.loads(answer)
    assert witness.complaints == []


def test_session_that_ended_leads_to_the_form(signed_in: Page) -> None:
    page = signed_in
    page.goto("/viewer/")
    page.wait_for_function("window.config !== undefined")
    page.context.clear_cookies()
    page.reload()
    page.wait_for_url("**/accounts/login/?next=*")
