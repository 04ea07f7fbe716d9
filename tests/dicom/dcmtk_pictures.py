"""A second opinion on pictures: DCMTK's dcmj2pnm draws the same frame, and both must see the same shades."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID

from dicom import transfer_syntaxes as ts
from dicom.codecs import DecodedFrame, decode_frame, native_bytes
from dicom.overlays import in_unused_bits, overlay_planes, whole_cells
from dicom.picture_header import WANTED
from dicom.rendering import Window, picture_of
from tests.dicom.independent_pixels import describe, frame_bytes, transfer_syntax_of

DCMJ2PNM = shutil.which("dcmj2pnm")
needs_dcmtk = pytest.mark.skipif(
    DCMJ2PNM is None, reason="dcmj2pnm is not on PATH: pictures are not compared with DCMTK's"
)
# What dcmj2pnm decodes itself; of everything else it is given the decoded frame.
_DECODED_BY_DCMTK = {
    ts.IMPLICIT_VR_LITTLE_ENDIAN.uid,
    ts.EXPLICIT_VR_LITTLE_ENDIAN.uid,
    ts.EXPLICIT_VR_BIG_ENDIAN.uid,
    ts.RLE_LOSSLESS.uid,
    ts.JPEG_BASELINE.uid,
    ts.JPEG_EXTENDED.uid,
    ts.JPEG_FULL_PROGRESSION.uid,
    ts.JPEG_LOSSLESS.uid,
    ts.JPEG_LOSSLESS_SV1.uid,
}
# Pixels that are not square are stretched here and not there, where nothing else is scaled; size is tested elsewhere.
_SPACINGS = ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_IMAGE = (0x00080016, 0x00080018, 0x00280002, 0x00280010, 0x00280011, 0x00280100, 0x00280102)
_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def difference(dataset: Dataset, folder: Path, *, options: tuple[str, ...] = ("+cg",)) -> float:
    """The mean absolute difference, in grey levels, between both pictures of the first frame.

    `options` are dcmj2pnm's; +cg lets it look at what a JPEG codestream says of its colour. Raises DicomError for what
    is not drawn here, ValueError for what DCMTK does not draw, or in another shape.
    """
    pixels, syntax = describe(dataset), transfer_syntax_of(dataset)
    frame = decode_frame(frame_bytes(dataset), syntax.uid, pixels)
    cells = None
    if in_unused_bits(dataset):
        cells = decode_frame(frame_bytes(dataset), syntax.uid, whole_cells(pixels)).array
    window, shades = _shades(frame, dataset)
    ours = picture_of(frame, _square(dataset), window=window, planes=overlay_planes(dataset, 1, cells))
    given = folder / "given.dcm"
    if syntax.uid in _DECODED_BY_DCMTK:
        given = Path(str(dataset.filename))
    else:
        _native(dataset, frame).save_as(given)
    theirs = _drawn_by_dcmtk(given, folder / "theirs.pnm", *options, *shades)
    if ours.shape != theirs.shape:
        raise ValueError(f"{ours.shape} here, {theirs.shape} there")
    return float(numpy.abs(ours.astype(float) - theirs).mean())


def _drawn_by_dcmtk(given: Path, made: Path, *options: str) -> NDArray[Any]:
    assert DCMJ2PNM
    run = subprocess.run(
        [DCMJ2PNM, "--quiet", *options, given, made], capture_output=True, text=True, timeout=120, check=False
    )
    if run.returncode:
        raise ValueError(f"dcmj2pnm: {run.stderr.strip().splitlines()[:1] or run.returncode}")
    return numpy.asarray(Image.open(made))


def _shades(frame: DecodedFrame, dataset: Dataset) -> tuple[Window | None, list[str]]:
    """The window that both are told to use where they would choose otherwise, and the options that say so."""
    if frame.array.ndim == 3 or frame.photometric_interpretation == "PALETTE COLOR":
        return None, []
    if "VOILUTSequence" in dataset:
        return None, ["+Wl", "1"]
    group = _functional_groups(dataset)
    slope, intercept = _number(group, "RescaleSlope", 1), _number(group, "RescaleIntercept", 0)
    if _number(group, "WindowWidth", 0) >= 1 and group is not dataset:
        # dcmj2pnm looks at a shared rescaling, but at no window and nothing of the frame: the same, in its values
        if "RescaleSlope" in _first_item(dataset, _GROUPS[1]):
            slope, intercept = 1, 0
        center, width = _number(group, "WindowCenter", 0), _number(group, "WindowWidth", 0)
        low, high = ((center - 0.5 + end * (width - 1) / 2 - intercept) / slope for end in (-1, 1))
        return None, ["+Ww", f"{(low + high) / 2 + 0.5:.6f}", f"{high - low + 1:.6f}"]
    if _number(dataset, "WindowWidth", 0) >= 1:
        return None, ["+Wi", "1"]
    low, high = sorted(float(end) * slope + intercept for end in (frame.array.min(), frame.array.max()))
    if not low < high:
        raise ValueError("a frame of one value, which is drawn grey here and black there")
    return Window((low + high) / 2, high - low, "LINEAR_EXACT"), ["+Wm"]


def _functional_groups(dataset: Dataset) -> Dataset:
    """The rescaling and the window of the first frame as one item; the data set itself where it has no such groups."""
    found = Dataset()
    for sequence in reversed(_GROUPS):
        found.update({element.tag: element for element in _first_item(dataset, sequence)})
    return found if len(found) else dataset


def _first_item(dataset: Dataset, sequence: str) -> Dataset:
    found = Dataset()
    for group in list(dataset.get(sequence) or ())[:1]:
        for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in list(group.get(keyword) or ())[:1]:
                found.update({element.tag: element for element in item})
    return found


def _number(item: Dataset, keyword: str, missing: float) -> float:
    value = item.get(keyword)
    if value is None or value == "":
        return missing
    return float(value[0] if hasattr(value, "__getitem__") and not isinstance(value, str) else value)


def _square(dataset: Dataset) -> Dataset:
    """What drawing needs of the header, without what makes pixels oblong."""
    header = _some(dataset, [tag for tag in WANTED if keyword_for_tag(tag) not in _SPACINGS])
    for sequence in _GROUPS:
        for group in header.get(sequence) or ():
            if "PixelMeasuresSequence" in group:
                del group.PixelMeasuresSequence
    return header


def _some(dataset: Dataset, tags: Iterable[int]) -> Dataset:
    found = Dataset()
    found.update({Tag(tag): dataset[tag] for tag in tags if tag in dataset})
    found.set_original_encoding(*dataset.original_encoding)
    return found


def _native(dataset: Dataset, frame: DecodedFrame) -> Dataset:
    """The object with its first frame decoded, as Explicit VR Little Endian."""
    pixels = describe(dataset)
    made = _some(dataset, [tag for tag in (*_IMAGE, *WANTED) if keyword_for_tag(tag) not in _GROUPS])
    array = frame.array
    made.PhotometricInterpretation = frame.photometric_interpretation
    made.NumberOfFrames = 1
    if array.ndim == 3:
        made.PlanarConfiguration = 0
    data = native_bytes(frame, pixels)
    made.add_new(0x7FE00010, "OB" if pixels.bits_allocated <= 8 else "OW", data + b"\0" * (len(data) % 2))
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(ts.EXPLICIT_VR_LITTLE_ENDIAN.uid)
    made.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    made.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    made.set_original_encoding(False, True)
    return made
