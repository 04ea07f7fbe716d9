"""Decoded pixels equal those of decoders that share no code with ours, and bad frames are refused (PS3.5 8.2)."""

from __future__ import annotations

import resource
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import UID

from dicom import transfer_syntaxes as ts
from dicom.codecs import CODECS, DecodedFrame, cannot_encode, decode_frame, encode_frame, native_bytes
from dicom.codestream import read_jpeg_2000_header, read_jpeg_header, read_jpeg_xl_header
from dicom.described import recoded
from dicom.errors import CannotDecode
from dicom.limits import Limits
from dicom.pixels import PixelDescription
from tests.dicom.independent_pixels import (
    describe,
    frame_bytes,
    gdcm_frame,
    independent_array,
    packaged,
    transfer_syntax_of,
)

LIMITS = Limits()

GREY = PixelDescription(
    rows=64,
    columns=48,
    samples_per_pixel=1,
    bits_allocated=16,
    bits_stored=12,
    high_bit=11,
    pixel_representation=0,
    photometric_interpretation="MONOCHROME2",
    planar_configuration=0,
    number_of_frames=1,
    keyword="PixelData",
)
RGB = replace(GREY, samples_per_pixel=3, bits_allocated=8, bits_stored=8, high_bit=7, photometric_interpretation="RGB")

EXACT = [
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "GDCMJ2K_TextGBR.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_padded.dcm",
    "SC_rgb_gdcm_KY.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_rle_32bit_2frame.dcm",
    "SC_rgb_small_odd.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "693_J2KI.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "liver_expb_1frame.dcm",
    "rtdose.dcm",
    "rtdose_expb.dcm",
    "rtdose_rle.dcm",
]
# The colour transform of JPEG is rounded differently by different libraries; the chrominance before it is not.
JPEG_COLOUR = [
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "SC_rgb_dcmtk_+eb+cy+n2.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "SC_rgb_jpeg.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_rgb_jpeg_dcmd.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
]


def noise(shape: tuple[int, ...], bits: int, *, signed: bool = False) -> NDArray[Any]:
    """Reproducible samples that use every value a sample of `bits` bits can have."""
    random = numpy.random.default_rng(20260301)
    low = -(1 << bits - 1) if signed else 0
    array = random.integers(low, low + (1 << bits), shape)
    array.flat[0], array.flat[-1] = low, low + (1 << bits) - 1
    return array.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2 if bits <= 16 else 4}")


def smooth(pixels: PixelDescription) -> NDArray[Any]:
    """A ramp with hard black and white edges, the worst case for a lossy codec's clipping."""
    white = (1 << pixels.bits_stored) - 1
    array = numpy.add.outer(numpy.arange(pixels.rows), numpy.arange(pixels.columns)) * white // 110
    array[::7], array[:, ::11] = white, 0
    if pixels.samples_per_pixel == 3:
        array = numpy.stack([array, white - array, numpy.roll(array, 5)], axis=-1)
    return array.astype(f"u{pixels.bits_allocated // 8}")


@pytest.mark.parametrize("name", EXACT)
def test_pixels_equal_the_independent_decoder(name: str) -> None:
    dataset = packaged(name)
    pixels = describe(dataset)
    for number in {1, pixels.number_of_frames}:
        frame = decode_frame(
            frame_bytes(dataset, number),
            transfer_syntax_of(dataset).uid,
            pixels,
        )
        expected = independent_array(dataset, number, frame.photometric_interpretation)
        assert frame.array.dtype == expected.dtype
        numpy.testing.assert_array_equal(frame.array, expected)


