"""ICC profiles in pictures (PS3.18 8.3.5.1.5), and palettes for some of the values (PS3.3 C.7.6.19)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy
import pydicom.data
import pytest
from PIL import Image, ImageCms
from pydicom import Dataset

from dicom.codecs import DecodedFrame
from dicom.icc import CHOICES, SPACES, colour_managed, grey_profile, profile_in, space_profile
from dicom.rendering import RenderingError, encode_picture
from tests.dicom.drawing import dataset, drawn, plain

PRIMARIES = numpy.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 255]]], "u1")


def crayons() -> bytes:
    """A profile that comes with pydicom."""
    path = pydicom.data.get_testdata_file("crayons.icc", download=False)
    assert isinstance(path, str)
    return Path(path).read_bytes()


def profile_name(data: bytes) -> str:
    return str(ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(data)))).strip()


@pytest.mark.parametrize(
    ("space", "red"),
    [("srgb", [255, 0, 0]), ("adobergb", [219, 0, 0]), ("displayp3", [234, 51, 35]), ("rommrgb", [179, 70, 26])],
)
def test_srgb_red_in_each_colour_space(space: str, red: list[int]) -> None:
    """What the definitions of the spaces give for it; grey stays without colour, white white."""
    picture, profile = colour_managed(PRIMARIES, b"", space)
    assert numpy.abs(picture[0, 0].astype(int) - red).max() <= 1
    assert int(numpy.ptp(picture[0, 3])) <= 1
    assert picture[0, 4].tolist() == [255, 255, 255]
    assert profile_name(profile) == SPACES[space].name


def test_our_srgb_is_that_of_littlecms() -> None:
    theirs = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    values = numpy.random.default_rng(5).integers(0, 256, (64, 64, 3)).astype("u1")
    converted, _ = colour_managed(values, theirs, "srgb")
    assert numpy.abs(converted.astype(int) - values).max() <= 1


def test_the_profile_of_the_image_is_embedded_or_applied() -> None:
    own = crayons()
    same, profile = colour_managed(PRIMARIES, own, "yes")
    assert same.tolist() == PRIMARIES.tolist()
    assert profile == own
    red_of_adobe = numpy.array([[[219, 0, 0]]], "u1")
    converted, profile = colour_managed(red_of_adobe, space_profile("adobergb"), "srgb")
    assert profile == space_profile("srgb")
    assert numpy.abs(converted[0, 0].astype(int) - (255, 0, 0)).max() <= 2
    unchanged, profile = colour_managed(PRIMARIES, own, "no")
    assert unchanged is PRIMARIES
    assert not profile


def test_without_a_profile_colours_are_srgb_and_grey_is_grey() -> None:
    assert colour_managed(PRIMARIES, b"", "yes")[1] == space_profile("srgb")
    shades = numpy.arange(256, dtype="u1")[None, :]
    same, profile = colour_managed(shades, crayons(), "yes")
    assert same is shades
    assert profile == grey_profile()
    coloured, profile = colour_managed(shades, b"", "srgb")
    assert coloured.shape == (1, 256, 3)
    assert numpy.abs(coloured[..., 1].astype(int) - shades).max() == 0


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
@pytest.mark.parametrize("choice", CHOICES)
def test_the_file_has_the_profile(media_type: str, choice: str) -> None:
    for picture in (PRIMARIES, PRIMARIES[..., 0]):
        managed, profile = colour_managed(picture, b"", choice)
        image = Image.open(io.BytesIO(encode_picture(managed, media_type, icc_profile=profile)))
        assert image.info.get("icc_profile", b"") == profile
        assert bool(profile) == (choice != "no")


def test_a_gif_has_no_place_for_one() -> None:
    Image.open(io.BytesIO(encode_picture(PRIMARIES, "image/gif", icc_profile=space_profile("srgb")))).load()


@pytest.mark.parametrize("broken", [b"x" * 200, bytes(500), grey_profile()])
def test_a_broken_profile_is_refused_where_it_counts(broken: bytes) -> None:
    with pytest.raises(RenderingError, match="ICCProfile"):
        colour_managed(PRIMARIES, broken, "srgb")


def test_where_a_profile_stands() -> None:
    assert profile_in(dataset(ICCProfile=b"p" * 200)) == b"p" * 200
    assert profile_in(dataset(OpticalPathSequence=[dataset(ICCProfile=b"q" * 200)])) == b"q" * 200
    assert profile_in(dataset(ICCProfile=b"")) == profile_in(Dataset()) == b""


def supplemental(**more: Any) -> Dataset:
    header = plain(**{"PixelPresentation": "COLOR"} | more)
    for number, values in enumerate(([255, 0, 9], [0, 255, 9], [0, 0, 9])):
        header.add_new(0x00281101 + number, "US", [3, 1000, 8])
        header.add_new(0x00281201 + number, "OW", bytes([*values, 0]))
    return header


def test_values_from_the_first_of_the_supplemental_palette_on_are_colours() -> None:
    frame = DecodedFrame(numpy.array([[0, 100, 999, 1000, 1001, 5000]], "u2"), "MONOCHROME2")
    picture = drawn(frame, supplemental())
    expected = [[0, 0, 0], [100, 100, 100], [255, 255, 255], [255, 0, 0], [0, 255, 0], [9, 9, 9]]
    assert picture[0].tolist() == expected
    assert drawn(frame, supplemental(PixelPresentation="MONOCHROME")).ndim == 2


@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"])
def test_spacings_make_pixels_square(keyword: str) -> None:
    """Row spacing comes first (PS3.3 10.7.1.3); a twentieth of a percent is the rounding of a detector."""
    frame = DecodedFrame(numpy.zeros((10, 20), "u1"), "MONOCHROME2")
    assert drawn(frame, dataset(**{keyword: ["2", "1"]})).shape == (20, 20)
    assert drawn(frame, dataset(**{keyword: ["0.5", "1"]})).shape == (10, 40)
    assert drawn(frame, dataset(**{keyword: ["1.2", "1.2011"]})).shape == (10, 20)
    group = dataset(PixelMeasuresSequence=[dataset(PixelSpacing=["3", "1"])])
    assert drawn(frame, dataset(SharedFunctionalGroupsSequence=[group])).shape == (30, 20)
    both = dataset(**{keyword: ["2", "1"], "PixelAspectRatio": ["1", "1"]})
    assert drawn(frame, both).shape == (10, 20)
