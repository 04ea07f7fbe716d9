"""Segments in their colours (PS3.3 C.8.20, C.10.7.1.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom.segmentation import cielab_to_srgb, label_map, lay_over, own_colour, read_segmentation
from dicom.windowing import RenderingError
from tests.dicom.documents import as_json
from tests.dicomweb.objects import make_data_set, to_bytes

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def segment(number: int, **values: Any) -> Dataset:
    made = Dataset()
    made.SegmentNumber, made.SegmentLabel = number, f"Segment {number}"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def group(number: int, z: float | None) -> Dataset:
    made, of, plane = Dataset(), Dataset(), Dataset()
    of.ReferencedSegmentNumber = number
    made.SegmentIdentificationSequence = [of]
    if z is not None:
        plane.ImagePositionPatient = [0, 0, z]
        made.PlanePositionSequence = [plane]
    return made


def segmentation(kind: str, segments: list[Dataset], groups: list[Dataset], **more: Any) -> Any:
    ds = make_data_set(
        SOPClassUID=_SEGMENTATION,
        SegmentationType=kind,
        SegmentSequence=segments,
        PerFrameFunctionalGroupsSequence=groups,
        NumberOfFrames=len(groups),
        **more,
    )
    return as_json(to_bytes(ds))


@pytest.mark.parametrize(
    ("lab", "srgb"),
    [
        # L*, a*, b* under D50: 100 0 0, 0 0 0, 54.29 80.80 69.89, 87.82 -79.29 80.99, 29.57 68.30 -112.03
        ((65535, 32896, 32896), (255, 255, 255)),
        ((0, 32896, 32896), (0, 0, 0)),
        ((35579, 53662, 50858), (255, 0, 0)),
        ((57553, 12518, 53711), (0, 255, 0)),
        ((19379, 50449, 4105), (0, 0, 255)),
    ],
)
def test_colours_are_those_that_the_data_set_recommends(lab: tuple[int, ...], srgb: tuple[int, ...]) -> None:
    assert np.abs(np.subtract(cielab_to_srgb(lab), srgb)).max() <= 3


def test_segments_frames_and_planes() -> None:
    red = [35579, 53662, 50858]
    read = read_segmentation(
        segmentation(
            "BINARY",
            [
                segment(1, RecommendedDisplayCIELabValue=red),
                segment(7),
                segment(8, RecommendedDisplayGrayscaleValue=0x8000),
            ],
            [group(1, 0), group(1, 5), group(7, 5), group(8, 5), group(7, 10)],
        ),
        5,
    )
    assert read.segments == [1, 1, 7, 7 + 1, 7]
    assert np.abs(np.subtract(read.colours[1], (255, 0, 0))).max() <= 3
    assert read.colours[7] == own_colour(7)
    assert read.colours[8] == (128, 128, 128)
    assert read.representative() == [2, 3, 4], "the plane with the most segments"


def test_frames_without_a_place_stand_for_themselves() -> None:
    read = read_segmentation(segmentation("BINARY", [segment(1)], [group(1, None)] * 5), 5)
    assert read.representative() == [3]


def test_a_binary_segment_is_opaque_and_a_fractional_one_as_dense_as_it_says() -> None:
    picture = np.zeros((1, 4, 3), np.uint8)
    lay_over(picture, np.array([[0, 1, 0, 1]], np.uint8), (200, 100, 50), 1)
    assert picture[0].tolist() == [[0, 0, 0], [200, 100, 50], [0, 0, 0], [200, 100, 50]]
    lay_over(picture, np.array([[0, 100, 50, 250]], np.uint8), (0, 0, 200), 100)
    assert picture[0].tolist() == [[0, 0, 0], [0, 0, 200], [0, 0, 100], [0, 0, 200]]


def test_a_label_map_has_the_colour_of_each_label() -> None:
    frame = np.array([[0, 1, 2, 300]], np.uint16)
    picture = label_map(frame, {1: (1, 2, 3), 300: (4, 5, 6), 0: (9, 9, 9), 70_000: (7, 7, 7)})
    assert picture[0].tolist() == [[0, 0, 0], [1, 2, 3], [0, 0, 0], [4, 5, 6]]


def test_what_is_no_segmentation_is_refused() -> None:
    with pytest.raises(RenderingError):
        read_segmentation(segmentation("ODD", [], [group(1, 0)]), 1)
    with pytest.raises(RenderingError):
        lay_over(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8), (1, 2, 3), 1)
    for frame in (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint32), np.zeros((2, 2, 3), np.uint8)):
        with pytest.raises(RenderingError):
            label_map(frame, {})