@pytest.mark.parametrize("name", JPEG_COLOUR)
def test_jpeg_colour_is_rgb_within_rounding(name: str) -> None:
    dataset = packaged(name)
    frame = decode_frame(frame_bytes(dataset), transfer_syntax_of(dataset).uid, describe(dataset))
    expected = independent_array(dataset, 1, "RGB")
    assert frame.photometric_interpretation == "RGB"
    assert frame.array.shape == expected.shape
    numpy.testing.assert_allclose(frame.array.astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_twelve_bit_jpeg_equals_gdcm(name: str) -> None:
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    dataset = packaged(name)
    frame = decode_frame(frame_bytes(dataset), ts.JPEG_EXTENDED.uid, describe(dataset))
    assert frame.array.max() > 255
    numpy.testing.assert_array_equal(frame.array, gdcm_frame(Path(path), 1, frame.array))


def test_every_transfer_syntax_of_still_images_has_a_decoder_and_video_has_none() -> None:
    assert CODECS.keys() == ts.BY_UID.keys()
    for uid, transfer_syntax in ts.BY_UID.items():
        still = not transfer_syntax.media_type.startswith("video/") and transfer_syntax.media_type != "image/jpx"
        assert (CODECS[uid].decode is not None) == still, transfer_syntax.name
    with pytest.raises(CannotDecode, match="not decoded"):
        decode_frame(b"\0\0\1\xb3", ts.MPEG2_MAIN_LEVEL.uid, RGB)
    with pytest.raises(CannotDecode, match="not known"):
        decode_frame(b"", "1.2.3", RGB)


@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (8, True), (10, False), (12, True), (15, True), (16, False), (16, True)]
)
@pytest.mark.parametrize("codec", ["native", "big endian", "rle", "jpeg lossless", "jpeg-ls", "j2k", "htj2k", "jxl"])
def test_lossless_codecs_return_what_went_in(codec: str, bits: int, signed: bool) -> None:
    array = noise((64, 48), bits, signed=signed)
    allocated = array.dtype.itemsize * 8
    pixels = replace(
        GREY, bits_allocated=allocated, bits_stored=bits, high_bit=bits - 1, pixel_representation=int(signed)
    )
    unsigned = array.view(f"u{array.dtype.itemsize}") & ((1 << bits) - 1)
    # incompressible noise grows: room for the encoder that sizes its buffer by the input
    roomy = numpy.repeat(numpy.repeat(unsigned, 2, 0), 2, 1)
    large = replace(pixels, rows=128, columns=96)
    expected = numpy.repeat(numpy.repeat(array, 2, 0), 2, 1)
    encoded: dict[str, tuple[str, Any]] = {
        "native": (ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, lambda: expected.astype(f"<{expected.dtype.str[1:]}").tobytes()),
        "big endian": (ts.EXPLICIT_VR_BIG_ENDIAN.uid, lambda: expected.astype(f">{expected.dtype.str[1:]}").tobytes()),
        "rle": (ts.RLE_LOSSLESS.uid, lambda: encode_rle(expected, large)),
        "jpeg lossless": (ts.JPEG_LOSSLESS_SV1.uid, lambda: imagecodecs.ljpeg_encode(roomy, bitspersample=bits)),
        "jpeg-ls": (ts.JPEG_LS_LOSSLESS.uid, lambda: imagecodecs.jpegls_encode(roomy)),
        "j2k": (
            ts.JPEG_2000_LOSSLESS.uid,
            lambda: imagecodecs.jpeg2k_encode(expected, reversible=True, level=0, codecformat="j2k"),
        ),
        "htj2k": (ts.HTJ2K_LOSSLESS.uid, lambda: imagecodecs.htj2k_encode(expected, reversible=True)),
        "jxl": (
            ts.JPEG_XL_LOSSLESS.uid,
            lambda: imagecodecs.jpegxl_encode(roomy, lossless=True, bitspersample=bits, usecontainer=False),
        ),
    }
    uid, encode = encoded[codec]
    frame = decode_frame(bytes(encode()), uid, large)
    assert frame.array.dtype == array.dtype
    numpy.testing.assert_array_equal(frame.array, expected)
    little_endian = expected.astype(expected.dtype.newbyteorder("<")).tobytes()
    assert native_bytes(frame, large) == little_endian


WRITTEN = [uid for uid, codec in CODECS.items() if codec.encode]
READ_BY = {
    ts.RLE_LOSSLESS.uid: "pydicom",
    ts.JPEG_LOSSLESS_SV1.uid: "gdcm",
    ts.JPEG_LS_LOSSLESS.uid: "pyjpegls",
    ts.JPEG_2000_LOSSLESS.uid: "gdcm",
    ts.HTJ2K_LOSSLESS.uid: "pylibjpeg",
    ts.HTJ2K_LOSSLESS_RPCL.uid: "pylibjpeg",
    ts.JPEG_XL_LOSSLESS.uid: "",  # nothing but libjxl, which wrote it
}


