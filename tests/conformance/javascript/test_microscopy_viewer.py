"""dicom-microscopy-viewer from another origin: a slide on the screen, in its own colours, from tiles asked at once."""

from __future__ import annotations

import io
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conformance.javascript.foreign import Foreign
from tests.conformance.javascript.installation import Installation, address_of
from tests.conformance.javascript.slide import BASE, CENTRES, QUARTERS, make_slide

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MIDDLE = (250, 187)
AROUND = ((1, -1), (-1, 1), (1, 1))  # towards the corners; the viewer has an overview map in the first
NEAR = 20  # still inside the square
SECONDS = 40


def seen(foreign: Foreign, name: str, folder: Path) -> NDArray[np.int16]:
    """The window now; kept under `name` in the folder PACS_SCREENSHOTS if that is set."""
    picture = foreign.page.screenshot()
    folder = Path(os.environ.get("PACS_SCREENSHOTS") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.png").write_bytes(picture)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), np.int16)


def shows(pixels: NDArray[np.int16], centre: tuple[int, ...], reach: int) -> bool:
    """The colour of the square in the middle, and `reach` pixels from there towards each corner its quarter's.

    Image Orientation (Slide) turns the slide by half a turn on the screen.
    """
    x, y = MIDDLE
    places = [(x + near * right, y + near * down) for near in (NEAR, reach) for right, down in AROUND]
    colours = (*[centre] * len(AROUND), *QUARTERS[2::-1])
    return all(np.abs(pixels[b, a] - colour).max() <= 12 for (a, b), colour in zip(places, colours, strict=True))


def wait_until(foreign: Foreign, name: str, folder: Path, condition: Callable[[NDArray[np.int16]], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not condition(seen(foreign, name, folder)):
        assert time.monotonic() < until, f"not on the screen after {SECONDS} s: {name}"
        foreign.page.wait_for_timeout(200)


def still(foreign: Foreign) -> bool:
    """True when every tile that was asked for is there, and a moment later no other was asked for."""
    before = foreign("loading")
    foreign.page.wait_for_timeout(500)
    return bool(foreign("loading") == before and before["started"] == before["ended"])


def test_shows_a_slide(open_page: Callable[[str], Foreign], installation: Installation, tmp_path: Path) -> None:
    """TILED_FULL, colour JPEG, ICC profile (inline in an item): the middle one of three levels, then the finest."""
    slide = make_slide()
    installation.store(*slide.objects)
    foreign = open_page("microscopy")
    page = foreign.page
    complaints: list[str] = []
    tiles: list[str] = []
    root = urlsplit(installation.root)
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}: {request.failure}"))
    page.on(
        "response",
        lambda answer: complaints.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None,
    )
    page.on("request", lambda request: tiles.append(request.url) if "/frames/" in request.url else None)

    address = address_of(slide.instances[0])
    series = {name: address[name] for name in ("studyInstanceUID", "seriesInstanceUID")}
    levels = foreign("open", {"connection": installation.connection, "series": series})
    assert sorted(levels) == sorted([BASE[0] >> number, BASE[1] >> number] for number in range(len(CENTRES)))

    wait_until(foreign, "slide-whole", tmp_path, lambda pixels: shows(pixels, CENTRES[1], 80))
    foreign("navigate", {"level": 2})
    wait_until(foreign, "slide-base", tmp_path, lambda pixels: shows(pixels, CENTRES[0], 130))

    wait_until(foreign, "slide-still", tmp_path, lambda _: still(foreign))
    loading = foreign("loading")
    assert loading["failed"] == 0
    assert loading["most"] > 4
    assert {urlsplit(tile).netloc for tile in tiles} == {root.netloc}
    asked = Counter(next(ds.InstanceNumber for ds in slide.instances if ds.SOPInstanceUID in tile) for tile in tiles)
    assert asked[1] >= 12  # what is in view, of 48
    assert asked[2] >= slide.frames[1]
    assert complaints == []
