"""Objects and frames that the product wrote in another transfer syntax, held against what independent decoders read."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import UID

from dicom import transfer_syntaxes as ts
from tests.dicom.independent_pixels import KEYWORDS, describe, frame_bytes

ELE = ts.EXPLICIT_VR_LITTLE_ENDIAN
TARGETS = (
    ELE,
    ts.RLE_LOSSLESS,
    ts.JPEG_LOSSLESS_SV1,
    ts.JPEG_LS_LOSSLESS,
    ts.JPEG_2000_LOSSLESS,
    ts.JPEG_XL_LOSSLESS,
    ts.HTJ2K_LOSSLESS,
    ts.HTJ2K_LOSSLESS_RPCL,
)
# Who reads what was written: never the library that wrote it, where there is another
READERS = {
    ts.RLE_LOSSLESS.uid: "pydicom",
    ts.JPEG_LOSSLESS_SV1.uid: "gdcm",
    ts.JPEG_LS_LOSSLESS.uid: "gdcm",
    ts.JPEG_2000_LOSSLESS.uid: "gdcm",
    ts.HTJ2K_LOSSLESS.uid: "pylibjpeg",  # OpenJPEG; OpenJPH wrote it
    ts.HTJ2K_LOSSLESS_RPCL.uid: "pylibjpeg",
}
# What a change of the encoding may change
ENCODING = frozenset((0x00280004, 0x00280006, 0x00280008, 0x00282110, 0x7FE00001, 0x7FE00002, 0x7FE00003))
PIXELS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))


@dataclass
class Tally:
    """Counts of answers, and every way in which one was wrong."""

    answered: Counter[str] = field(default_factory=Counter)
    equal: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    judged: Counter[str] = field(default_factory=Counter)
    untested: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def read(data: bytes) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset: Dataset = dcmread(io.BytesIO(data), force=True)
    return dataset


def samples(dataset: Dataset, number: int, plugin: str = "") -> NDArray[Any]:
    """A frame as RGB or as it is, in native byte order, colour by pixel."""
    if str(dataset.file_meta.TransferSyntaxUID) == ts.JPEG_XL_LOSSLESS.uid:
        return _jpeg_xl(dataset, number)
    decoder = get_decoder(str(dataset.file_meta.TransferSyntaxUID))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array, _ = decoder.as_array(dataset, index=number - 1, raw=True, decoding_plugin=plugin)
        array = array.astype(array.dtype.newbyteorder("="))
        if array.ndim == 3 and str(dataset.PhotometricInterpretation).startswith("YBR_FULL"):
            return convert_color_space(array, "YBR_FULL", "RGB")
    return array


def _jpeg_xl(dataset: Dataset, number: int) -> NDArray[Any]:
    """JPEG XL is known to neither pydicom nor GDCM: libjxl reads what it wrote, without the product's own code."""
    pixels = describe(dataset)
    array = imagecodecs.jpegxl_decode(frame_bytes(dataset, number))
    if pixels.pixel_representation:
        unused = pixels.bits_allocated - pixels.bits_stored
        signed = array.view(f"i{array.dtype.itemsize}")
        array = signed << unused >> unused if int(array.max(initial=0)) >> pixels.bits_stored == 0 else signed
    if array.ndim == 3 and pixels.photometric_interpretation.startswith("YBR_FULL"):
        return convert_color_space(array, "YBR_FULL", "RGB")
    return array


def attributes(dataset: Dataset) -> dict[int, Any]:
    """Every public attribute as text, sequences as lists, but for those of the encoding, pixels and group lengths."""
    found: dict[int, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag in sorted(dataset.keys()):
            # delimiters that were left over from a sequence are elements to pydicom
            if int(tag) in ENCODING | PIXELS or tag.element == 0 or tag.is_private or tag.group == 0xFFFE:
                continue
            try:
                element = dataset[tag]
                is_sequence = element.VR == "SQ"
                found[int(tag)] = [attributes(item) for item in element.value] if is_sequence else str(element.value)
            except Exception:  # noqa: BLE001 - an illegal value, in the original as in the copy
                found[int(tag)] = "illegal"
    return found


def frame_alone(original: Dataset, payload: bytes, syntax: ts.TransferSyntax) -> Dataset:
    """A frame that came alone, in an object that says of it what the metadata and the product's documents do."""
    pixels = describe(original)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax.uid)
    for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"):
        setattr(made, keyword, original.get(keyword, 0))
    made.SamplesPerPixel = pixels.samples_per_pixel
    name = pixels.photometric_interpretation
    rgb = pixels.samples_per_pixel == 3 and name.startswith("YBR") and name != "YBR_FULL"
    made.PhotometricInterpretation = "RGB" if rgb else name
    if pixels.samples_per_pixel > 1:
        made.PlanarConfiguration = 0 if rgb or syntax.encapsulated else pixels.planar_configuration
    made.NumberOfFrames = 1
    keyword = next(keyword for keyword in KEYWORDS if keyword in original)
    if syntax.encapsulated:
        made.PixelData = encapsulate([payload])
        made["PixelData"].is_undefined_length = True
    else:
        setattr(made, keyword, payload + b"\0" * (len(payload) % 2))
    if keyword == "PixelData":
        made["PixelData"].VR = "OB" if syntax.encapsulated or pixels.bits_allocated <= 8 else "OW"
    return made


def same(found: NDArray[Any], expected: NDArray[Any], *, rounded: int) -> bool:
    """Equal samples; of JPEG and of converted colour, no further apart than libraries' roundings."""
    if found.shape != expected.shape:
        return False
    if found.dtype.kind == "f" or expected.dtype.kind == "f":
        return bool(numpy.array_equal(found, expected, equal_nan=True))
    apart = numpy.abs(found.astype(numpy.int64) - expected.astype(numpy.int64))
    return int(apart.max(initial=0)) <= rounded
