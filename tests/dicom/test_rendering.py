"""Rendered frames against PS3.3 C.11 worked by hand and against pydicom's own pixel processing."""

from __future__ import annotations

import io
import time
import tracemalloc
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut, convert_color_space

from dicom import rendering
from dicom.codecs import DecodedFrame, decode_frame
from dicom.colour import to_rgb
from dicom.errors import DicomError
from dicom.rendering import RenderingError, Window, render_frame, thumbnail
from tests.dicom.independent_pixels import describe, frame_bytes, independent_array, packaged, transfer_syntax_of


def dataset(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def grey(values: Any, dtype: str = "u2", photometric: str = "MONOCHROME2") -> DecodedFrame:
    return DecodedFrame(numpy.atleast_2d(numpy.array(values, dtype)), photometric)


def drawn(frame: DecodedFrame, header: Dataset | None = None, **options: Any) -> NDArray[Any]:
    """The rendered pixels, through PNG so that none is lost."""
    encoded = render_frame(frame, header or Dataset(), media_type="image/png", **options)
    return numpy.asarray(Image.open(io.BytesIO(encoded)))


def shades(frame: DecodedFrame, header: Dataset | None = None, **options: Any) -> list[int]:
    return [int(value) for value in drawn(frame, header, **options)[0]]


def lut_item(first: int, data: list[int], bits: int, representation: str = "US") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, representation, [len(data), first, bits])
    item.add_new(0x00283006, "US", data)
    return item


def test_linear_window_of_the_standard() -> None:
    """PS3.3 C.11.2.1.2.1 for center 2048 and width 4096: 0 to 4095, and its table's example of width 1."""
    values = grey([0, 1, 2047, 2048, 4094, 4095, 4096], "i4")
    assert shades(values, window=Window(2048, 4096)) == [0, 0, 127, 128, 255, 255, 255]
    # c - 0.5 - (w - 1) / 2 = 89.5; c - 0.5 + (w - 1) / 2 = 109.5
    values = grey([89, 90, 99, 100, 109, 110], "i4")
    expected = [0, *(round(((x - 99.5) / 20 + 0.5) * 255) for x in (90, 99, 100, 109)), 255]
    assert shades(values, window=Window(100, 21)) == expected
    assert shades(grey([98, 99, 100, 101], "i4"), window=Window(100, 1)) == [0, 0, 255, 255]


def test_linear_exact_and_sigmoid_windows() -> None:
    """PS3.3 C.11.2.1.3."""
    values = grey([80, 90, 100, 110, 120])
    assert shades(values, window=Window(100, 20, "LINEAR_EXACT")) == [0, 0, 128, 255, 255]
    assert shades(grey([95, 105]), window=Window(100, 20, "LINEAR_EXACT")) == [64, 191]
    assert shades(values, window=Window(100, 20, "SIGMOID")) == [5, 30, 128, 225, 250]
    assert shades(grey([-30000, 30000], "i2"), window=Window(0, 0.001, "SIGMOID")) == [0, 255]


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [(1, 0.5, "LINEAR"), (1, 0, "LINEAR_EXACT"), (1, -3, "SIGMOID"), (1, float("nan"), "LINEAR"), (1, 10, "CUBIC")],
)
def test_windows_the_standard_forbids(center: float, width: float, function: str) -> None:
    with pytest.raises(RenderingError):
        Window(center, width, function)


def test_the_first_window_of_the_data_set_unless_another_is_asked_for() -> None:
    header = dataset(WindowCenter=["100", "5"], WindowWidth=["20", "5"], VOILUTFunction="LINEAR_EXACT")
    assert shades(grey([90, 100, 110]), header) == [0, 128, 255]
    assert shades(grey([90, 100, 110]), header, window=Window(110, 20, "LINEAR_EXACT")) == [0, 0, 128]
    broken = dataset(WindowCenter="100", WindowWidth="0")
    assert shades(grey([7, 9]), broken) == [0, 255]


