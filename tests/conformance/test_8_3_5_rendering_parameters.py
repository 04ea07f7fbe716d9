"""PS3.18 8.3.5: how a picture is to be drawn. PNG is asked for, so that pixels can be compared."""

from __future__ import annotations

import io

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image

from tests.conformance.marks import clause
from tests.conformance.site import Corpus, Site
from tests.conformance.trap_server import problem_of


def picture(answer: requests.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def pixels(site: Site, stored: Corpus, query: str) -> NDArray[np.uint8]:
    return np.asarray(picture(site.get(f"{stored.slices[0].path}/rendered?{query}", "image/png")))


@clause("8.3.5.1.1")
def test_8_3_5_1_1_annotation_is_drawn(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered?viewport=320,240"
    plain = site.get(path, "image/png")
    drawn = {words: site.get(f"{path}&annotation={words}", "image/png") for words in ("patient", "technique")}
    assert len({plain.content, *(answer.content for answer in drawn.values())}) == 3
    asked = site.get(f"{path}&annotation=patient,weather", "image/png")
    assert asked.content == drawn["patient"].content
    assert asked.headers["Warning"] == '299 Lightbox: "The following annotation values are not supported: weather"'
    assert not any("Warning" in answer.headers for answer in (plain, *drawn.values()))
    rest = f"{stored.slices[0].series}/rendered?annotation=weather"
    assert "weather" in site.get(rest, 'multipart/related; type="image/png"').headers["Warning"]
    for value in ("", "1", "Pat%0D%0AX: y", "a b"):
        problem_of(site.get(f"{path}&annotation={value}", "image/png"), 400)


@clause("8.3.5.1.2")
def test_8_3_5_1_2_quality(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered"
    sizes = [len(site.get(f"{path}?quality={q}", "image/jpeg").content) for q in (1, 50, 100)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    for value in ("0", "101", "good", "1.5"):
        problem_of(site.get(f"{path}?quality={value}", "image/jpeg"), 400)


@clause("8.3.5.1.3")
def test_8_3_5_1_3_viewport_keeps_the_aspect_and_does_not_overflow(site: Site, stored: Corpus) -> None:
    for viewport, size in {"8,8": (8, 6), "160,999": (160, 120), "999,12": (16, 12), "32,24": (32, 24)}.items():
        answer = site.get(f"{stored.slices[0].path}/rendered?viewport={viewport}", "image/png")
        assert picture(answer).size == size
    assert pixels(site, stored, "").shape == (12, 16), "as large as the source"
    for value in ("8", "0,8", "8,-8", "a,b", "8.5,8"):
        problem_of(site.get(f"{stored.slices[0].path}/rendered?viewport={value}", "image/png"), 400)


@clause("8.3.5.1.3-region")
def test_8_3_5_1_3_region_of_the_source_image(site: Site, stored: Corpus) -> None:
    whole = pixels(site, stored, "window=96,192,linear")
    cut = "window=96,192,linear&viewport="
    assert np.array_equal(pixels(site, stored, f"{cut}8,4,2,3,8,4"), whole[3:7, 2:10])
    assert np.array_equal(pixels(site, stored, f"{cut}8,4,,,8,4"), whole[:4, :8]), "from 0,0"
    assert np.array_equal(pixels(site, stored, f"{cut}8,4,8,8"), whole[8:, 8:]), "to the edges"
    assert np.array_equal(pixels(site, stored, f"{cut}16,12,0,0,-16,12"), whole[:, ::-1]), "flipped sideways"
    assert np.array_equal(pixels(site, stored, f"{cut}8,4,2,3,8,-4"), whole[3:7, 2:10][::-1]), "flipped over"
    outside = ("8,4,16", "8,4,0,12", "8,4,16,12,8,4")
    for value in ("8,4,x", "8,4,0,0,0,4", "8,4,1,2,3,4,5", *outside):
        problem_of(site.get(f"{stored.slices[0].path}/rendered?viewport={value}", "image/png"), 400)


@clause("8.3.5.1.4")
@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
def test_8_3_5_1_4_window_with_each_function(site: Site, stored: Corpus, function: str) -> None:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3, calculated here for the values 0 to 191 of the slice."""
    center, width = 96.0, 100.0
    x = np.arange(192, dtype=float).reshape(12, 16)
    y = {
        "linear": ((x - (center - 0.5)) / (width - 1) + 0.5) * 255,
        "linear-exact": ((x - center) / width + 0.5) * 255,
        "sigmoid": 255 / (1 + np.exp(-4 * (x - center) / width)),
    }[function]
    drawn = pixels(site, stored, f"window={center},{width},{function}").astype(float)
    assert np.abs(drawn - y.clip(0, 255)).max() <= 1
    for value in ("96", "a,b,linear", "96,0,linear", "96,100,cubic", "96,-1,sigmoid"):
        problem_of(site.get(f"{stored.slices[0].path}/rendered?window={value}", "image/png"), 400)


@clause("8.3.5.1.4-function")
def test_8_3_5_1_4_function_left_out_is_linear(site: Site, stored: Corpus) -> None:
    assert np.array_equal(pixels(site, stored, "window=96,100"), pixels(site, stored, "window=96,100,linear"))


@clause("8.3.5.1.5")
def test_8_3_5_1_5_icc_profile(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/rendered"
    embedded = {
        choice: picture(site.get(f"{path}?iccprofile={choice}", "image/png")).info.get("icc_profile", b"")
        for choice in ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")
    }
    assert embedded.pop("no") == picture(site.get(path, "image/png")).info.get("icc_profile", b"") == b""
    assert len(set(embedded.values())) == 5
    assert all(profile[36:40] == b"acsp" for profile in embedded.values())
    for value in ("cmyk", "SRGB", "x%0D%0Ay"):
        problem_of(site.get(f"{path}?iccprofile={value}", "image/png"), 400)


@clause("8.3.5.2")
def test_8_3_5_2_viewport_of_a_thumbnail(site: Site, stored: Corpus) -> None:
    path = f"{stored.slices[0].path}/thumbnail"
    assert max(picture(site.get(path, "image/jpeg")).size) == 256
    for edge in (8, 300):
        assert max(picture(site.get(f"{path}?viewport={edge},{edge}", "image/jpeg")).size) == edge
    for wrong in ("8", "0,8", "8,8,1,1,4,4", "1025,8"):
        problem_of(site.get(f"{path}?viewport={wrong}", "image/jpeg"), 400)


@clause("8.3.5.3", "10.4.1.1.7", "10.4.1.1.8", "K")
@pytest.mark.parametrize("resource", ["renderedMPR", "rendered3D", "renderedmpr", "rendered3d"])
def test_8_3_5_3_rendered_volumes_are_not_found(site: Site, stored: Corpus, resource: str) -> None:
    for path in (stored.slices[0].study, stored.slices[0].series):
        problem_of(site.get(f"{path}/{resource}?renderingmethod=maximum_ip", "image/jpeg"), 404)
