"""Cornerstone's image loader from another origin: stored values as pydicom and its decoders have them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicom import transfer_syntaxes as ts
from tests.conformance.javascript.foreign import Foreign, Refused
from tests.conformance.javascript.installation import Installation, address_of
from tests.dicom.independent_pixels import gdcm_frame, independent_array
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import encapsulated, native_frames, packaged

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GREY = (np.indices((48, 64)).sum(axis=0) * 36 + np.random.default_rng(3).integers(0, 40, (48, 64))).astype("<u2")


TYPES = {
    "Uint8Array": "u1",
    "Uint8ClampedArray": "u1",
    "Int8Array": "i1",
    "Uint16Array": "<u2",
    "Int16Array": "<i2",
    "Float32Array": "<f4",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A Part 10 object, and its first frame as somebody else decodes it; `off` is how far a lossy decoder may be."""

    data: bytes
    ds: Dataset
    expected: NDArray[Any]
    off: int = 0


def shipped(name: str, photometric: str = "", off: int = 0) -> Picture:
    """A file that comes with pydicom, under UIDs of its own: several of them share theirs."""
    ds = pydicom.dcmread(io.BytesIO(packaged(name)))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID, ds.StudyInstanceUID = generate_uid(), generate_uid()
    file = io.BytesIO()
    pydicom.dcmwrite(file, ds)
    expected = independent_array(ds, 1, photometric or str(ds.PhotometricInterpretation))
    return Picture(file.getvalue(), ds, expected, off)


def extended() -> Picture:
    """12-bit JPEG as GDCM's own reader has it; the loader's decoder, in JavaScript, makes 15 of black."""
    name = "JPGExtended.dcm"
    ds = pydicom.dcmread(io.BytesIO(packaged(name)))
    like = np.empty((ds.Rows, ds.Columns), "<i2" if ds.PixelRepresentation else "<u2")
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Picture(packaged(name), ds, gdcm_frame(Path(path), 1, like), off=15)


def signed() -> Picture:
    pixels = GREY.astype("<i2") - 2000
    ds = make_data_set(
        Rows=48, Columns=64, BitsStored=16, HighBit=15, PixelRepresentation=1, PixelData=pixels.tobytes()
    )
    return Picture(to_bytes(ds), ds, pixels)


def composed(syntax: ts.TransferSyntax, codestream: bytes | bytearray, off: int = 0) -> Picture:
    """A compressed picture that no shipped file has."""
    data, ds = encapsulated(
        [[bytes(codestream) + b"\0" * (len(codestream) % 2)]],
        syntax.uid,
        Rows=48,
        Columns=64,
        BitsStored=16,
        HighBit=15,
    )
    return Picture(data, ds, GREY, off)


@dataclass(frozen=True, slots=True)
class Case:
    """A picture to make, under the name of its encoding."""

    name: str
    make: Callable[[], Picture]
    transfer_syntax: ts.TransferSyntax = field(default=ts.EXPLICIT_VR_LITTLE_ENDIAN)


CASES = (
    Case("explicit-little-endian", lambda: shipped("MR_small.dcm")),
    Case("implicit-little-endian", lambda: shipped("MR_small_implicit.dcm")),
    Case("big-endian", lambda: shipped("MR_small_bigendian.dcm")),
    Case("deflated", lambda: shipped("image_dfl.dcm")),
    Case("signed", signed),
    Case("rgb", lambda: shipped("SC_rgb_small_odd.dcm")),
    Case("rle", lambda: shipped("MR_small_RLE.dcm"), ts.RLE_LOSSLESS),
    Case("rle-rgb", lambda: shipped("SC_rgb_rle.dcm"), ts.RLE_LOSSLESS),
    Case("jpeg-baseline-colour", lambda: shipped("SC_rgb_jpeg_dcmtk.dcm", "RGB", off=3), ts.JPEG_BASELINE),
    Case("jpeg-extended-12-bit", extended, ts.JPEG_EXTENDED),
    Case("jpeg-lossless-sv1", lambda: shipped("SC_rgb_jpeg_gdcm.dcm"), ts.JPEG_LOSSLESS_SV1),
    Case(
        "jpeg-lossless-16-bit",
        lambda: composed(ts.JPEG_LOSSLESS_SV1, imagecodecs.ljpeg_encode(GREY)),
        ts.JPEG_LOSSLESS_SV1,
    ),
    Case("jpeg-ls", lambda: shipped("MR_small_jpeg_ls_lossless.dcm"), ts.JPEG_LS_LOSSLESS),
    Case(
        "jpeg-ls-near-lossless",
        lambda: composed(ts.JPEG_LS_NEAR_LOSSLESS, imagecodecs.jpegls_encode(GREY, level=3), off=3),
        ts.JPEG_LS_NEAR_LOSSLESS,
    ),
    Case("jpeg-2000-lossless", lambda: shipped("MR_small_jp2klossless.dcm"), ts.JPEG_2000_LOSSLESS),
    Case("jpeg-2000", lambda: shipped("JPEG2000.dcm", off=1), ts.JPEG_2000),
    Case(
        "htj2k-lossless",
        lambda: composed(ts.HTJ2K_LOSSLESS, imagecodecs.htj2k_encode(GREY, reversible=True)),
        ts.HTJ2K_LOSSLESS,
    ),
)