def test_rescaled_signed_values() -> None:
    header = dataset(RescaleSlope="2", RescaleIntercept="-1000", WindowCenter="0", WindowWidth="1001")
    frame = grey([-32768, 250, 500, 750, 32767], "i2")
    assert shades(frame, header) == [0, 0, 128, 255, 255]


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "examples_overlay.dcm", "693_J2KI.dcm"])
def test_modality_and_window_equal_pydicom(name: str) -> None:
    source = packaged(name)
    pixels = describe(source)
    frame = decode_frame(frame_bytes(source), transfer_syntax_of(source).uid, pixels)
    values = apply_modality_lut(independent_array(source, 1, frame.photometric_interpretation), source)
    center, width = float(values.mean()), float(values.max() - values.min())
    shown = dataset(WindowCenter=center, WindowWidth=width, VOILUTFunction="LINEAR_EXACT")
    for keyword in ("RescaleSlope", "RescaleIntercept", "PixelRepresentation", "BitsStored"):
        setattr(shown, keyword, source.get(keyword, {"RescaleSlope": 1, "RescaleIntercept": 0}.get(keyword)))
    expected = numpy.clip(((values - center) / width + 0.5) * 255, 0, 255)
    assert numpy.abs(drawn(frame, shown).astype(float) - expected).max() <= 0.5 + 1e-6


def test_voi_lut_equals_pydicom_and_goes_before_the_window() -> None:
    data = [0, 10, 200, 4095]
    item = lut_item(100, data, 12)
    header = dataset(
        VOILUTSequence=[item], WindowCenter="1", WindowWidth="2", PixelRepresentation=0, BitsStored=12, BitsAllocated=16
    )
    values = numpy.array([[0, 100, 101, 102, 103, 104, 4000]], "u2")
    expected = apply_voi_lut(values, header).astype(float) * 255 / 4095
    numpy.testing.assert_allclose(drawn(DecodedFrame(values, "MONOCHROME2"), header), expected, atol=0.5)
    assert shades(DecodedFrame(values, "MONOCHROME2"), header, window=Window(102, 2, "LINEAR_EXACT"))[:3] == [0, 0, 0]


def test_voi_lut_of_negative_inputs() -> None:
    """PS3.3 C.11.2.1.1: the first input is signed when the output of the modality LUT is."""
    header = dataset(VOILUTSequence=[lut_item(-2, [0, 85, 170, 255], 8, "SS")], PixelRepresentation=1, BitsStored=16)
    assert shades(grey([-9, -2, -1, 0, 1, 9], "i2"), header) == [0, 0, 85, 170, 255, 255]


def test_lut_data_as_bytes_and_of_65536_entries() -> None:
    item = Dataset()
    item.add_new(0x00283002, "US", [0, 0, 16])
    item.add_new(0x00283006, "OW", numpy.arange(65535, -1, -1).astype("<u2").tobytes())
    header = dataset(VOILUTSequence=[item], PixelRepresentation=0, BitsStored=16)
    assert shades(grey([0, 32768, 65535]), header) == [255, 127, 0]
    half = Dataset()
    half.add_new(0x00283002, "US", [4, 0, 8])
    half.add_new(0x00283006, "OW", bytes([0, 50, 100, 255]))
    assert shades(grey([0, 1, 2, 3]), dataset(VOILUTSequence=[half])) == [0, 50, 100, 255]


def test_a_broken_voi_lut_counts_as_absent() -> None:
    short = lut_item(0, [1, 2], 8)
    short.LUTDescriptor = [300, 0, 8]
    header = dataset(VOILUTSequence=[short], WindowCenter="100", WindowWidth="20", VOILUTFunction="LINEAR_EXACT")
    assert shades(grey([90, 100, 110]), header) == [0, 128, 255]


def test_modality_lut_sequence_equals_pydicom() -> None:
    item = lut_item(10, [500, 700, 900], 16)
    item.ModalityLUTType = "US"
    header = dataset(
        ModalityLUTSequence=[item],
        WindowCenter="700",
        WindowWidth="400",
        VOILUTFunction="LINEAR_EXACT",
        PixelRepresentation=0,
        BitsStored=16,
        BitsAllocated=16,
    )
    values = numpy.array([[0, 10, 11, 12, 99]], "u2")
    assert apply_modality_lut(values, header).tolist() == [[500, 500, 700, 900, 900]]
    assert shades(DecodedFrame(values, "MONOCHROME2"), header) == [0, 0, 128, 255, 255]


