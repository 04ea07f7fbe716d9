"""Cine: when frames are shown, and the animated GIF (PS3.3 C.7.6.5)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence
from pydicom.dataset import Dataset

from dicom.cine import TRAILER, frame_starts, gif_frame, gif_opening, played


def header(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [0, 100, 200, 300]),
        ({"FrameTime": 40}, [0, 40, 80, 120]),
        ({"CineRate": 20}, [0, 50, 100, 150]),
        ({"RecommendedDisplayFrameRate": 10, "CineRate": 20, "FrameTime": 40}, [0, 100, 200, 300]),
        ({"FrameTimeVector": [0, 30, 60]}, [0, 30, 90, 135]),
        ({"FrameTimeVector": [0, 30]}, [0, 100, 200, 300]),
        ({"FrameTime": 0}, [0, 100, 200, 300]),
        ({"FrameTime": 1e12}, [0, 10_000, 20_000, 30_000]),
        ({"FrameTimeVector": [0, -5, 5]}, [0, 100, 200, 300]),
    ],
)
def test_frames_begin_when_the_data_set_says(values: dict[str, Any], expected: list[float]) -> None:
    assert frame_starts(header(**values), 3) == pytest.approx(expected)


def test_all_frames_are_played_at_their_own_speed() -> None:
    shown = played(frame_starts(header(FrameTime=33.3), 30), 600)
    assert [number for number, _ in shown] == list(range(1, 31))
    assert sum(delay for _, delay in shown) == 100, "a second, whatever was rounded"
    assert {delay for _, delay in shown} == {3, 4}


def test_frames_too_fast_for_a_gif_are_left_out_and_motion_keeps_its_speed() -> None:
    shown = played(frame_starts(header(CineRate=200), 400), 600)
    assert len(shown) == 100
    assert sum(delay for _, delay in shown) == 200
    assert min(delay for _, delay in shown) == 2


def test_no_more_frames_than_allowed() -> None:
    shown = played(frame_starts(header(FrameTime=50), 1000), 30)
    assert 25 <= len(shown) <= 30
    assert sum(delay for _, delay in shown) == 5000
    assert shown[0][0] == 1
    assert played(frame_starts(header(), 1), 1) == [(1, 10)]


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_a_gif_made_frame_by_frame_is_one_that_others_read(shape: tuple[int, ...]) -> None:
    pictures = [np.full(shape, 40 * n, np.uint8) for n in range(5)]
    for n, picture in enumerate(pictures):
        picture[:5, : 5 + n] = 250
    blocks = [gif_frame(picture, 3 + n) for n, picture in enumerate(pictures)]
    image = Image.open(io.BytesIO(b"".join([gif_opening(blocks[0]), *blocks, TRAILER])))
    assert image.size == (30, 20)
    assert image.info["loop"] == 0
    frames = [frame.copy() for frame in ImageSequence.Iterator(image)]
    assert len(frames) == 5
    for n, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        assert frame.info["duration"] == 10 * (3 + n)
        seen = np.asarray(frame.convert("RGB"))
        expected = picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)
        assert np.abs(seen.astype(int) - expected).max() <= 2


def test_an_ultrasound_keeps_its_greys_and_its_colours() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(40, axis=0)
    ramp[20:] = 0
    ramp[20:, :128] = (200, 30, 20)
    ramp[20:, 128:] = (20, 40, 220)
    block = gif_frame(ramp, 5)
    seen = np.asarray(Image.open(io.BytesIO(gif_opening(block) + block + TRAILER)).convert("RGB"))
    wrong = np.abs(seen.astype(int) - ramp)
    assert wrong[:20].max() <= 2
    assert wrong[20:].max() <= 16


def test_noise_survives() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 300), np.uint8)
    block = gif_frame(noise, 5)
    image = Image.open(io.BytesIO(gif_opening(block) + block + TRAILER))
    assert np.array_equal(np.asarray(image.convert("L")), noise)
