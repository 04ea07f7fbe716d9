"""Pages of an encapsulated PDF."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom.pdf_picture import MAXIMUM_EDGE, draw_pdf_page
from dicom.windowing import RenderingError
from tests.dicom.documents import pdf


def test_a_page_as_it_is_printed() -> None:
    count, picture = draw_pdf_page(pdf(3), 2, None)
    assert count == 3
    rows, columns = picture.shape[:2]
    assert (columns, rows) == (334, 500), "200 x 300 points at 120 dots an inch"
    assert picture[-5, 5].tolist() == [255, 0, 0], "red, lower left"
    assert picture[5, -5].tolist() == [255, 255, 255]


def test_pages_that_are_not_there_are_empty() -> None:
    for number in (0, 2, 10**6):
        count, picture = draw_pdf_page(pdf(1), number, None)
        assert (count, picture.size) == (1, 0)


@pytest.mark.parametrize("size", ["0 0 14400 14400", "0 0 1 1", "0 0 10 20000"])
def test_pages_of_any_size_are_bounded(size: str) -> None:
    rows, columns = draw_pdf_page(pdf(1, size), 1, (8192, 8192))[1].shape[:2]
    assert max(rows, columns) <= MAXIMUM_EDGE + 1


@pytest.mark.parametrize("size", ["0 0 1 30000"])
def test_a_line_is_no_page(size: str) -> None:
    with pytest.raises(RenderingError):
        draw_pdf_page(pdf(1, size), 1, None)


@pytest.mark.parametrize("data", [b"", b"no PDF", b"%PDF-1.4\n%%EOF", pdf(1)[:200]])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(RenderingError):
        draw_pdf_page(data, 1, None)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, len(pdf(2)) - 1), st.integers(0, 255)), max_size=12))
def test_a_damaged_pdf_has_a_picture_or_none(damage: list[tuple[int, int]]) -> None:
    data = bytearray(pdf(2))
    for at, value in damage:
        data[at] = value
    try:
        _, picture = draw_pdf_page(bytes(data), 1, (100, 100))
    except RenderingError:
        return
    assert picture.dtype == np.uint8
    assert max(picture.shape[:2], default=0) <= MAXIMUM_EDGE + 1