@pytest.fixture(scope="module")
def cornerstone(open_page: Callable[[str], Foreign], installation: Installation) -> Foreign:
    foreign = open_page("cornerstone")
    foreign("connect", installation.connection)
    return foreign


def values_of(found: dict[str, Any]) -> NDArray[Any]:
    """The samples, in whatever type the loader found narrow enough."""
    return np.frombuffer(found["values"].data, TYPES[found["type"]]).astype(int)


def assert_same(found: dict[str, Any], picture: Picture) -> None:
    values = values_of(found)
    assert (found["rows"], found["columns"]) == picture.expected.shape[:2]
    # Native pixel data of odd length: the loader keeps the padding byte of the element when it reads whole objects.
    assert len(values) - picture.expected.size in (0, picture.expected.size % 2)
    assert np.abs(values[: picture.expected.size] - picture.expected.ravel()).max() <= picture.off


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wadors(cornerstone: Foreign, installation: Installation, case: Case) -> None:
    """The frame by the loader's own Accept (`transfer-syntax=*`, unquoted), described by our metadata."""
    picture = case.make()
    installation.store(picture.data)
    [found] = cornerstone("wadors", {"address": address_of(picture.ds), "frames": [1]})
    assert found["transferSyntaxUID"] == case.transfer_syntax.uid
    assert_same(found, picture)


# Of a deflated object this loader finds no pixel data in its own parse, whichever way it gets the bytes.
@pytest.mark.parametrize("case", [case for case in CASES if case.name != "deflated"], ids=lambda case: case.name)
def test_wadouri(cornerstone: Foreign, installation: Installation, case: Case) -> None:
    """The object through WADO-URI as `application/dicom`, parsed and decoded by the loader."""
    picture = case.make()
    installation.store(picture.data)
    argument = {"root": installation.root, "address": address_of(picture.ds), "parameters": {"transferSyntax": "*"}}
    assert_same(cornerstone("wadouri", argument), picture)


def test_wadors_of_many_frames(cornerstone: Foreign, installation: Installation) -> None:
    """All at once, with what the loader reads of the metadata: window, rescale, spacing."""
    ds, frames = native_frames(
        12, RescaleSlope="2", RescaleIntercept="-1024", PixelSpacing=["0.5", "0.25"], WindowCenter=40, WindowWidth=400
    )
    installation.store(to_bytes(ds))
    found = cornerstone("wadors", {"address": address_of(ds), "frames": list(range(1, 13))})
    assert [values_of(each).tolist() for each in found] == [np.frombuffer(each, "<u2").tolist() for each in frames]
    assert {(each["slope"], each["intercept"]) for each in found} == {(2, -1024)}
    assert {(each["windowCenter"], each["windowWidth"]) for each in found} == {(40, 400)}
    assert {each["rowPixelSpacing"] for each in found} == {0.5}


def test_wadouri_of_a_later_frame(cornerstone: Foreign, installation: Installation) -> None:
    ds, frames = native_frames(4)
    installation.store(to_bytes(ds))
    argument = {"root": installation.root, "address": address_of(ds), "frame": 3, "parameters": {}}
    assert values_of(cornerstone("wadouri", argument)).tolist() == np.frombuffer(frames[2], "<u2").tolist()


def test_refusal_is_readable(cornerstone: Foreign, installation: Installation) -> None:
    """A frame beyond the last: the loader hears 404, not the silence of a missing CORS header."""
    ds = make_data_set()
    installation.store(to_bytes(ds))
    with pytest.raises(Refused) as refused:
        cornerstone("wadors", {"address": address_of(ds), "frames": [2]})
    assert refused.value.status == 404
