"""Every image of the shared files decodes to the pixels an independent decoder sees, and renders."""

from __future__ import annotations

import csv
import io
import warnings
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder

from dicom import transfer_syntaxes as ts
from dicom.codecs import decode_frame
from dicom.errors import CannotDecode
from dicom.rendering import render_frame
from tests.dicom.independent_pixels import (
    KEYWORDS,
    describe,
    frame_bytes,
    gdcm_frame,
    independent_array,
    transfer_syntax_of,
)

# What cannot be decoded, and why; everything else must be.
REFUSED = {
    "damaged/rows_disagree_with_pixel_length.dcm": "half of the pixel data is missing",
    "derived/video_h264_bd41.dcm": "video",
    "derived/video_h264_hp41.dcm": "video",
    "derived/video_h264_hp42_2d.dcm": "video",
    "derived/video_hevc_mp51.dcm": "video",
    "derived/video_mpeg2_mp_hl.dcm": "video",
    "derived/video_mpeg2_mp_ml.dcm": "video",
    "single/NM/pydicom__JPEG2000-embedded-sequence-delimiter.dcm": "a delimiter was written over the codestream's SIZ",
    "single/NONE/fo-dicom__genFile.dcm": "zeros where a JPEG codestream should be",
    "single/NONE/libdicom__generated_encapsulated_defined_bot_1_to_1.dcm": "no codestream in the fragments",
    "single/NONE/libdicom__generated_encapsulated_defined_bot_2_to_1.dcm": "no codestream in the fragments",
    "single/NONE/pydicom__nested_priv_SQ.dcm": "PixelData without Rows and Columns",
    "single/RTIMAGE/pydicom__ambiguous_vr.dcm": "two bytes of pixel data for a megapixel",
}
# Frames that cannot, in files whose others can.
REFUSED_FRAMES = {
    ("single/SC/fo-dicom__multiframe.dcm", 140): "a tile of 121 rows, 55 columns in an image of 240 x 240"
}
# Libraries round the colour transform of JPEG and the lossy wavelet of HTJ2K differently.
ROUNDED = {ts.JPEG_BASELINE.uid, ts.JPEG_EXTENDED.uid, ts.HTJ2K.uid}
# 12-bit and progressive JPEG, which pydicom does not hand to GDCM.
GDCM_READS = {ts.JPEG_EXTENDED.uid, ts.JPEG_FULL_PROGRESSION.uid}
OPENJPH_READS = {ts.HTJ2K_LOSSLESS.uid, ts.HTJ2K_LOSSLESS_RPCL.uid, ts.HTJ2K.uid}


def images(folder: Path) -> list[tuple[str, Dataset]]:
    """The files of the index that pydicom reads and that hold pixel data in a transfer syntax we know."""
    found: list[tuple[str, Dataset]] = []
    with (folder / "dicom/index.csv").open(newline="") as index:
        for row in csv.DictReader(index):
            try:
                dataset = dcmread(folder / "dicom" / row["path"])
                known = str(dataset.file_meta.TransferSyntaxUID) in ts.BY_UID
                if known and any(keyword in dataset for keyword in KEYWORDS):
                    found.append((row["path"], dataset))
            except Exception:  # noqa: BLE001, S112 - the damaged ones fail in every way there is
                continue
    return found


def original_of(folder: Path, row_path: str) -> Dataset:
    """The file that a derived one was made from, as the index names it ("... of PATH")."""
    with (folder / "dicom/index.csv").open(newline="") as index:
        derived = {row["path"]: row["derived"] for row in csv.DictReader(index)}
    return dcmread(folder / "dicom" / derived[row_path].split(" of ")[1].split(" ")[0].rstrip(",;"))