def test_functional_groups_of_the_frame_go_before_shared_ones() -> None:
    """PS3.3 C.7.6.16."""

    def groups(slope: str, center: str) -> Dataset:
        return dataset(
            PixelValueTransformationSequence=[dataset(RescaleSlope=slope, RescaleIntercept="0")],
            FrameVOILUTSequence=[dataset(WindowCenter=center, WindowWidth="20", VOILUTFunction="LINEAR_EXACT")],
        )

    header = dataset(
        WindowCenter="1",
        WindowWidth="1",
        SharedFunctionalGroupsSequence=[groups("1", "100")],
        PerFrameFunctionalGroupsSequence=[Dataset(), groups("2", "200")],
    )
    frame = grey([90, 95, 100, 105, 110])
    assert shades(frame, header, frame_number=1) == [0, 64, 128, 191, 255]
    assert shades(frame, header, frame_number=2) == [0, 0, 128, 255, 255]
    assert shades(frame, header, frame_number=3) == [0, 64, 128, 191, 255]


def test_monochrome1_and_the_inverse_shape_show_low_values_bright() -> None:
    window = Window(100, 20, "LINEAR_EXACT")
    assert shades(grey([90, 100, 110], "u2", "MONOCHROME1"), window=window) == [255, 128, 0]
    shaped = dataset(PresentationLUTShape="INVERSE")
    assert shades(grey([90, 100, 110]), shaped, window=window) == [255, 128, 0]
    assert shades(grey([90, 100, 110], "u2", "MONOCHROME1"), shaped, window=window) == [255, 128, 0]


def test_without_a_window_the_frame_fills_the_range_and_padding_does_not_count() -> None:
    assert shades(grey([1000, 1050, 1100])) == [0, 128, 255]
    assert shades(grey([7, 7, 7])) == [128, 128, 128]
    padded = dataset(PixelPaddingValue=-2000, PixelRepresentation=1)
    assert shades(grey([-2000, 0, 50, 100], "i2"), padded) == [0, 0, 128, 255]
    ranged = dataset(PixelPaddingValue=5000, PixelPaddingRangeLimit=4000)
    assert shades(grey([0, 50, 100, 4000, 4500]), ranged) == [0, 128, 255, 255, 255]
    unsigned = Dataset()
    unsigned.add_new(0x00280120, "US", 0x10000 - 2000)
    assert shades(grey([-2000, 0, 50, 100], "i2"), unsigned) == [0, 0, 128, 255]
    rescaled = dataset(RescaleSlope="-1", RescaleIntercept="0")
    assert shades(grey([0, 50, 100]), rescaled) == [255, 128, 0]


def test_a_few_outliers_do_not_darken_the_frame() -> None:
    array = numpy.tile(numpy.arange(1000, 2000), (100, 1)).astype("u2")
    array[50, 500] = 65535
    picture = drawn(DecodedFrame(array, "MONOCHROME2"))
    assert picture[0, 998] > 250
    assert picture[50, 500] == 255
    sparse = numpy.zeros((200, 200), "u2")
    sparse[3, 3] = 900
    assert drawn(DecodedFrame(sparse, "MONOCHROME2"))[3, 3] == 255


def test_single_bit_frames_are_black_and_white() -> None:
    header = dataset(BitsStored=1)
    assert shades(grey([0, 1, 0], "u1"), header) == [0, 255, 0]
    assert shades(grey([0, 0, 0], "u1"), header) == [0, 0, 0]
    assert shades(grey([1, 1, 1], "u1"), header) == [255, 255, 255]


def test_floating_point_frames_survive_what_is_no_number() -> None:
    values = [0.0, 0.5, 1.0, numpy.nan, -numpy.inf, numpy.inf]
    assert shades(grey(values, "f4")) == [0, 128, 255, 0, 0, 255]
    # LINEAR counts integers; of a map from 0 to 1 it is read as LINEAR_EXACT
    header = dataset(WindowCenter="0.5", WindowWidth="1.0", VOILUTFunction="LINEAR")
    assert shades(grey([0, 0.25, 0.5, 1], "f8"), header) == [0, 64, 128, 255]
    assert shades(grey([numpy.nan, numpy.nan], "f4")) == [0, 0]


