"""What the viewer painted, read from the canvas itself and not from the page around it."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

CANVAS = "canvas.cornerstone-canvas"
Pixels = NDArray[np.int16]


def painted(page: Page) -> Pixels:
    """The first viewport as (rows, columns, 3); nothing at all as (1, 1, 3) zeros."""
    canvas = page.locator(CANVAS).first
    url = canvas.evaluate("canvas => canvas.width && canvas.height ? canvas.toDataURL('image/png') : ''")
    if not url:
        return np.zeros((1, 1, 3), np.int16)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"), np.int16)


def is_image(pixels: Pixels) -> bool:
    """True for something like anatomy: a fair part is not black, and in many shades."""
    grey = pixels.mean(axis=2)
    return bool((grey > 8).mean() > 0.02 and len(np.unique(grey.astype(int))) > 16)


def is_colour(pixels: Pixels) -> bool:
    """True where red, green and blue differ clearly in more than a few pixels."""
    return bool(((pixels.max(axis=2) - pixels.min(axis=2)) > 40).mean() > 0.002)


def differs(one: Pixels, other: Pixels) -> bool:
    """True when the two pictures are not the same slice: many pixels changed, by more than a rounding."""
    return one.shape != other.shape or bool((np.abs(one - other).max(axis=2) > 8).mean() > 0.005)


def wait_for(page: Page, condition: Callable[[Pixels], bool], what: str, seconds: float = 60) -> Pixels:
    """The first picture that meets `condition`; AssertionError naming `what` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        pixels = painted(page)
        if condition(pixels):
            return pixels
        assert time.monotonic() < until, f"not painted in {seconds:.0f} s: {what}"
        page.wait_for_timeout(200)


def settled(page: Page) -> Pixels:
    """The picture once it has stopped changing: first paints may be resampled or windowed again."""
    last = painted(page)
    for _ in range(50):
        page.wait_for_timeout(300)
        now = painted(page)
        if np.array_equal(last, now):
            break
        last = now
    return last