@pytest.mark.parametrize("uid", WRITTEN, ids=lambda uid: ts.BY_UID[uid].keyword)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (33, 5), (64, 48), (130, 70)], ids=str)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_what_is_written_is_read_by_others(uid: str, shape: tuple[int, int], bits: int) -> None:
    """Grey with and without a sign, and colour; frames too small for five halvings too."""
    assert READ_BY.keys() == set(WRITTEN)
    allocated = 8 if bits == 8 else 16
    grey = replace(GREY, rows=shape[0], columns=shape[1], bits_allocated=allocated, bits_stored=bits, high_bit=bits - 1)
    cases = [(replace(grey, pixel_representation=int(s)), noise(shape, bits, signed=s)) for s in (False, True)]
    if bits == 8:
        colour = replace(grey, samples_per_pixel=3, photometric_interpretation="RGB")
        cases.append((colour, noise((*shape, 3), 8, signed=False)))
    for pixels, array in cases:
        assert not cannot_encode(uid, pixels)
        codestream = encode_frame(DecodedFrame(array, pixels.photometric_interpretation), uid, pixels)
        assert len(codestream) % 2 == 0
        numpy.testing.assert_array_equal(decode_frame(codestream, uid, pixels).array, array)
        if READ_BY[uid] and min(shape) > 4:
            written = in_object(codestream, uid, pixels)
            found, _ = get_decoder(uid).as_array(written, raw=True, decoding_plugin=READ_BY[uid])
            numpy.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("uid", WRITTEN, ids=lambda uid: ts.BY_UID[uid].keyword)
@pytest.mark.parametrize("name", ["RGB", "YBR_FULL"])
def test_colour_comes_back_under_its_own_name(uid: str, name: str) -> None:
    pixels = replace(
        GREY, rows=33, columns=40, samples_per_pixel=3, photometric_interpretation=name, bits_allocated=8, bits_stored=8
    )
    pixels = replace(pixels, high_bit=7)
    native = noise((33, 40, 3), 8, signed=False).tobytes()
    codestream = recoded(native, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels, uid)
    assert recoded(codestream, uid, pixels, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid) == native
    assert decode_frame(codestream, uid, pixels).photometric_interpretation == name


@pytest.mark.parametrize("uid", WRITTEN, ids=lambda uid: ts.BY_UID[uid].keyword)
@pytest.mark.parametrize("bits", [5, 8])
@pytest.mark.parametrize("signed", [False, True])
def test_few_bits_in_words_are_coded(uid: str, bits: int, signed: bool) -> None:
    array = noise((33, 40), bits, signed=signed).astype(f"{'i' if signed else 'u'}2")
    pixels = replace(GREY, rows=33, columns=40, bits_allocated=16, bits_stored=bits, high_bit=bits - 1)
    pixels = replace(pixels, pixel_representation=int(signed))
    codestream = encode_frame(DecodedFrame(array, "MONOCHROME2"), uid, pixels)
    numpy.testing.assert_array_equal(decode_frame(codestream, uid, pixels).array, array)


@pytest.mark.parametrize("signed", [False, True])
def test_samples_in_the_high_bits_of_their_cells_stay_there(signed: bool) -> None:
    native = (noise((33, 40), 12, signed=signed) << 4).astype("<i2" if signed else "<u2").tobytes()
    pixels = replace(
        GREY, rows=33, columns=40, bits_stored=12, bits_allocated=16, high_bit=15, pixel_representation=int(signed)
    )
    for uid in WRITTEN:
        codestream = recoded(native, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels, uid)
        assert recoded(codestream, uid, pixels, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid) == native


def in_object(codestream: bytes, uid: str, pixels: PixelDescription) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(uid)
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = pixels.rows, pixels.columns, 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (
        pixels.samples_per_pixel,
        pixels.photometric_interpretation,
    )
    dataset.BitsAllocated, dataset.BitsStored = pixels.bits_allocated, pixels.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = pixels.high_bit, pixels.pixel_representation
    if pixels.samples_per_pixel > 1:
        dataset.PlanarConfiguration = 0
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize("shape", [(64, 64), (512, 512), (300, 4096), (5000, 5000)], ids=str)
def test_rpcl_has_what_its_transfer_syntax_asks_for(shape: tuple[int, int]) -> None:
    """PS3.5 10.18: progression by resolution, a base of at most 64 samples, TLM; each resolution a tile-part."""
    pixels = replace(GREY, rows=shape[0], columns=shape[1])
    array = numpy.zeros(shape, "u2")
    codestream = encode_frame(DecodedFrame(array, "MONOCHROME2"), ts.HTJ2K_LOSSLESS_RPCL.uid, pixels)
    head = codestream[: codestream.index(b"\xff\x90")]
    coding = head.index(b"\xff\x52")
    progression, levels = head[coding + 5], head[coding + 9]
    assert progression == 2
    assert min(shape) / 2**levels <= 64
    lengths = head[head.index(b"\xff\x55") + 6 :]
    count = (int.from_bytes(head[head.index(b"\xff\x55") + 2 :][:2], "big") - 4) // 6
    assert count == levels + 1
    place = len(head)
    for number in range(count):  # TLM leads from tile-part to tile-part
        assert codestream[place : place + 2] == b"\xff\x90"
        place += int.from_bytes(lengths[number * 6 + 2 : number * 6 + 6], "big")
    assert codestream[place : place + 2] == b"\xff\xd9"


