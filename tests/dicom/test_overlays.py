"""Overlay planes in every form, worked by hand (PS3.3 C.9.2, C.9.3)."""

from __future__ import annotations

import tracemalloc
from itertools import product
from typing import Any

import numpy
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from dicom.codecs import DecodedFrame, decode_frame
from dicom.overlays import in_unused_bits, overlay_planes, whole_cells
from dicom.pixels import PixelDescription
from dicom.region import Region
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from tests.dicom.drawing import add_overlay, drawn, grey, marks, packed, plain


def test_overlay_data_is_white_where_a_bit_is_set() -> None:
    header = add_overlay(plain(), ["#.#", ".#."])
    assert marks(drawn(grey(3, 4), header)) == ["#.#.", ".#..", "...."]


def test_rows_of_bits_are_not_padded_to_bytes() -> None:
    header = add_overlay(plain(), ["#...#", ".#.#.", "..#..", "#####"])
    assert marks(drawn(grey(4, 5), header)) == ["#...#", ".#.#.", "..#..", "#####"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ((2, 3), ["....", "..##", "...."]),
        ((0, 0), ["#...", "....", "...."]),
        ((-1, 1), ["....", "....", "...."]),
        ((3, 4), ["....", "....", "...#"]),
        ((30, 40), ["....", "....", "...."]),
        ((-30, -40), ["....", "....", "...."]),
    ],
)
def test_the_origin_may_lie_outside_of_the_image(origin: tuple[int, int], expected: list[str]) -> None:
    header = add_overlay(plain(), ["##", ".#"] if origin == (0, 0) else ["##"], origin)
    assert marks(drawn(grey(3, 4), header)) == expected


def test_a_plane_may_be_larger_than_the_image() -> None:
    header = add_overlay(plain(), ["#" * 9] * 7, (-1, -2))
    assert marks(drawn(grey(2, 3), header)) == ["###", "###"]


def test_several_groups_are_drawn_together() -> None:
    header = add_overlay(add_overlay(plain(), ["#"]), ["#"], (2, 2), group=0x601E)
    assert marks(drawn(grey(2, 2), header)) == ["#.", ".#"]


def test_frames_of_a_plane_belong_to_frames_of_the_image() -> None:
    """One to one from ImageFrameOrigin on; a plane without frames is over all of them."""
    rows = ["#..", ".#.", "..#"]
    header = add_overlay(plain(), rows, frames=3)
    shown = [marks(drawn(grey(1, 3), header, frame_number=number)) for number in (1, 2, 3, 4)]
    assert shown == [["#.."], [".#."], ["..#"], ["..."]]
    later = add_overlay(plain(), rows, frames=3, first_frame=2)
    shown = [marks(drawn(grey(1, 3), later, frame_number=number)) for number in (1, 2, 4, 5)]
    assert shown == [["..."], ["#.."], ["..#"], ["..."]]
    all_of_them = add_overlay(plain(), ["#.."])
    assert marks(drawn(grey(1, 3), all_of_them, frame_number=9)) == ["#.."]


def test_of_a_region_of_interest_its_outline_is_drawn() -> None:
    header = add_overlay(plain(), ["####", "####", "####", "...."], kind="R")
    assert marks(drawn(grey(4, 4), header)) == ["####", "#..#", "####", "...."]


def test_the_outline_is_that_of_the_whole_region_wherever_the_image_ends() -> None:
    rows = ["......", ".#####", ".#####", ".###.#", ".#####", ".#####"]
    outline = ["......", ".#####", ".#..##", ".#.#.#", ".#..##", ".#####"]
    for origin in product(range(-6, 4), range(-6, 4)):
        shown, expected = (
            marks(drawn(grey(3, 3), add_overlay(plain(), plane, origin, kind=kind)))
            for plane, kind in ((rows, "R"), (outline, "G"))
        )
        assert shown == expected, origin


def test_a_region_far_larger_than_the_image_takes_no_multiple_of_its_memory() -> None:
    header = add_overlay(plain(), ["#"], kind="R")
    header[0x60000010].value, header[0x60000011].value, header[0x60003000].value = 4096, 4096, b"\xff" * (1 << 21)
    tracemalloc.start()
    try:
        assert marks(drawn(grey(3, 3), header)) == ["###", "#..", "#.."]
        assert tracemalloc.get_traced_memory()[1] < 2 * 4096 * 4096
    finally:
        tracemalloc.stop()


