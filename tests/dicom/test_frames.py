"""Where frames lie: native, bit-packed and encapsulated pixel data (PS3.5 8.1, 8.2, A.4)."""

from __future__ import annotations

from array import array
from struct import pack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom.frames import FrameRange, FrameTable
from dicom.part10 import ParsedInstance, parse
from dicom.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000,
    JPEG_BASELINE,
    MPEG4_HIGH_41,
    RLE_LOSSLESS,
)
from tests.dicom.part10_objects import SEQUENCE_END, UNDEFINED, Memory, element, encapsulated, image, instance, item
from tests.dicom.pydicom_oracle import frame

SOI = b"\xff\xd8\xff\xe0"
A, B, C = SOI + b"AAAA", SOI + b"BBBBBB", SOI + b"CC"
MORE = b"more"


def frames_of(data: bytes) -> tuple[ParsedInstance, list[bytes]]:
    source = Memory(data)
    parsed = parse(source)
    assert parsed.frames is not None
    assert FrameTable.unpack(parsed.frames.pack()) == parsed.frames
    for number in (0, -1, parsed.frames.count + 1):
        with pytest.raises(IndexError):
            parsed.frames.ranges(number)
    return parsed, [frame(parsed, source, number + 1) for number in range(parsed.frames.count)]


@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN], ids=lambda syntax: syntax.name)
def test_native_frames(syntax) -> None:  # type: ignore[no-untyped-def]
    pixels = bytes(range(96))
    parsed, frames = frames_of(image(pixels, 4, 4, bits=16, frames="3", syntax=syntax))
    assert frames == [pixels[:32], pixels[32:64], pixels[64:]]
    assert parsed.pixels is not None
    assert (parsed.pixels.rows, parsed.pixels.columns, parsed.pixels.bits_allocated) == (4, 4, 16)
    assert (parsed.pixels.bits_stored, parsed.pixels.high_bit, parsed.pixels.number_of_frames) == (16, 15, 3)
    assert parsed.warnings == ()


def test_a_padded_frame() -> None:
    parsed, frames = frames_of(image(b"123456789\0", 3, 3))
    assert frames == [b"123456789"]
    assert parsed.warnings == ()


def test_only_whole_frames_count() -> None:
    parsed, frames = frames_of(image(bytes(40), 4, 4, frames="3"))
    assert len(frames) == 2
    assert "40 bytes, 3 frame(s) of 4 rows and 4 columns take 48" in parsed.warnings[-1].text
    assert parsed.pixels is not None
    assert parsed.pixels.number_of_frames == 3


def test_ybr_full_422_has_two_bytes_a_pixel() -> None:
    parsed, frames = frames_of(image(bytes(range(64)), 4, 4, samples=3, photometric="YBR_FULL_422", frames="2"))
    assert [len(found) for found in frames] == [32, 32]
    assert parsed.warnings == ()


def test_ybr_full_422_that_is_not_subsampled() -> None:
    _, frames = frames_of(image(bytes(96), 4, 4, samples=3, photometric="YBR_FULL_422", frames="2"))
    assert [len(found) for found in frames] == [48, 48]


