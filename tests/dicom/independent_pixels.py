"""Frames of a data set and their pixels as decoders other than ours see them (pydicom's own, GDCM, pyjpegls)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gdcm
import numpy
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from dicom import transfer_syntaxes as ts
from dicom.pixels import PixelDescription

KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
# Whose pixels are believed, never the library that decodes first in dicom/codecs.py. What is not here is native.
PLUGINS = {
    ts.RLE_LOSSLESS.uid: "pydicom",
    ts.JPEG_BASELINE.uid: "gdcm",
    ts.JPEG_EXTENDED.uid: "gdcm",
    ts.JPEG_LOSSLESS.uid: "gdcm",
    ts.JPEG_LOSSLESS_SV1.uid: "gdcm",
    ts.JPEG_LS_LOSSLESS.uid: "pyjpegls",
    ts.JPEG_LS_NEAR_LOSSLESS.uid: "pyjpegls",
    ts.JPEG_2000_LOSSLESS.uid: "gdcm",
    ts.JPEG_2000.uid: "gdcm",
}


def packaged(name: str) -> Dataset:
    """A data set shipped inside pydicom."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), name
    return dcmread(path)


def describe(dataset: Dataset) -> PixelDescription:
    def number(keyword: str, default: int) -> int:
        value = dataset.get(keyword)
        return default if value is None else int(value)

    allocated = number("BitsAllocated", 0)
    stored = number("BitsStored", allocated)
    keyword = next(keyword for keyword in KEYWORDS if keyword in dataset)
    return PixelDescription(
        rows=number("Rows", 0),
        columns=number("Columns", 0),
        samples_per_pixel=number("SamplesPerPixel", 1),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=number("HighBit", stored - 1),
        pixel_representation=number("PixelRepresentation", 0),
        photometric_interpretation=str(dataset.get("PhotometricInterpretation", "")),
        planar_configuration=number("PlanarConfiguration", 0),
        number_of_frames=number("NumberOfFrames", 1) or 1,
        keyword=keyword,
        value_representation=dataset[keyword].VR,
    )


def transfer_syntax_of(dataset: Dataset) -> ts.TransferSyntax:
    return ts.BY_UID[str(dataset.file_meta.TransferSyntaxUID)]


def frame_bytes(dataset: Dataset, number: int = 1) -> bytes:
    """The frame as the archive would hand it over: fragments joined, 1-bit frames shifted to begin on a byte."""
    pixels = describe(dataset)
    value = dataset[pixels.keyword].value
    if transfer_syntax_of(dataset).encapsulated:
        return get_frame(value, number - 1, number_of_frames=pixels.number_of_frames)
    bits = pixels.rows * pixels.columns * pixels.samples_per_pixel * pixels.bits_allocated
    if pixels.photometric_interpretation == "YBR_FULL_422":
        bits = bits * 2 // 3
    start = bits * (number - 1)
    if bits % 8:
        unpacked = numpy.unpackbits(numpy.frombuffer(value, numpy.uint8), bitorder="little")
        return numpy.packbits(unpacked[start : start + bits], bitorder="little").tobytes()
    length = bits // 8
    return bytes(value[start // 8 : start // 8 + length + length % 2])


def independent_array(dataset: Dataset, number: int, photometric_interpretation: str) -> NDArray[Any]:
    """The frame's samples in native byte order, as RGB if that is the photometric interpretation asked for."""
    uid = str(dataset.file_meta.TransferSyntaxUID)
    raw = photometric_interpretation != "RGB"
    array, _ = get_decoder(uid).as_array(dataset, index=number - 1, raw=raw, decoding_plugin=PLUGINS.get(uid, ""))
    return array.astype(array.dtype.newbyteorder("="))


def gdcm_frame(path: Path, number: int, like: NDArray[Any]) -> NDArray[Any]:
    """A frame through GDCM's reader, which knows the 12-bit and progressive JPEG that pydicom does not hand to it."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    buffer = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    return numpy.frombuffer(buffer, like.dtype, like.size, (number - 1) * like.nbytes).reshape(like.shape)
