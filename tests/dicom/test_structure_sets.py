"""RT structure sets as contours, slice by slice (PS3.3 C.8.8.6)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dicom import structure_set_picture
from dicom.structure_set_picture import draw_structure_set, read_structures
from dicom.windowing import RenderingError
from tests.dicom.documents import as_json, contours, json_text, square
from tests.dicomweb.objects import to_bytes

_RED, _BLUE = (255, 0, 0), (0, 0, 255)


def where(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.intp]:
    """(row, column) of each pixel of this colour, left of the names."""
    return np.argwhere((picture[:, :-320] == colour).all(axis=2))


def test_slices_are_in_order_and_the_fullest_stands_for_all() -> None:
    ds = contours((1, square(10)), (1, square(0)), (2, square(0, 20, 10)), (1, square(-10)))
    read = read_structures(as_json(to_bytes(ds)))
    assert [round(place) for place, _ in read.slices] == [-10, 0, 10]
    assert read.fullest == 2
    text = json_text(to_bytes(ds))
    count, default = draw_structure_set(text, 0)
    assert count == 3
    assert np.array_equal(default, draw_structure_set(text, 2)[1])
    assert len(where(default, _RED)) > 0 < len(where(default, _BLUE))
    assert len(where(draw_structure_set(text, 1)[1], _BLUE)) == 0
    assert draw_structure_set(text, 4)[1].size == 0


def test_contours_are_to_scale_and_the_front_of_the_patient_is_up() -> None:
    """Blue is 20 of the 40 mm of red, from 10 mm to the left of the patient and 10 mm to the back."""
    picture = draw_structure_set(json_text(to_bytes(contours((1, square(0)), (2, square(0, 20, 10))))), 1)[1]
    red, blue = where(picture, _RED), where(picture, _BLUE)
    edge = red.max(axis=0) - red.min(axis=0)
    assert abs(edge[0] - edge[1]) <= 2, "square"
    for axis in (0, 1):
        begin, end = ((side - red[:, axis].min()) / edge[axis] for side in (blue[:, axis].min(), blue[:, axis].max()))
        assert begin == pytest.approx(0.25, abs=0.01)
        assert end == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
    ("points", "axis"),
    [([5, 0, 0, 5, 9, 0, 5, 9, 9], 0), ([0, 5, 0, 9, 5, 0, 9, 5, 9], 1), ([0, 0, 5, 9, 0, 5, 9, 9, 5], 2)],
)
def test_slices_lie_across_any_axis(points: list[float], axis: int) -> None:
    assert read_structures(as_json(to_bytes(contours((1, points))))).axis == axis


def test_the_head_is_up_in_slices_from_the_front() -> None:
    """A triangle whose point is towards the head."""
    ds = contours((1, [0, 5, 0, 40, 5, 0, 20, 5, 40]))
    found = where(draw_structure_set(json_text(to_bytes(ds)), 1)[1], _RED)
    assert np.ptp(found[found[:, 0] < found[:, 0].min() + 5][:, 1]) < np.ptp(
        found[found[:, 0] > found[:, 0].max() - 5][:, 1]
    )


@pytest.mark.parametrize(
    "ds",
    [
        contours(),
        contours((1, [0.0, 0.0])),
        contours((1, [1e9, 0, 0, 1, 1, 1])),
        contours((1, [0, 0, 0, 10, 20, 30, 40, 90, 60])),
    ],
)
def test_what_has_no_slices_is_refused(ds: object) -> None:
    with pytest.raises(RenderingError):
        read_structures(as_json(to_bytes(ds)))  # type: ignore[arg-type]


def test_the_number_of_points_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure_set_picture, "MAXIMUM_POINTS", 7)
    with pytest.raises(RenderingError, match="more than 7 points"):
        read_structures(as_json(to_bytes(contours((1, square(0)), (2, square(0))))))


def test_many_regions_are_counted_rather_than_named() -> None:
    names = tuple(f"Region {n}" for n in range(100))
    ds = contours(*[(n, square(0, 10 + n)) for n in range(1, 101)], names=names)
    count, picture = draw_structure_set(json_text(to_bytes(ds)), 0)
    assert count == 1
    assert picture.shape[0] < 1300