def test_32_bit_frames() -> None:
    assert shades(grey([0, 1 << 31, (1 << 32) - 1], "u4")) == [0, 128, 255]
    assert shades(grey([-(1 << 31), 0, (1 << 31) - 1], "i4")) == [0, 128, 255]
    assert shades(grey([(1 << 31) - 101, (1 << 31) - 51, (1 << 31) - 1], "i4")) == [0, 128, 255]
    assert shades(grey([(1 << 63) - 1, 1 << 63], "u8"), window=Window(0, 10)) == [255, 255]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_every_value_of_a_type_is_drawn_in_its_place(dtype: str) -> None:
    info = numpy.iinfo(dtype)
    values = numpy.arange(info.min, info.max + 1).astype(dtype).reshape(16, -1)
    picture = drawn(DecodedFrame(values, "MONOCHROME2"), window=Window(0, 200, "LINEAR_EXACT"))
    expected = numpy.clip((values.astype(float) / 200 + 0.5) * 255, 0, 255)
    assert numpy.abs(picture - expected).max() <= 0.5


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_frames_of_other_ranges_types_and_windows_are_drawn_apart(dtype: str) -> None:
    """Whatever was drawn before them, and in whichever order."""
    bounds = numpy.iinfo(dtype)
    ranges = [(0, 100), (int(bounds.min), int(bounds.max)), (int(bounds.max) - 5, int(bounds.max)), (3, 4)]
    headers = [dataset(RescaleSlope=slope, RescaleIntercept=intercept) for slope, intercept in ((1, 0), (2, -100))]
    for header in (*headers, *headers):
        for first, last in (*ranges, *reversed(ranges)):
            frame = grey([first, (first + last) // 2, last], dtype)
            for window in (Window(40, 400), Window(40, 400, "SIGMOID"), Window(0, 2), Window(1000, 30000)):
                values = frame.array[0].astype(float) * float(header.RescaleSlope) + float(header.RescaleIntercept)
                for photometric, inverse in (("MONOCHROME2", False), ("MONOCHROME1", True)):
                    shown = 255 - window(values) if inverse else window(values)
                    wanted = [int(value) for value in numpy.rint(shown)]
                    assert shades(grey(frame.array, dtype, photometric), header, window=window) == wanted


def test_palette_equals_pydicom() -> None:
    source = packaged("examples_palette.dcm")
    frame = decode_frame(frame_bytes(source), transfer_syntax_of(source).uid, describe(source))
    expected = apply_color_lut(independent_array(source, 1, "PALETTE COLOR"), source)
    shift = 8 if expected.dtype == numpy.uint16 else 0
    numpy.testing.assert_array_equal(drawn(frame, source), expected >> shift)


def palette(descriptor: list[int], data: Any, *, segmented: bool = False, representation: str = "OW") -> Dataset:
    header = Dataset()
    for number in range(3):
        header.add_new(0x00281101 + number, "US", descriptor)
        header.add_new((0x00281221 if segmented else 0x00281201) + number, representation, data)
    return header


def test_palette_inputs_outside_the_table_take_its_ends() -> None:
    header = palette([3, 5, 16], numpy.array([0x1100, 0x8000, 0xFF00], "<u2").tobytes())
    picture = drawn(DecodedFrame(numpy.array([[0, 5, 6, 7, 200]], "u1"), "PALETTE COLOR"), header)
    assert picture[0, :, 0].tolist() == [0x11, 0x11, 0x80, 0xFF, 0xFF]


def test_palette_of_small_numbers_in_16_bits_is_not_black() -> None:
    header = palette([3, 0, 16], numpy.array([0, 128, 255], "<u2").tobytes())
    picture = drawn(DecodedFrame(numpy.array([[0, 1, 2]], "u1"), "PALETTE COLOR"), header)
    assert picture[0, :, 1].tolist() == [0, 128, 255]


def test_segmented_palette_equals_pydicom() -> None:
    """PS3.3 C.7.9.2: discrete, linear and indirect segments."""
    segments = [0, 2, 0, 0xFFFF, 1, 4, 0x0FFF, 0, 1, 0x4000, 2, 2, 0, 0]
    expanded = [0, 0xFFFF, *(round(0xFFFF + (0x0FFF - 0xFFFF) * step / 4) for step in range(1, 5)), 0x4000]
    expanded += [0, 0xFFFF, *expanded[2:6]]
    header = palette([len(expanded), 0, 16], numpy.array(segments, "<u2").tobytes(), segmented=True)
    values = numpy.arange(len(expanded), dtype="u1")[None, :]
    picture = drawn(DecodedFrame(values, "PALETTE COLOR"), header)
    assert picture[0, :, 0].tolist() == [value >> 8 for value in expanded]
    header.PixelRepresentation, header.BitsAllocated, header.BitsStored = 0, 8, 8
    header.PhotometricInterpretation = "PALETTE COLOR"
    header.set_original_encoding(False, True)
    # pydicom rounds the interpolated values its own way
    assert numpy.abs((apply_color_lut(values, header) >> 8).astype(int) - picture).max() <= 1


@pytest.mark.parametrize(
    "segments",
    [[2, 5, 0, 0], [1, 5, 9], [7, 1, 1], [0, 2, 5, 5, 2, 9, 40, 0], [0, 2, 5, 5, 2, 9], [0, 1, 5], [2, 1, 0, 0] * 9],
)
def test_broken_segmented_palettes_are_refused(segments: list[int]) -> None:
    header = palette([256, 0, 16], numpy.array(segments, "<u2").tobytes(), segmented=True)
    with pytest.raises(RenderingError, match="Palette"):
        render_frame(DecodedFrame(numpy.zeros((2, 2), "u1"), "PALETTE COLOR"), header)


def test_segments_expand_no_further_than_the_descriptor() -> None:
    """Each indirect segment repeats all before it: 40 of them would be 2**40 values."""
    segments = [0, 1, 7, 1, 0xFFFF, 7]
    for _ in range(40):
        segments += [2, 0xFFFF, 0, 0]
    header = palette([0, 0, 16], numpy.array(segments, "<u2").tobytes(), segmented=True)
    picture = drawn(DecodedFrame(numpy.zeros((1, 1), "u2"), "PALETTE COLOR"), header)
    assert picture.shape == (1, 1, 3)


@pytest.mark.parametrize(
    "segments",
    [
        [0, 1, 7, *[2, 0, 0, 0] * 60_000],
        [0, 1, 7, *[0, 0] * 60_000],
        [0, 1, 7, *[1, 0, 7] * 60_000],
        [0, 1, 7, *[2, 1, 0, 0] * 100, *[2, 0, 3, 0] * 60_000],
    ],
)
def test_segments_without_values_are_refused_at_once(segments: list[int]) -> None:
    """60,000 indirect segments that repeat nothing took 6 seconds."""
    header = palette([0, 0, 16], numpy.array(segments, "<u2").tobytes(), segmented=True)
    started = time.process_time()
    with pytest.raises(RenderingError, match=r"has no value|not possible here"):
        render_frame(DecodedFrame(numpy.zeros((1, 1), "u2"), "PALETTE COLOR"), header)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize(
    "segments",
    [
        [0, 1, 7, *[2, 1, 0, 0] * 65_535],
        [0, 1, 7, *[1, 1, 7] * 65_535],
        [0, 1, 7, *[1, 1, 8] * 9_999, *[2, 9_000, 0, 0] * 7],
        [0, 0xFFFF, *[7] * 0xFFFF, *[2, 0xFFFF, 0, 0] * 60_000],
    ],
)
def test_as_many_segments_as_entries_are_expanded_in_time(segments: list[int]) -> None:
    header = palette([0, 0, 16], numpy.array(segments, "<u2").tobytes(), segmented=True)
    started = time.process_time()
    assert drawn(DecodedFrame(numpy.zeros((1, 1), "u2"), "PALETTE COLOR"), header).shape == (1, 1, 3)
    assert time.process_time() - started < 2


def test_a_palette_image_without_palette_cannot_be_drawn() -> None:
    with pytest.raises(RenderingError, match="RedPaletteColorLookupTableDescriptor"):
        render_frame(DecodedFrame(numpy.zeros((2, 2), "u1"), "PALETTE COLOR"), Dataset())


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422"])
def test_ybr_to_rgb_equals_pydicom(photometric: str) -> None:
    array = numpy.random.default_rng(7).integers(0, 256, (32, 32, 3)).astype("u1")
    expected = convert_color_space(array, photometric, "RGB").astype(int)
    assert numpy.abs(to_rgb(array, photometric).astype(int) - expected).max() <= 1
    picture = drawn(DecodedFrame(array, photometric))
    assert numpy.abs(picture.astype(int) - expected).max() <= 1


def test_colour_deeper_than_8_bits_keeps_its_high_bits() -> None:
    array = numpy.array([[[0, 0x7FFF, 0xFFFF]]], "u2")
    assert drawn(DecodedFrame(array, "RGB"), dataset(BitsStored=16)).tolist() == [[[0, 127, 255]]]
    twelve = numpy.array([[[0, 0x7FF, 0xFFF]]], "u2")
    assert drawn(DecodedFrame(twelve, "RGB"), dataset(BitsStored=12)).tolist() == [[[0, 127, 255]]]


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "examples_rgb_color.dcm", "examples_ybr_color.dcm"])
def test_packaged_colour_equals_pydicom(name: str) -> None:
    source = packaged(name)
    frame = decode_frame(frame_bytes(source), transfer_syntax_of(source).uid, describe(source))
    expected = independent_array(source, 1, "RGB").astype(int)
    assert numpy.abs(drawn(frame, source).astype(int) - expected).max() <= 1