def test_bits_that_the_samples_leave_unused() -> None:
    """The retired form: bit 12 of cells of 16 bits, of which 12 are stored."""
    cells = numpy.full((2, 3), 100, "<u2")
    cells[0, 1] |= 1 << 12
    cells[1, 2] |= 1 << 15
    pixels = PixelDescription(2, 3, 1, 16, 12, 11, 0, "MONOCHROME2", 0, 1, "PixelData", "OW")
    header = plain(BitsStored=12)
    for group, position in ((0x6000, 12), (0x6002, 15)):
        header.add_new((group, 0x0010), "US", 2)
        header.add_new((group, 0x0011), "US", 3)
        header.add_new((group, 0x0040), "CS", "G")
        header.add_new((group, 0x0050), "SS", [1, 1])
        header.add_new((group, 0x0100), "US", 16)
        header.add_new((group, 0x0102), "US", position)
    assert in_unused_bits(header)
    syntax = EXPLICIT_VR_LITTLE_ENDIAN.uid
    frame = decode_frame(cells.tobytes(), syntax, pixels)
    whole = decode_frame(cells.tobytes(), syntax, whole_cells(pixels))
    picture = drawn(frame, header, planes=overlay_planes(header, 1, whole.array))
    assert marks(picture) == [".#.", "..#"]
    assert marks(drawn(frame, header)) == ["...", "..."], "without the cells there is nothing to draw"


def test_big_endian_words_and_colour() -> None:
    header = add_overlay(plain(), ["#.......", ".......#"])
    header[0x6000, 0x3000].value = b"".join(
        packed(["#.......", ".......#"])[place : place + 2][::-1] for place in range(0, 2, 2)
    )
    header.set_original_encoding(False, False)
    colour = DecodedFrame(numpy.zeros((2, 8, 3), "u1"), "RGB")
    picture = drawn(colour, header)
    assert picture[0].tolist() == [[255] * 3, *[[0] * 3] * 7]
    assert picture[1].tolist() == [*[[0] * 3] * 7, [255] * 3]


@pytest.mark.parametrize(
    ("element", "vr", "value"),
    [
        (0x0010, "US", 0),
        (0x0011, "US", 5000),
        (0x0050, "SS", [1]),
        (0x0050, "SS", None),
        (0x3000, "OW", b""),
        (0x0015, "IS", "7"),
        (0x0102, "US", 99),
    ],
)
def test_a_broken_plane_counts_as_absent(element: int, vr: str, value: Any) -> None:
    header = add_overlay(plain(), ["#"], (1, 1))
    header.add_new((0x6000, element), vr, value)
    picture = drawn(grey(2, 2), header, frame_number=3)
    assert marks(picture) in (["..", ".."], ["#.", ".."])


def unread(header: Dataset, tag: int, vr: str, value: bytes) -> Dataset:
    """`header` with an element as it comes from a file: pydicom makes a value of it when somebody asks."""
    header[tag] = RawDataElement(BaseTag(tag), vr, len(value), value, 0, False, True)
    return header


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x60000010, "US", b"\1"),
        (0x60000010, "FL", b"\0\0\x80\x7f"),
        (0x60000050, "SS", b"\1\0\1"),
        (0x60000100, "US", b"\1"),
        (0x60003000, "SQ", b"\1\0\2"),
        (0x00089205, "US", b"\1"),
        (0x00181600, "US", b"\1"),
        (0x00181612, "US", b"\1"),
        (0x00181622, "US", b"\1"),
        (0x00280030, "DS", b"0,5\\1,5 "),
        (0x00181164, "US", b"\1"),
    ],
)
def test_what_cannot_be_read_beside_an_image_costs_no_picture(tag: int, vr: str, value: bytes) -> None:
    shutter = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["1", "1"], "RadiusOfCircularShutter": "9"}
    header = unread(add_overlay(plain(**shutter), ["#"]), tag, vr, value)
    assert not in_unused_bits(header)
    assert drawn(grey(2, 2), header)[1].tolist() == [100, 100]


def test_overlays_follow_the_region_its_flips_and_the_scale() -> None:
    header = add_overlay(plain(), ["#...", "....", "...."])
    assert marks(drawn(grey(3, 4), header, region=Region(0, 0, -4, 3))) == ["...#", "....", "...."]
    assert marks(drawn(grey(3, 4), header, region=Region(0, 0, 4, -3))) == ["....", "....", "#..."]
    assert marks(drawn(grey(3, 4), header, region=Region(0, 0, -4, -3))) == ["....", "....", "...#"]
    assert marks(drawn(grey(3, 4), header, region=Region(1, 0, 3, 3))) == ["...", "...", "..."]
    larger = drawn(grey(3, 4), header, viewport=(40, 30))
    assert larger.shape == (30, 40)
    assert larger[2, 2] == 255
    assert larger[20, 20] == 100


def test_overlays_stay_white_over_monochrome1() -> None:
    picture = drawn(grey(1, 2, photometric="MONOCHROME1"), add_overlay(plain(), ["#."]))
    assert picture[0].tolist() == [255, 155]


def test_what_lies_over_a_large_image_takes_no_multiple_of_its_memory() -> None:
    side = 3000
    shutter = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["1500", "1500"], "RadiusOfCircularShutter": "9"}
    header, frame = add_overlay(plain(**shutter), ["#"]), grey(side, side)
    tracemalloc.start()
    try:
        picture = drawn(frame, header)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (picture[0, 0], picture[0, 1], picture[1499, 1499]) == (255, 0, 100)
    assert most < 8 * side * side