def encode_rle(array: NDArray[Any], pixels: PixelDescription) -> bytes:
    """PS3.5 Annex G through pydicom's own encoder."""
    options: dict[str, Any] = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": pixels.samples_per_pixel,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "pixel_representation": pixels.pixel_representation,
        "photometric_interpretation": pixels.photometric_interpretation,
        "planar_configuration": 0,
        "number_of_frames": 1,
    }
    return get_encoder(ts.RLE_LOSSLESS.uid).encode(array, encoding_plugin="pydicom", **options)


def test_jpeg_2000_signedness_follows_pixel_representation() -> None:
    """PS3.5 8.2.4: the codestream says unsigned 13 bits, PixelRepresentation says signed; and the other way round."""
    signed = noise((64, 48), 12, signed=True)
    pixels = replace(GREY, pixel_representation=1)
    codestream = bytes(
        imagecodecs.jpeg2k_encode(
            signed.view("u2") & 0xFFF, level=0, reversible=True, codecformat="j2k", bitspersample=12
        )
    )
    assert not read_jpeg_2000_header(codestream).signed
    numpy.testing.assert_array_equal(decode_frame(codestream, ts.JPEG_2000_LOSSLESS.uid, pixels).array, signed)

    dataset = packaged("J2K_pixelrep_mismatch.dcm")
    frame = decode_frame(frame_bytes(dataset), transfer_syntax_of(dataset).uid, describe(dataset))
    assert frame.array.dtype == numpy.int16
    assert frame.array.min() < 0


@pytest.mark.parametrize(
    "pixels", [replace(GREY, bits_allocated=8, bits_stored=8, high_bit=7), RGB], ids=["grey", "colour"]
)
def test_lossy_htj2k_does_not_wrap_at_black_and_white(pixels: PixelDescription) -> None:
    array = smooth(pixels)
    codestream = bytes(imagecodecs.htj2k_encode(array, reversible=False, level=0.02))
    decoded = decode_frame(codestream, ts.HTJ2K.uid, pixels).array.astype(int)
    assert 0 < numpy.abs(decoded - array).max() < 64


