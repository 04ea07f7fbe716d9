"""What a data set may hold at any place where a drawer reads: there is a picture, or a RenderingError, in bounds."""

from __future__ import annotations

import contextlib
import copy
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom.errors import DicomError
from dicom.report import report_lines
from dicom.report_picture import draw_report_page
from dicom.report_text import as_html, as_plain_text
from dicom.segmentation import lay_over, own_colour, read_segmentation
from dicom.structure_set_picture import draw_structure_set
from dicom.waveform_picture import draw_strip
from dicom.waveforms import strips_of
from tests.dicom.documents import as_json, content, contours, packaged, report, square, waveform
from tests.dicomweb.objects import to_bytes

LARGEST = 8 << 20


def _report(document: Any) -> None:
    text = orjson.dumps(document)
    _, picture = draw_report_page(text, 1)
    assert picture.size < LARGEST
    lines = report_lines(document)
    as_html(lines)
    as_plain_text(lines)


def _structures(document: Any) -> None:
    _, picture = draw_structure_set(orjson.dumps(document), 0)
    assert picture.size < LARGEST


def _waveforms(document: Any) -> None:
    strips = strips_of(document)
    for strip in (strips[0], strips[-1]):
        data = b"\x01\x80" * (min(strip.length, 40_000) // 2)
        for on_millimetres in (True, False):
            assert draw_strip(strip, data, on_millimetres, "title").size < LARGEST


def _segments(document: Any) -> None:
    read = read_segmentation(document, 4)
    for number in read.representative():
        assert 1 <= number <= 4
        segment = read.segments[number - 1]
        picture = np.zeros((2, 2, 3), np.uint8)
        lay_over(picture, np.ones((2, 2), np.uint8), read.colours.get(segment) or own_colour(segment), read.full)


_REPORT = report(
    [content("TEXT", "a", TextValue="b"), content("CONTAINER", "c", [content("SCOORD", "d", GraphicData=[1.0, 2.0])])]
)
DRAWN: dict[str, tuple[dict[str, Any], Callable[[Any], None]]] = {
    "report": (as_json(to_bytes(_REPORT)), _report),
    "packaged report": (as_json(packaged("test-SR.dcm")), _report),
    "contours": (as_json(to_bytes(contours((1, square(0)), (2, square(5))))), _structures),
    "waveform": (as_json(to_bytes(waveform(b"\0\0" * 50, 2))), _waveforms),
    "ecg": (as_json(packaged("waveform_ecg.dcm")), _waveforms),
    "segments": (as_json(packaged("liver_1frame.dcm")), _segments),
}
ODD: tuple[Any, ...] = (
    *(None, "", "x", "\u202e\u65e5\x00", "X" * 3000, "-1", "NaN", 0, -1, 1, 2, 1e308, -1e308, 1e-308, 2**63, 70_000),
    *([], [None], [[]], {}, {"Value": [None]}, {"vr": "SQ", "Value": [1, None, {}]}, {"InlineBinary": "%%"}, True),
)


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Each container of the tree with each of its keys or positions."""
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from places(node[key])


@pytest.mark.parametrize("name", DRAWN)
@settings(deadline=None, max_examples=40)
@given(damage=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(ODD)), min_size=1, max_size=4))
def test_odd_values_anywhere(name: str, damage: list[tuple[int, Any]]) -> None:
    original, draw = DRAWN[name]
    document = copy.deepcopy(original)
    for at, value in damage:
        found = list(places(document))
        node, key = found[at % len(found)]
        node[key] = copy.deepcopy(value)
    with contextlib.suppress(DicomError):
        draw(document)


@pytest.mark.parametrize("odd", ["2147483647", "4294967295"])
def test_counts_are_believed_only_as_far_as_there_are_bytes(odd: str) -> None:
    document = copy.deepcopy(DRAWN["waveform"][0])
    group = document["54000100"]["Value"][0]
    group["003A0010"]["Value"] = [int(odd)]
    group["003A001A"]["Value"] = [1e8]
    tracemalloc.start()
    try:
        _waveforms(document)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_groups_of_many_channels_that_are_only_counted_are_refused() -> None:
    group = copy.deepcopy(DRAWN["waveform"][0]["54000100"]["Value"][0])
    group["003A0005"]["Value"], group["003A0200"]["Value"] = [1024], []
    tracemalloc.start()
    try:
        with pytest.raises(DicomError, match="channels"):
            strips_of({"54000100": {"vr": "SQ", "Value": [group] * 200}})
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_segmentation_of_millions_of_frames_is_refused() -> None:
    with pytest.raises(DicomError, match="frames"):
        read_segmentation(DRAWN["segments"][0], 4_000_000)


def test_a_report_of_very_many_items_is_bounded() -> None:
    item = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}, "0040A160": {"vr": "UT", "Value": ["word " * 10]}}
    document = {"0040A730": {"vr": "SQ", "Value": [item] * 200_000}}
    assert len(report_lines(document)) < 5000


def test_extreme_places_in_a_structure_set() -> None:
    for points in ([0, 0, 0, 0, 0, 0], [9e4, 9e4, 0, -9e4, -9e4, 0], [0, 0, 0, 9e4, 0, 0], [5, 5, 5]):
        _structures(as_json(to_bytes(contours((1, [float(each) for each in points])))))
