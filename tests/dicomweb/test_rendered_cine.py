"""WebP, AVIF and moving pictures (PS3.18 8.7.4)."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from dicomweb.media_types import choose
from dicomweb.rendered_media import SINGLE
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import native_frames
from tests.dicomweb.reading import problem_of
from tests.dicomweb.test_rendered import with_limits
from tests.dicomweb.test_rendered_others import pixels, stored

_CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
_FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/webp", "image/webp"),
        ("image/avif", "image/avif"),
        ("image/webp, image/jpeg;q=0.9", "image/webp"),
        ("image/avif;q=0.5, image/webp;q=0.6, image/jpeg;q=0.1", "image/webp"),
        ("image/webp, image/jpeg", "image/jpeg"),
        ("image/webp, */*", "image/jpeg"),
        (_CHROME, "image/jpeg"),
        (_FIREFOX, "image/png"),
        ("image/webp;q=0, image/avif", "image/avif"),
    ],
)
def test_webp_and_avif_for_who_prefers_them(accept: str, media_type: str) -> None:
    chosen = choose(accept, None, SINGLE)
    assert chosen is not None
    assert chosen.media_type == media_type


@pytest.mark.parametrize("media_type", ["image/webp", "image/avif"])
def test_pictures_of_every_media_type_look_the_same(technologist: Door, media_type: str) -> None:
    ramp = np.add.outer(np.arange(64) * 7, np.arange(64) * 9).astype("<u2")
    instance = stored(technologist, to_bytes(make_data_set(Rows=64, Columns=64, PixelData=ramp.tobytes())))
    exact = pixels(technologist.get(f"{instance}/rendered", accept="image/png")).astype(int)
    for quality, most in ((90, 3.0), (100, 1.0)):
        shown = pixels(technologist.get(f"{instance}/rendered?quality={quality}", accept=media_type))
        assert np.abs(shown - exact).mean() <= most
    assert len(np.unique(exact)) > 100
    parts = technologist.get(
        f"{instance.partition('/series')[0]}/rendered", accept=f"multipart/related; type={media_type}"
    )
    assert body_of(parts).count(b"Content-Type: " + media_type.encode()) == 1


def test_what_takes_too_long_to_encode_is_given_up(technologist: Door, settings: Any) -> None:
    noise = np.random.default_rng(7).integers(0, 256, 1 << 22, "u1")
    ds = make_data_set(Rows=2048, Columns=2048, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=noise.tobytes())
    instance = stored(technologist, to_bytes(ds))
    with_limits(settings, codec_seconds=1)
    problem = problem_of(technologist.get(f"{instance}/rendered?quality=100", accept="image/webp"), 406)
    assert "seconds" in problem["detail"]
    assert pixels(technologist.get(f"{instance}/rendered")).shape == (2048, 2048, 3)


def frames_of(response: Any) -> list[tuple[int, int]]:
    """Of each frame of an animated GIF: how long it lasts in ms, and its first grey."""
    assert (response.status_code, response["Content-Type"]) == (200, "image/gif")
    image = Image.open(io.BytesIO(body_of(response)))
    return [
        (each.info.get("duration", 0), np.asarray(each.convert("L"))[0, 0]) for each in ImageSequence.Iterator(image)
    ]


def moving(door: Door, count: int = 6, **values: Any) -> str:
    """Frame n is grey of 20 times n."""
    frames = np.repeat(np.arange(1, count + 1) * 20 % 65_536, 12 * 16).astype("<u2")
    ds, _ = native_frames(count)
    ds.PixelData, ds.WindowCenter, ds.WindowWidth = frames.tobytes(), 127.5, 256
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return stored(door, to_bytes(ds))


def test_a_multi_frame_image_moves_as_a_gif(technologist: Door) -> None:
    instance = moving(technologist, FrameTime="40")
    shown = frames_of(technologist.get(f"{instance}/rendered", accept="image/gif"))
    assert [duration for duration, _ in shown] == [40] * 6
    assert [grey for _, grey in shown] == pytest.approx([20 * n for n in range(1, 7)], abs=1)
    # a frame alone stands still, and so does every other media type
    assert len(frames_of(technologist.get(f"{instance}/frames/2/rendered", accept="image/gif"))) == 1
    assert pixels(technologist.get(f"{instance}/rendered")).shape == (12, 16, 3)


def test_frames_of_a_list_move_in_its_order(technologist: Door) -> None:
    instance = moving(technologist, CineRate="5")
    shown = frames_of(technologist.get(f"{instance}/frames/5,1,3/rendered", accept="image/gif"))
    assert [(d, round(g / 20)) for d, g in shown] == [(200, 5), (200, 1), (200, 3)]
    parts = technologist.get(f"{instance}/frames/5,1,3/rendered")
    assert parts["Content-Type"].startswith("multipart/related")
    problem_of(technologist.get(f"{instance}/frames/5,7/rendered", accept="image/gif"), 404)


def test_window_and_viewport_count_and_wado_uri_moves_too(technologist: Door) -> None:
    instance = moving(technologist)
    wide = technologist.get(f"{instance}/rendered?viewport=32,32&window=60,20", accept="image/gif")
    image = Image.open(io.BytesIO(body_of(wide)))
    assert image.size == (32, 24)
    _, study, _, series, _, uid = instance.split("/")
    query = {
        "requestType": "WADO",
        "studyUID": study,
        "seriesUID": series,
        "objectUID": uid,
        "contentType": "image/gif",
    }
    assert len(frames_of(technologist.http.get("/dicom-web/wado", query))) == 6
    assert len(frames_of(technologist.http.get("/dicom-web/wado", query | {"frameNumber": "2"}))) == 1


def test_a_moving_picture_is_bounded(technologist: Door, settings: Any) -> None:
    instance = moving(technologist)
    with_limits(settings, cine_frames=3, cine_pixels=3 * 12 * 16 // 4)
    response = technologist.get(f"{instance}/rendered", accept="image/gif")
    image = Image.open(io.BytesIO(body_of(response)))
    assert (image.n_frames, image.size) == (3, (8, 6))  # type: ignore[attr-defined]
    problem_of(technologist.get(f"{instance}/frames/1,2,3,4/rendered", accept="image/gif"), 400)


def test_each_of_many_frames_has_its_own_time(technologist: Door, settings: Any) -> None:
    """1,500 times take more room than other values of a header."""
    with_limits(settings, cine_frames=3)
    instance = moving(technologist, 1500, FrameTimeVector=[0, *["33.333"] * 1499], FrameTime=None)
    shown = frames_of(technologist.get(f"{instance}/rendered", accept="image/gif"))
    assert sum(duration for duration, _ in shown) == pytest.approx(50_000, abs=40)


def test_a_million_frames_do_not_move(technologist: Door) -> None:
    ds = make_data_set(Rows=1, Columns=1, BitsAllocated=8, BitsStored=8, HighBit=7, NumberOfFrames=1_000_000)
    ds.PixelData = bytes(1_000_000)
    instance = stored(technologist, to_bytes(ds))
    problem_of(technologist.get(f"{instance}/rendered", accept="image/gif"), 406)
    assert len(frames_of(technologist.get(f"{instance}/frames/7/rendered", accept="image/gif"))) == 1


def test_frames_that_cannot_be_drawn_are_left_out(technologist: Door) -> None:
    from pydicom.encaps import encapsulate
    from pydicom.uid import RLELossless

    good = io.BytesIO()
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(good, "JPEG")
    ds = make_data_set(NumberOfFrames=3, BitsAllocated=8, BitsStored=8, HighBit=7)
    rows = b"".join(bytes([15]) + bytes([50]) * 16 for _ in range(12))
    head = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    ds.PixelData = encapsulate([head + rows, b"damaged!", head + rows])
    ds["PixelData"].VR = "OB"
    instance = stored(technologist, to_bytes(ds, RLELossless))
    assert len(frames_of(technologist.get(f"{instance}/rendered", accept="image/gif"))) == 2
    problem_of(technologist.get(f"{instance}/frames/2/rendered", accept="image/gif"), 406)