def test_what_cannot_be_drawn() -> None:
    frame = grey([1, 2, 3])
    for options in (
        {"media_type": "image/tiff"},
        {"quality": 0},
        {"quality": 101},
        {"viewport": (0, 10)},
        {"viewport": (10, 100000)},
    ):
        with pytest.raises(RenderingError):
            render_frame(frame, Dataset(), **options)
    for array, photometric in ((numpy.zeros((2, 2, 4), "u1"), "CMYK"), (numpy.zeros((2, 2, 3), "u1"), "HSV")):
        with pytest.raises(RenderingError):
            render_frame(DecodedFrame(array, photometric), Dataset())
    assert issubclass(RenderingError, DicomError)


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
@pytest.mark.parametrize("colour", [False, True])
def test_media_types(media_type: str, colour: bool) -> None:
    frame = DecodedFrame(numpy.zeros((30, 40, 3), "u1"), "RGB") if colour else grey(numpy.arange(1200).reshape(30, 40))
    image = Image.open(io.BytesIO(render_frame(frame, Dataset(), media_type=media_type)))
    assert Image.MIME[str(image.format)] == media_type
    assert image.size == (40, 30)


def test_quality_changes_jpeg() -> None:
    frame = DecodedFrame(numpy.random.default_rng(1).integers(0, 255, (64, 64)).astype("u1"), "MONOCHROME2")
    sizes = [len(render_frame(frame, Dataset(), quality=quality)) for quality in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("shape", "viewport", "aspect", "size"),
    [
        ((100, 200), None, None, (200, 100)),
        ((100, 200), (50, 50), None, (50, 25)),
        ((200, 100), (50, 50), None, (25, 50)),
        ((10, 20), (200, 200), None, (200, 100)),
        ((2000, 3000), (200, 200), None, (200, 133)),
        ((100, 100), None, ["2", "1"], (100, 200)),
        ((100, 100), None, ["1", "2"], (200, 100)),
        ((100, 100), (50, 50), ["2", "1"], (25, 50)),
        ((100, 100), None, ["1", "0"], (100, 100)),
        ((100, 100), None, ["1", "5000"], (100, 100)),
        ((1, 4000), (100, 100), None, (100, 1)),
        ((8, 8), (8192, 8192), None, (2048, 2048)),
        ((8, 16), (8192, 8192), None, (2048, 1024)),
        ((8, 8), (8192, 8192), ["2", "1"], (1024, 2048)),
        ((2000, 3000), (8192, 8192), None, (3000, 2000)),
        ((2000, 3000), (2999, 8192), None, (2999, 1999)),
        ((4096, 4096), None, ["4", "1"], (2048, 8192)),
    ],
)
def test_size_and_aspect(
    shape: tuple[int, int], viewport: tuple[int, int] | None, aspect: list[str] | None, size: tuple[int, int]
) -> None:
    """PS3.18 8.3.5.1.3; PixelAspectRatio is vertical to horizontal (PS3.3 C.7.6.3.1.7)."""
    header = dataset(PixelAspectRatio=aspect) if aspect else Dataset()
    picture = drawn(DecodedFrame(numpy.zeros(shape, "u1"), "MONOCHROME2"), header, viewport=viewport)
    assert (picture.shape[1], picture.shape[0]) == size