def test_native_colour_by_plane_becomes_colour_by_pixel() -> None:
    array = noise((64, 48, 3), 8)
    pixels = replace(RGB, planar_configuration=1)
    planes = numpy.ascontiguousarray(array.transpose(2, 0, 1)).tobytes()
    frame = decode_frame(planes, ts.IMPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
    numpy.testing.assert_array_equal(frame.array, array)
    assert native_bytes(frame, pixels) == array.tobytes()
    rle = decode_frame(encode_rle(array, RGB), ts.RLE_LOSSLESS.uid, pixels)
    numpy.testing.assert_array_equal(rle.array, array)


def test_native_ybr_full_422_repeats_the_chrominance_of_each_pair() -> None:
    """PS3.3 C.7.6.3.1.2: Y1 Y2 B R."""
    pixels = replace(RGB, rows=1, columns=4, photometric_interpretation="YBR_FULL_422")
    frame = decode_frame(bytes([10, 11, 1, 2, 20, 21, 3, 4]), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
    assert frame.photometric_interpretation == "YBR_FULL"
    assert frame.array.tolist() == [[[10, 1, 2], [11, 1, 2], [20, 3, 4], [21, 3, 4]]]
    full = decode_frame(bytes(range(12)), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
    assert full.photometric_interpretation == "YBR_FULL"
    assert full.array.reshape(-1).tolist() == list(range(12))
    with pytest.raises(CannotDecode, match="even number"):
        decode_frame(bytes(6), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(pixels, columns=3))


def test_native_ybr_partial_422_is_rgb_of_studio_range() -> None:
    """Luminance 16 is black and 235 is white (PS3.3 C.7.6.3.1.2)."""
    pixels = replace(RGB, rows=1, columns=2, photometric_interpretation="YBR_PARTIAL_422")
    frame = decode_frame(bytes([16, 235, 128, 128]), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
    assert frame.photometric_interpretation == "RGB"
    assert frame.array.tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("uid", [ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, ts.EXPLICIT_VR_BIG_ENDIAN.uid])
def test_single_bit_frames_unpack_from_the_least_significant_bit(uid: str) -> None:
    """PS3.5 8.1.1 and 8.2."""
    pixels = replace(GREY, rows=2, columns=5, bits_allocated=1, bits_stored=1, high_bit=0)
    frame = decode_frame(bytes([0b00100001, 0b00000010]), uid, pixels)
    assert frame.array.tolist() == [[1, 0, 0, 0, 0], [1, 0, 0, 0, 1]]
    assert native_bytes(frame, pixels) == bytes([0b00100001, 0b00000010])


def test_single_bit_frames_in_rle_deflate_and_jpeg_2000() -> None:
    dataset = packaged("liver_1frame.dcm")
    pixels = describe(dataset)
    packed = frame_bytes(dataset)
    expected = decode_frame(packed, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
    assert 0 < expected.array.mean() < 1
    bytes_as_pixels = replace(pixels, columns=pixels.columns // 8, bits_allocated=8, bits_stored=8, high_bit=7)
    rle = encode_rle(numpy.frombuffer(packed, numpy.uint8).reshape(pixels.rows, pixels.columns // 8), bytes_as_pixels)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    encodings = {
        ts.RLE_LOSSLESS.uid: rle,
        ts.DEFLATED_IMAGE_FRAME.uid: deflate.compress(packed) + deflate.flush(),
        ts.JPEG_2000_LOSSLESS.uid: imagecodecs.jpeg2k_encode(
            expected.array, level=0, reversible=True, codecformat="j2k", bitspersample=1
        ),
    }
    for uid, codestream in encodings.items():
        frame = decode_frame(bytes(codestream), uid, pixels)
        numpy.testing.assert_array_equal(frame.array, expected.array, err_msg=ts.BY_UID[uid].name)
        assert native_bytes(frame, pixels) == packed


def test_words_of_big_endian_hold_8_bit_samples_swapped() -> None:
    """PS3.5 A.3: OW of 8-bit samples, with the padding byte in the middle of the last word; OB is not swapped."""
    pixels = replace(RGB, rows=1, columns=1)
    for value, representation in ((b"\x02\x01\x00\x03", "OW"), (b"\x01\x02\x03\x00", "OB")):
        described = replace(pixels, value_representation=representation)
        frame = decode_frame(value, ts.EXPLICIT_VR_BIG_ENDIAN.uid, described)
        assert frame.array.tolist() == [[[1, 2, 3]]]
    little = decode_frame(b"\x01\x02\x03", ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(pixels, value_representation="OW"))
    assert little.array.tolist() == [[[1, 2, 3]]]


def test_floating_point_frames() -> None:
    values = numpy.array([[0.5, -1e30], [numpy.nan, numpy.inf]])
    for keyword, bits, code in (("FloatPixelData", 32, "<f4"), ("DoubleFloatPixelData", 64, "<f8")):
        pixels = replace(GREY, rows=2, columns=2, bits_allocated=bits, bits_stored=bits, keyword=keyword)
        frame = decode_frame(values.astype(code).tobytes(), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels)
        numpy.testing.assert_array_equal(frame.array, values.astype(code))
        assert native_bytes(frame, pixels) == values.astype(code).tobytes()


def test_bits_beside_the_sample_are_ignored() -> None:
    """PS3.5 8.1.1: what lies outside HighBit and BitsStored (once overlays) is no part of the value."""
    pixels = replace(GREY, rows=1, columns=3)
    words = struct.pack("<3H", 0xF123, 0x8FFF, 0x0800)
    unsigned = decode_frame(words, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, pixels).array
    assert unsigned.tolist() == [[0x123, 0xFFF, 0x800]]
    signed = decode_frame(words, ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(pixels, pixel_representation=1)).array
    assert signed.tolist() == [[0x123, -1, -2048]]
    shifted = decode_frame(
        struct.pack("<3H", 0x1230, 0xFFF7, 0x8000), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(pixels, high_bit=15)
    ).array
    assert shifted.tolist() == [[0x123, 0xFFF, 0x800]]


@pytest.mark.parametrize(
    ("marker", "photometric", "is_ybr"),
    [
        (b"JFIF\0\1\1\0\0\1\0\1\0\0", "RGB", True),
        (b"Adobe\0d\0\0\0\0\1", "RGB", True),
        (b"Adobe\0d\0\0\0\0\0", "YBR_FULL_422", False),
        (b"", "YBR_FULL_422", True),
        (b"", "RGB", False),
    ],
)
def test_a_jpeg_that_names_its_colour_is_believed_before_the_data_set(
    marker: bytes, photometric: str, is_ybr: bool
) -> None:
    flat = numpy.full((64, 48, 3), (90, 120, 200), numpy.uint8)
    plain = imagecodecs.jpeg8_encode(flat, level=100, colorspace="RGB", outcolorspace="RGB")
    start = plain.index(b"\xff\xdb")
    number = 0xE0 if marker.startswith(b"JFIF") else 0xEE
    segment = bytes([0xFF, number]) + struct.pack(">H", len(marker) + 2) + marker if marker else b""
    names = plain.index(b"\xff\xc0") + 10
    unnamed = bytearray(plain)
    unnamed[names], unnamed[names + 3], unnamed[names + 6] = 1, 2, 3
    scan = plain.index(b"\xff\xda") + 5
    unnamed[scan], unnamed[scan + 2], unnamed[scan + 4] = 1, 2, 3
    codestream = b"\xff\xd8" + segment + bytes(unnamed[start:])
    frame = decode_frame(codestream, ts.JPEG_BASELINE.uid, replace(RGB, photometric_interpretation=photometric))
    assert frame.photometric_interpretation == "RGB"
    found = frame.array[10, 10].astype(int)
    # Y 90, Cb 120, Cr 200 are R 191, G 41, B 76
    assert numpy.abs(found - ((191, 41, 76) if is_ybr else (90, 120, 200))).max() <= 2, found


def codestreams() -> dict[str, tuple[bytes, PixelDescription]]:
    """One good frame of each codec, by transfer syntax UID."""
    grey8 = replace(GREY, bits_allocated=8, bits_stored=8, high_bit=7)
    eight, twelve = smooth(grey8), smooth(GREY)
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    frames: dict[str, tuple[bytes | bytearray, PixelDescription]] = {
        ts.JPEG_BASELINE.uid: (imagecodecs.jpeg8_encode(smooth(RGB)), RGB),
        ts.JPEG_LOSSLESS_SV1.uid: (imagecodecs.ljpeg_encode(twelve, bitspersample=12), GREY),
        ts.JPEG_LS_LOSSLESS.uid: (imagecodecs.jpegls_encode(eight), grey8),
        ts.JPEG_2000_LOSSLESS.uid: (
            imagecodecs.jpeg2k_encode(eight, level=0, reversible=True, codecformat="j2k"),
            grey8,
        ),
        ts.HTJ2K_LOSSLESS.uid: (imagecodecs.htj2k_encode(eight, reversible=True), grey8),
        ts.JPEG_XL_LOSSLESS.uid: (imagecodecs.jpegxl_encode(eight, lossless=True, usecontainer=False), grey8),
        ts.RLE_LOSSLESS.uid: (encode_rle(twelve, GREY), GREY),
        ts.DEFLATED_IMAGE_FRAME.uid: (deflate.compress(twelve.tobytes()) + deflate.flush(), GREY),
        ts.EXPLICIT_VR_LITTLE_ENDIAN.uid: (twelve.tobytes(), GREY),
    }
    return {uid: (bytes(codestream), pixels) for uid, (codestream, pixels) in frames.items()}


GOOD = codestreams()
NAMES = {uid: ts.BY_UID[uid].keyword for uid in GOOD}


@pytest.mark.parametrize("uid", GOOD, ids=NAMES.get)
def test_good_frames_decode_and_headers_agree(uid: str) -> None:
    codestream, pixels = GOOD[uid]
    array = decode_frame(codestream, uid, pixels).array
    assert array.shape[:2] == (64, 48)
    assert array.std() > 0


@pytest.mark.parametrize("uid", GOOD, ids=NAMES.get)
@pytest.mark.parametrize("kept", [0.0, 0.05, 0.5, 0.9])
def test_truncated_frames_are_refused(uid: str, kept: float) -> None:
    codestream, pixels = GOOD[uid]
    with pytest.raises(CannotDecode):
        decode_frame(codestream[: int(len(codestream) * kept)], uid, pixels)


@pytest.mark.parametrize("uid", GOOD, ids=NAMES.get)
@settings(max_examples=40, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_damaged_frames_decode_to_the_right_shape_or_are_refused(uid: str, data: st.DataObject) -> None:
    codestream, pixels = GOOD[uid]
    damaged = bytearray(codestream)
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=6)):
        damaged[position] ^= data.draw(st.integers(1, 255))
    try:
        frame = decode_frame(bytes(damaged), uid, pixels)
    except CannotDecode:
        return
    assert frame.array.shape[:2] == (pixels.rows, pixels.columns)
    assert frame.array.dtype.itemsize * 8 == pixels.bits_allocated


@settings(max_examples=150, deadline=2000, derandomize=True)
@given(
    data=st.binary(max_size=300), start=st.sampled_from([b"", b"\xff\xd8", b"\xff\x4f\xff\x51\x00\x2f", b"\xff\x0a"])
)
def test_headers_of_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    for read in (read_jpeg_header, read_jpeg_2000_header, read_jpeg_xl_header):
        try:
            assert read(start + data).rows >= 0
        except CannotDecode:
            continue


def with_size(uid: str, rows: int, columns: int) -> bytes:
    """The good codestream with other dimensions written into its header."""
    codestream = bytearray(GOOD[uid][0])
    if codestream[:2] == b"\xff\xd8":
        place = next(codestream.index(sof) for sof in (b"\xff\xc0", b"\xff\xc3", b"\xff\xf7") if sof in codestream)
        codestream[place + 5 : place + 9] = struct.pack(">HH", rows, columns)
    elif codestream[:4] == b"\xff\x4f\xff\x51":
        codestream[8:16] = struct.pack(">LL", columns, rows)
        codestream[24:32] = struct.pack(">LL", columns, rows)
    else:
        # SizeHeader: not small, 18 bits of rows, no ratio, 18 bits of columns (ISO/IEC 18181-1 A.2)
        bits = 2 << 1 | (rows - 1) << 3 | 2 << 24 | (columns - 1) << 26
        codestream[2:8] = bits.to_bytes(6, "little")
    return bytes(codestream)


SIZED = [
    uid
    for uid in GOOD
    if ts.BY_UID[uid].media_type in ("image/jpeg", "image/jls", "image/jp2", "image/jphc", "image/jxl")
]


@pytest.mark.parametrize("uid", SIZED, ids=NAMES.get)
@pytest.mark.parametrize("agreeing", [False, True], ids=["codestream only", "codestream and data set"])
def test_bombs_of_60000_by_60000_cost_nothing(uid: str, agreeing: bool) -> None:
    codestream, pixels = with_size(uid, 60000, 60000), GOOD[uid][1]
    if agreeing:
        pixels = replace(pixels, rows=60000, columns=60000)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(CannotDecode, match=r"60000|samples is larger"):
        decode_frame(codestream, uid, pixels)
    assert time.process_time() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize("uid", [ts.JPEG_BASELINE.uid, ts.JPEG_LOSSLESS_SV1.uid], ids=NAMES.get)
def test_a_jpeg_too_short_for_its_size_is_refused(uid: str) -> None:
    """libjpeg would fill megapixels with grey, from any few bytes that end well."""
    with pytest.raises(CannotDecode, match="cannot hold 4000 rows"):
        decode_frame(with_size(uid, 4000, 4000), uid, replace(GOOD[uid][1], rows=4000, columns=4000))
    black = numpy.zeros((1024, 1024), "u2")
    shallow = replace(GREY, rows=1024, columns=1024)
    encoded = bytes(imagecodecs.ljpeg_encode(black, bitspersample=12))
    assert decode_frame(encoded, ts.JPEG_LOSSLESS_SV1.uid, shallow).array.max() == 0


def test_other_bombs_are_refused() -> None:
    tiles = bytearray(GOOD[ts.JPEG_2000_LOSSLESS.uid][0])
    tiles[8:16] = struct.pack(">LL", 4800, 6400)
    tiles[24:32] = struct.pack(">LL", 16, 16)
    large = replace(GREY, rows=6400, columns=4800)
    with pytest.raises(CannotDecode, match="120000 tiles"):
        decode_frame(bytes(tiles), ts.JPEG_2000_LOSSLESS.uid, large)
    scans, colour = GOOD[ts.JPEG_BASELINE.uid]
    place = scans.index(b"\xff\xda")
    with pytest.raises(CannotDecode, match="scans"):
        decode_frame(scans[:place] + b"\xff\xda\0\2" * 200 + scans[place:], ts.JPEG_BASELINE.uid, colour)
    zeros = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = zeros.compress(bytes(64 << 20)) + zeros.flush()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decode_frame(bomb, ts.DEFLATED_IMAGE_FRAME.uid, GREY).array.max() == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024
    runs = struct.pack("<16L", 2, 64, 64, *[0] * 13) + b"\x81\0" * 500_000
    with pytest.raises(CannotDecode):
        decode_frame(runs, ts.RLE_LOSSLESS.uid, GREY)


def test_scans_times_samples_of_a_progressive_jpeg_are_bounded() -> None:
    """100 scans of 11,584 x 11,584 took 9 seconds; the usual ten of a large image in colour are decoded."""
    good, colour = GOOD[ts.JPEG_BASELINE.uid]
    place = good.index(b"\xff\xc0")
    codestream = bytearray(good)
    codestream[place + 5 : place + 9] = struct.pack(">HH", 6600, 6600)
    scan = codestream.index(b"\xff\xda")
    padded = bytes(codestream[:scan]) + b"\xff\xda\0\2" * 9 + bytes(codestream[scan:-2]) + bytes(1 << 20) + b"\xff\xd9"
    assert read_jpeg_header(padded).rows == 6600
    more = padded[:scan] + b"\xff\xda\0\2" + padded[scan:]
    with pytest.raises(CannotDecode, match="11 scans of 6600 rows"):
        decode_frame(more, ts.JPEG_BASELINE.uid, replace(colour, rows=6600, columns=6600))


def test_the_bytes_of_a_decoded_frame_are_bounded() -> None:
    side = int((LIMITS.frame_bytes / 8) ** 0.5) + 1
    with pytest.raises(CannotDecode, match=f"larger than the {LIMITS.frame_bytes} bytes"):
        decode_frame(b"", ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(GREY, rows=side, columns=side, bits_allocated=64))


def test_the_largest_frame_is_bounded_whatever_its_transfer_syntax() -> None:
    side = int(LIMITS.frame_samples**0.5) + 1
    for uid in (uid for uid, codec in CODECS.items() if codec.decode):
        with pytest.raises(CannotDecode, match="larger than"):
            decode_frame(b"", uid, replace(GREY, rows=side, columns=side))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rows": 63}, "data set says 63 rows"),
        ({"samples_per_pixel": 3, "photometric_interpretation": "RGB"}, "1 components"),
        ({"bits_allocated": 8}, "12 bits a sample"),
        ({"rows": 0}, "describe no image"),
        ({"samples_per_pixel": 2}, "describe no image"),
    ],
)
def test_a_data_set_that_contradicts_the_codestream_is_refused(change: dict[str, Any], match: str) -> None:
    codestream, pixels = GOOD[ts.JPEG_LOSSLESS_SV1.uid]
    with pytest.raises(CannotDecode, match=match):
        decode_frame(codestream, ts.JPEG_LOSSLESS_SV1.uid, replace(pixels, **change))


def test_deeper_samples_than_allocated_are_not_cut() -> None:
    """JPEG XL tells its depth only with its samples."""
    codestream = bytes(imagecodecs.jpegxl_encode(smooth(GREY), lossless=True, usecontainer=False))
    shallow = replace(GREY, bits_allocated=8, bits_stored=8, high_bit=7)
    with pytest.raises(CannotDecode, match="uint8 expected"):
        decode_frame(codestream, ts.JPEG_XL_LOSSLESS.uid, shallow)


def test_compressed_floating_point_is_refused() -> None:
    codestream = bytes(imagecodecs.jpeg2k_encode(smooth(GREY).astype("u4"), level=0, reversible=True))
    described = replace(GREY, bits_allocated=32, bits_stored=32, keyword="FloatPixelData")
    with pytest.raises(CannotDecode, match="float32 expected"):
        decode_frame(codestream, ts.JPEG_2000_LOSSLESS.uid, described)


def test_widths_no_decoder_knows_are_refused() -> None:
    for change in ({"bits_allocated": 12}, {"keyword": "FloatPixelData"}):
        with pytest.raises(CannotDecode, match="BitsAllocated"):
            decode_frame(bytes(99999), ts.EXPLICIT_VR_LITTLE_ENDIAN.uid, replace(GREY, **change))


def test_rle_runs_may_reach_beyond_the_last_sample() -> None:
    pixels = replace(GREY, rows=2, columns=4, bits_allocated=8, bits_stored=8, high_bit=7)
    codestream = struct.pack("<16L", 1, 64, *[0] * 14) + bytes([6, *range(1, 8), 0x81, 8])
    frame = decode_frame(codestream, ts.RLE_LOSSLESS.uid, pixels)
    assert frame.array.reshape(-1).tolist() == list(range(1, 9))