def expected_array(
    folder: Path, path: str, dataset: Dataset, number: int, photometric: str, like: NDArray[Any]
) -> NDArray[Any]:
    uid = transfer_syntax_of(dataset).uid
    pixels = describe(dataset)
    if uid in (ts.JPEG_XL_LOSSLESS.uid, ts.JPEG_XL.uid):
        original = original_of(folder, path)
        return independent_array(original, number, str(original.PhotometricInterpretation))
    if uid == ts.DEFLATED_IMAGE_FRAME.uid:
        packed = zlib.decompress(frame_bytes(dataset, number), wbits=-zlib.MAX_WBITS)
        bits = numpy.unpackbits(numpy.frombuffer(packed, "u1"), bitorder="little")
        return bits[: like.size].reshape(like.shape)
    if uid == ts.RLE_LOSSLESS.uid and pixels.bits_allocated == 1:
        options: dict[str, Any] = {
            "rows": pixels.rows,
            "columns": pixels.columns // 8,
            "samples_per_pixel": 1,
            "bits_allocated": 8,
            "bits_stored": 8,
            "pixel_representation": 0,
            "photometric_interpretation": "MONOCHROME2",
            "number_of_frames": 1,
            "pixel_keyword": "PixelData",
        }
        packed_rows, _ = get_decoder(uid).as_array(
            encapsulate([frame_bytes(dataset, number)]), index=0, decoding_plugin="pydicom", **options
        )
        return numpy.unpackbits(packed_rows, bitorder="little").reshape(like.shape)
    if uid in OPENJPH_READS:
        return numpy.asarray(imagecodecs.htj2k_decode(frame_bytes(dataset, number), planar=False))
    if uid in GDCM_READS and pixels.bits_stored > 8:
        return gdcm_frame(folder / "dicom" / path, number, like)
    return independent_array(dataset, number, photometric)


def equal(array: NDArray[Any], expected: NDArray[Any], uid: str) -> bool:
    if uid not in ROUNDED:
        return numpy.array_equal(array, expected, equal_nan=array.dtype.kind == "f")
    difference = numpy.abs(array.astype("i8") - expected.astype("i8"))
    if uid == ts.HTJ2K.uid:  # OpenJPH lets what it rounds beyond white start again at black
        difference = numpy.minimum(difference, (1 << 8 * array.dtype.itemsize) - difference)
    return int(difference.max()) <= 1


@pytest.mark.slow
def test_first_and_last_frames_equal_the_independent_decoder(shared_data: Path) -> None:
    wrong: list[str] = []
    refused: set[tuple[str, int]] = set()
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, dataset in images(shared_data):
            pixels = describe(dataset)
            uid = transfer_syntax_of(dataset).uid
            for number in sorted({1, pixels.number_of_frames}):
                try:
                    frame = decode_frame(frame_bytes(dataset, number), uid, pixels)
                except (CannotDecode, ValueError, IndexError) as refusal:
                    refused.add((path, number))
                    if path not in REFUSED and (path, number) not in REFUSED_FRAMES:
                        wrong.append(f"{path} frame {number}: {type(refusal).__name__} {refusal}")
                    break
                expected = expected_array(
                    shared_data, path, dataset, number, frame.photometric_interpretation, frame.array
                )
                compared += 1
                if expected.shape != frame.array.shape or expected.dtype != frame.array.dtype:
                    wrong.append(
                        f"{path}: {frame.array.dtype}{frame.array.shape}, not {expected.dtype}{expected.shape}"
                    )
                    continue
                if not equal(frame.array, expected, uid):
                    wrong.append(f"{path} frame {number}: other pixels")
    assert not wrong, "\n".join(wrong)
    assert refused == {(path, 1) for path in REFUSED} | set(REFUSED_FRAMES)
    assert compared > 500


@pytest.mark.slow
def test_every_image_renders_as_a_thumbnail(shared_data: Path) -> None:
    wrong: list[str] = []
    rendered = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, dataset in images(shared_data):
            if path in REFUSED:
                continue
            pixels = describe(dataset)
            frame = decode_frame(frame_bytes(dataset), transfer_syntax_of(dataset).uid, pixels)
            try:
                image = Image.open(io.BytesIO(render_frame(frame, dataset, viewport=(200, 200))))
                shades = numpy.asarray(image.convert("L"))
            except Exception as failure:  # noqa: BLE001 - whatever it is, it is reported with its file
                wrong.append(f"{path}: {type(failure).__name__} {failure}")
                continue
            rendered += 1
            if max(image.size) != 200:
                wrong.append(f"{path}: {image.size}")
            # one shade only where the frame, or its window, has but one
            if shades.std() == 0 and frame.array.std() > 0:
                wrong.append(f"{path}: blank")
    assert not wrong, "\n".join(wrong)
    assert rendered > 480