@pytest.mark.parametrize(
    ("tag", "keyword", "bits"), [(0x7FE00008, "FloatPixelData", 32), (0x7FE00009, "DoubleFloatPixelData", 64)]
)
def test_float_pixels(tag: int, keyword: str, bits: int) -> None:
    pixels = bytes(range(bits // 8 * 4)) * 2
    more = {0x7FE00010: None, tag: ("OF" if bits == 32 else "OD", pixels)}
    parsed, frames = frames_of(image(b"", 2, 2, bits=bits, frames="2", more=more))
    assert b"".join(frames) == pixels
    assert parsed.pixels is not None
    assert parsed.pixels.keyword == keyword
    assert parsed.pixels.value_representation == ("OF" if bits == 32 else "OD")


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.randoms(use_true_random=False))
def test_single_bit_frames(rows: int, columns: int, count: int, random) -> None:  # type: ignore[no-untyped-def]
    bits = np.array([random.getrandbits(1) for _ in range(rows * columns * count)], "u1")
    packed = np.packbits(bits, bitorder="little").tobytes()
    packed += b"\0" * (len(packed) % 2)
    parsed, frames = frames_of(image(packed, rows, columns, bits=1, frames=str(count)))
    assert parsed.warnings == ()
    assert len(frames) == count
    for number, found in enumerate(frames):
        expected = bits[number * rows * columns : (number + 1) * rows * columns]
        assert found == np.packbits(expected, bitorder="little").tobytes()
        assert parsed.frames is not None
        assert parsed.frames.bit_offset(number + 1) == number * rows * columns % 8
        assert parsed.frames.frame_bits == rows * columns


ENCAPSULATED: dict[str, tuple[bytes, list[bytes]]] = {
    "one frame": (encapsulated([A], syntax=JPEG_BASELINE), [A]),
    "one frame in fragments": (encapsulated([A, MORE, MORE], syntax=JPEG_BASELINE), [A + MORE + MORE]),
    "a fragment a frame": (encapsulated([A, B, C], frames="3", syntax=JPEG_BASELINE), [A, B, C]),
    "fragments with a table": (
        encapsulated([A, MORE, B, MORE, MORE], [0, 28], frames="2", syntax=JPEG_BASELINE),
        [A + MORE, B + MORE + MORE],
    ),
    "fragments without a table": (
        encapsulated([A, MORE, B, C], frames="3", syntax=JPEG_BASELINE),
        [A + MORE, B, C],
    ),
    "a table that is wrong": (
        encapsulated([A, MORE, B, C], [0, 5, 9], frames="3", syntax=JPEG_BASELINE),
        [A + MORE, B, C],
    ),
    "JPEG 2000 without a table": (
        encapsulated([b"\xff\x4f\xff\x51..", MORE, b"\xff\x4f\xff\x51!!"], frames="2", syntax=JPEG_2000),
        [b"\xff\x4f\xff\x51.." + MORE, b"\xff\x4f\xff\x51!!"],
    ),
    "RLE": (encapsulated([b"12", b"34"], frames="2", syntax=RLE_LOSSLESS), [b"12", b"34"]),
    "video": (encapsulated([MORE, MORE], frames="500", syntax=MPEG4_HIGH_41), [MORE + MORE]),
    "an empty fragment": (encapsulated([b"", A], frames="2", syntax=JPEG_BASELINE), [b"", A]),
}


@pytest.mark.parametrize(("data", "expected"), ENCAPSULATED.values(), ids=ENCAPSULATED)
def test_encapsulated_frames(data: bytes, expected: list[bytes]) -> None:
    parsed, frames = frames_of(data)
    assert frames == expected
    assert not [warning for warning in parsed.warnings if "fragment" in warning.text]
    assert data[parsed.header_length : parsed.header_length + 4] == b"\xfe\xff\x00\xe0"


def test_an_extended_offset_table() -> None:
    fragments = [A, MORE, B, MORE]
    for padding in (0, 200):  # the longer table is bulk data, which is read all the same
        offsets = [0, 16 + len(A) + len(MORE)]
        more = {
            0x7FE00001: ("OV", pack("<2Q", *offsets) + pack(f"<{padding}Q", *range(padding))),
            0x7FE00002: ("OV", pack("<2Q", 12, 14)),
        }
        count = "2" if not padding else "202"
        data = encapsulated(fragments, frames=count, syntax=JPEG_BASELINE, more=more)
        parsed = parse(Memory(data))
        assert parsed.frames is not None
        if not padding:
            assert frames_of(data)[1] == [A + MORE, B + MORE]
        else:
            assert "7FE00001" in parsed.bulk
            assert parsed.warnings


@pytest.mark.parametrize(
    ("fragments", "frames", "count"),
    [([A, B], "3", 2), ([MORE] * 3, "2", 2), ([MORE] * 3, "9", 3), ([], "2", 0)],
)
def test_frames_nobody_can_tell_apart(fragments: list[bytes], frames: str, count: int) -> None:
    parsed = parse(Memory(encapsulated(fragments, frames=frames, syntax=JPEG_BASELINE)))
    assert (parsed.frames.count if parsed.frames else 0) == count
    assert any("fragment" in warning.text for warning in parsed.warnings)


def test_pixel_data_without_one_whole_frame_stays_reachable_as_bulk_data() -> None:
    data = image(b"0123456789abcdef", rows=8)
    parsed = parse(Memory(data))
    assert parsed.frames is None
    assert parsed.pixels is not None
    value = parsed.bulk["7FE00010"]
    assert data[value.offset : value.offset + value.length] == b"0123456789abcdef"


def test_an_encapsulated_icon_is_bulk_data() -> None:
    icon = element(0x7FE00010, "OB", item(b"") + item(A) + SEQUENCE_END, UNDEFINED)
    native = element(0x7FE00010, "OB", b"123456")
    data = instance({0x00880200: ("SQ", item(icon) + item(native))})
    parsed = parse(Memory(data))
    assert parsed.pixels is None
    values = [parsed.bulk[path] for path in ("00880200/1/7FE00010", "00880200/2/7FE00010")]
    assert [data[value.offset : value.offset + value.length] for value in values] == [A, b"123456"]


def test_whole_slide_headers_are_read_together() -> None:
    tiles = [SOI + bytes(60)] * 5000
    source = Memory(encapsulated(tiles, frames="5000", syntax=JPEG_BASELINE))
    parsed = parse(source)
    assert parsed.frames is not None
    assert parsed.frames.count == 5000
    assert len(source.reads) < 20

    tiles = [SOI + bytes(20_000)] * 100
    source = Memory(encapsulated(tiles, frames="100", syntax=JPEG_BASELINE))
    parse(source)
    assert sum(length for _, length in source.reads) < 200_000, "large fragments are stepped over"


def test_the_packed_table_is_small() -> None:
    assert len(FrameTable.native(1000, 512 * 512 * 16, 2000).pack()) < 30
    offsets = array("Q", range(0, 100_000, 10))
    table = FrameTable.encapsulated(offsets, array("I", [2]) * len(offsets))
    assert len(table.pack()) == 9 + 12 * len(offsets)
    assert table.ranges(7) == (FrameRange(60, 2),)
    assert FrameTable.unpack(table.pack()).ranges(10_000) == (FrameRange(99_990, 2),)


@pytest.mark.parametrize("data", [b"", b"X", b"N", b"E\1\0\0\0\1\0\0\0", b"E\1\0\0\0\1\0\0\0" + bytes(11)])
def test_other_bytes_are_no_table(data: bytes) -> None:
    with pytest.raises(Exception, match=r"table|bytes|buffer"):
        FrameTable.unpack(data)