def test_scaling_keeps_the_picture_and_its_window() -> None:
    """Leaving out pixels before scaling neither shifts the image nor changes the range it is shown in."""
    array = numpy.add.outer(numpy.arange(1500), numpy.arange(2000)).astype("u2")
    small = drawn(DecodedFrame(array, "MONOCHROME2"), viewport=(100, 100)).astype(int)
    whole = Image.fromarray(drawn(DecodedFrame(array, "MONOCHROME2")))
    expected = numpy.asarray(whole.resize((100, 75), Image.Resampling.BOX)).astype(int)
    assert small.shape == (75, 100)
    assert numpy.abs(small - expected).max() <= 2


class Peak:
    """Traced memory and processor time of what runs inside; numpy's arrays count, those of codecs do not."""

    def __enter__(self) -> Peak:
        self.started = time.process_time()
        tracemalloc.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.mebibytes = tracemalloc.get_traced_memory()[1] / (1 << 20)
        tracemalloc.stop()
        self.seconds = time.process_time() - self.started


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
def test_a_large_viewport_costs_little(media_type: str) -> None:
    """8 x 8 in colour as a GIF of 8192 x 8192 took 7 seconds."""
    frame = DecodedFrame(numpy.random.default_rng(1).integers(0, 255, (8, 8, 3)).astype("u1"), "RGB")
    with Peak() as peak:
        encoded = render_frame(frame, Dataset(), viewport=(8192, 8192), media_type=media_type)
    assert Image.open(io.BytesIO(encoded)).size == (2048, 2048)
    assert peak.seconds < 2


