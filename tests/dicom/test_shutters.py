"""Display shutters, worked by hand (PS3.3 C.7.6.11)."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

from dicom.codecs import DecodedFrame
from dicom.region import Region
from dicom.shutters import shutter_of
from tests.dicom.drawing import dataset, drawn, grey, marks, plain

RECTANGLE: dict[str, Any] = {
    "ShutterShape": "RECTANGULAR",
    "ShutterLeftVerticalEdge": "2",
    "ShutterRightVerticalEdge": "3",
    "ShutterUpperHorizontalEdge": "2",
    "ShutterLowerHorizontalEdge": "4",
}


def test_a_rectangle_covers_what_is_outside_of_its_edges() -> None:
    assert marks(drawn(grey(4, 5), plain(**RECTANGLE))) == ["xxxxx", "x..xx", "x..xx", "x..xx"]


def test_a_circle_covers_what_is_beyond_its_radius() -> None:
    header = plain(ShutterShape="CIRCULAR", CenterOfCircularShutter=["3", "3"], RadiusOfCircularShutter="2")
    assert marks(drawn(grey(5, 5), header)) == ["xx.xx", "x...x", ".....", "x...x", "xx.xx"]


def test_a_circle_over_oblong_pixels_is_round() -> None:
    header = plain(ShutterShape="CIRCULAR", CenterOfCircularShutter=["3", "3"], RadiusOfCircularShutter="2")
    shutter = shutter_of(header, 5, 5, aspect=2.0)
    assert shutter is not None
    assert [int((~row).sum()) for row in shutter.covered] == [0, 1, 5, 1, 0]
    header.PixelAspectRatio = ["2", "1"]
    picture = drawn(grey(5, 5), header)
    assert picture.shape == (10, 5)
    assert picture[:1].max() == 0
    assert picture[4, 0] > 0


def test_a_polygon_covers_what_is_outside_of_it() -> None:
    header = plain(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=["1", "1", "1", "5", "5", "1"])
    assert marks(drawn(grey(5, 5), header)) == [".....", "....x", "...xx", "..xxx", ".xxxx"]


def test_several_shapes_leave_what_all_of_them_leave() -> None:
    header = plain(
        **RECTANGLE | {"ShutterShape": ["RECTANGULAR", "CIRCULAR"]},
        CenterOfCircularShutter=["3", "3"],
        RadiusOfCircularShutter="1",
    )
    assert marks(drawn(grey(4, 5), header)) == ["xxxxx", "xx.xx", "x..xx", "xx.xx"]


def test_the_presentation_value_is_seen_in_its_place() -> None:
    """A P-Value of 16 bits; a CIELab value goes before it."""
    shown = drawn(grey(4, 5), plain(**RECTANGLE, ShutterPresentationValue=0x8080))
    assert shown[0, 0] == 128
    white = drawn(grey(4, 5), plain(**RECTANGLE, ShutterPresentationColorCIELabValue=[0xFFFF, 0x8080, 0x8080]))
    assert white.ndim == 2
    assert white[0, 0] == 255
    red = drawn(grey(4, 5), plain(**RECTANGLE, ShutterPresentationColorCIELabValue=[35579, 53663, 50858]))
    assert red.shape == (4, 5, 3)
    assert numpy.abs(red[0, 0].astype(int) - (255, 0, 0)).max() <= 2
    assert red[1, 1].tolist() == [100, 100, 100]


def test_colour_images_and_regions_are_covered_too() -> None:
    colour = DecodedFrame(numpy.full((4, 5, 3), 100, "u1"), "RGB")
    picture = drawn(colour, dataset(**RECTANGLE), region=Region(1, 0, 3, 3))
    assert marks(picture[..., 1]) == ["xxx", "..x", "..x"]


def test_the_shutter_of_the_frame_goes_before_that_of_the_image() -> None:
    groups = dataset(FrameDisplayShutterSequence=[dataset(**RECTANGLE | {"ShutterRightVerticalEdge": "5"})])
    header = plain(**RECTANGLE, PerFrameFunctionalGroupsSequence=[dataset(), groups])
    assert marks(drawn(grey(4, 5), header, frame_number=1))[1] == "x..xx"
    assert marks(drawn(grey(4, 5), header, frame_number=2))[1] == "x...."


@pytest.mark.parametrize(
    "broken",
    [
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["3"], "RadiusOfCircularShutter": "2"},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": ["1", "1", "2"]},
        {"ShutterShape": "OVAL"},
        {"ShutterShape": ""},
    ],
)
def test_a_broken_shutter_covers_nothing(broken: dict[str, Any]) -> None:
    assert marks(drawn(grey(2, 2), plain(**broken))) == ["..", ".."]