def test_a_gif_in_colour_keeps_its_colours() -> None:
    ramp = numpy.linspace(0, 255, 256).astype("u1")
    colour = numpy.stack(
        [numpy.tile(ramp, (64, 1)), numpy.tile(ramp[::-1], (64, 1)), numpy.full((64, 256), 90)], axis=-1
    )
    encoded = render_frame(DecodedFrame(colour.astype("u1"), "RGB"), Dataset(), media_type="image/gif")
    shown = numpy.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).astype(int)
    assert numpy.abs(shown - colour).mean() < 6


@pytest.mark.parametrize(
    ("array", "photometric", "bits"),
    [
        (numpy.arange(2000 * 3000, dtype="u4").reshape(2000, 3000) * 700, "MONOCHROME2", 32),
        (numpy.linspace(-1, 1, 2000 * 3000, dtype="f8").reshape(2000, 3000), "MONOCHROME2", 64),
        (numpy.arange(2000 * 3000, dtype="u2").reshape(2000, 3000), "MONOCHROME2", 16),
        (numpy.zeros((2000, 3000, 3), "u1"), "YBR_FULL", 8),
        (numpy.zeros((2000, 3000, 3), "u2"), "RGB", 16),
    ],
    ids=["32 bit", "float", "16 bit", "YBR", "16 bit RGB"],
)
def test_drawing_takes_little_memory_beyond_the_picture(array: NDArray[Any], photometric: str, bits: int) -> None:
    """81 million samples of 32 bits took 4.9 GB: several arrays of float64 of the whole frame."""
    header = dataset(BitsStored=bits)
    step = rendering._to_8_bits(DecodedFrame(array, photometric), 1, header, 1, None)  # so that imports do not count
    with Peak() as peak:
        picture = rendering._to_8_bits(DecodedFrame(array, photometric), 1, header, 1, None)
    assert numpy.array_equal(step, picture)
    assert peak.mebibytes < picture.nbytes / (1 << 20) + 16


def test_bands_do_not_show() -> None:
    values = numpy.random.default_rng(2).integers(0, 1 << 32, (301, 1013), dtype="u4")
    picture = drawn(DecodedFrame(values, "MONOCHROME2"), window=Window(1 << 31, 1 << 32, "LINEAR_EXACT"))
    assert numpy.abs(picture - values / (1 << 32) * 255).max() <= 0.51


def test_thumbnail_is_a_small_jpeg() -> None:
    source = packaged("examples_palette.dcm")
    frame = decode_frame(frame_bytes(source), transfer_syntax_of(source).uid, describe(source))
    image = Image.open(io.BytesIO(thumbnail(frame, source)))
    assert image.format == "JPEG"
    assert max(image.size) == 200
    assert image.mode == "RGB"
