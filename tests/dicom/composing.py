"""What the tests of composing share: metadata, parts, compressed frames, and both readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom import transfer_syntaxes as ts
from dicom.bulk_parts import BulkPart
from dicom.compose import Composed, compose
from dicom.errors import (
    DicomError,
)
from dicom.memory_source import MemorySource
from dicom.part10 import ParsedInstance, parse
from tests.dicom.part10_objects import INSTANCE, RAW_DATA, SECONDARY_CAPTURE, SERIES, STUDY, Memory
from tests.dicom.pydicom_oracle import differences

Model = dict[str, Any]


class Written(bytearray):
    """A sink that keeps what it is given and how large the pieces were."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def write(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        self.extend(data)


def part(*payloads: bytes | bytearray, media_type: str = ts.OCTET_STREAM, uid: str | None = None) -> BulkPart:
    return BulkPart(media_type, uid, tuple(MemorySource(bytes(payload)) for payload in payloads))


def text(vr: str, *values: Any) -> Model:
    return {"vr": vr, "Value": list(values)}


def base(**more: Any) -> Model:
    found = {
        "00080016": text("UI", RAW_DATA),
        "00080018": text("UI", INSTANCE),
        "00100010": text("PN", {"Alphabetic": "Doe^Jane"}),
        "00100020": text("LO", "ID-1"),
        "0020000D": text("UI", STUDY),
        "0020000E": text("UI", SERIES),
    }
    return found | {tag.removeprefix("t"): attribute for tag, attribute in more.items()}


def described(rows: int, columns: int, bits: int = 8, samples: int = 1, photometric: str = "MONOCHROME2") -> Model:
    return base(
        t00080016=text("UI", SECONDARY_CAPTURE),
        t00280002=text("US", samples),
        t00280004=text("CS", photometric),
        t00280010=text("US", rows),
        t00280011=text("US", columns),
        t00280100=text("US", bits),
        t00280101=text("US", bits),
        t00280102=text("US", bits - 1),
        t00280103=text("US", 0),
        t7FE00010={"vr": "OW", "BulkDataURI": "pixels"},
    )


def write(attributes: Mapping[str, Any], **parts: BulkPart) -> tuple[Composed, bytes]:
    sink = Written()
    composed = compose(attributes, parts.get, sink)
    assert composed.size == len(sink)
    assert sink.largest <= 1024 * 1024
    return composed, bytes(sink)


def read_back(attributes: Mapping[str, Any], **parts: BulkPart) -> tuple[Composed, Dataset, ParsedInstance, bytes]:
    """Both readers agree about what was written."""
    composed, data = write(attributes, **parts)
    parsed = parse(Memory(data))
    assert differences(data, parsed, Memory(data)) == []
    assert parsed.transfer_syntax_uid == composed.transfer_syntax_uid
    assert parsed.sop_instance_uid == composed.sop_instance_uid
    return composed, pydicom.dcmread(BytesIO(data)), parsed, data


def refusal(attributes: Mapping[str, Any], **parts: BulkPart) -> DicomError:
    sink = Written()
    with pytest.raises(DicomError) as refused:
        compose(attributes, parts.get, sink)
    assert sink == b"", "nothing is written of what is refused"
    assert "Doe" not in str(refused.value)
    assert "ID-1" not in str(refused.value)
    return refused.value


def filled(composed: Composed) -> Model:
    assert all(coercion.before is None for coercion in composed.coercions)
    return {coercion.keyword: coercion.after["Value"][0] for coercion in composed.coercions}


GREY8 = np.arange(16 * 24, dtype="u1").reshape(16, 24)
GREY16 = (np.arange(16 * 24, dtype="<u2") * 7).reshape(16, 24)
RGB = np.stack([GREY8, GREY8[::-1], 255 - GREY8], axis=-1)
COMPRESSED: list[tuple[str, bytes | bytearray, str, ts.TransferSyntax, Model]] = [
    (
        "jpeg grey",
        imagecodecs.jpeg8_encode(GREY8, level=90),
        "image/jpeg",
        ts.JPEG_BASELINE,
        {"PhotometricInterpretation": "MONOCHROME2", "BitsStored": 8, "LossyImageCompressionMethod": "ISO_10918_1"},
    ),
    (
        "jpeg colour",
        imagecodecs.jpeg8_encode(RGB, level=90, subsampling="422"),
        "image/jpeg",
        ts.JPEG_BASELINE,
        {"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "PlanarConfiguration": 0},
    ),
    (
        "jpeg colour, full chrominance",
        imagecodecs.jpeg8_encode(RGB, level=90, subsampling="444"),
        "image/jpeg",
        ts.JPEG_BASELINE,
        {"PhotometricInterpretation": "YBR_FULL", "LossyImageCompression": "01"},
    ),
    (
        "lossless jpeg",
        imagecodecs.ljpeg_encode(GREY16, bitspersample=16),
        "image/jpeg",
        ts.JPEG_LOSSLESS,
        {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0},
    ),
    (
        "jpeg-ls",
        imagecodecs.jpegls_encode(GREY16, level=0),
        "image/jls",
        ts.JPEG_LS_LOSSLESS,
        {"Rows": 16, "Columns": 24, "BitsAllocated": 16},
    ),
    (
        "jpeg-ls near lossless",
        imagecodecs.jpegls_encode(GREY8, level=3),
        "image/jls",
        ts.JPEG_LS_NEAR_LOSSLESS,
        {"LossyImageCompression": "01", "LossyImageCompressionMethod": "ISO_14495_1"},
    ),
    (
        "jpeg 2000 lossless",
        imagecodecs.jpeg2k_encode(GREY16, codecformat="j2k", reversible=True, level=0),
        "image/jp2",
        ts.JPEG_2000_LOSSLESS,
        {"PhotometricInterpretation": "MONOCHROME2", "BitsStored": 16},
    ),
    (
        "jpeg 2000 colour",
        imagecodecs.jpeg2k_encode(RGB, codecformat="j2k", reversible=True, level=0, mct=True),
        "image/jp2",
        ts.JPEG_2000_LOSSLESS,
        {"PhotometricInterpretation": "YBR_RCT", "SamplesPerPixel": 3},
    ),
    (
        "jpeg 2000 lossy",
        imagecodecs.jpeg2k_encode(RGB, codecformat="j2k", reversible=False, level=40, mct=True),
        "image/jp2",
        ts.JPEG_2000,
        {"PhotometricInterpretation": "YBR_ICT", "LossyImageCompressionMethod": "ISO_15444_1"},
    ),
    (
        "a jp2 file",
        imagecodecs.jpeg2k_encode(GREY8, codecformat="jp2", reversible=True, level=0),
        "image/jp2",
        ts.JPEG_2000_LOSSLESS,
        {"Rows": 16, "Columns": 24},
    ),
    (
        "htj2k",
        imagecodecs.htj2k_encode(GREY16, reversible=True),
        "image/jphc",
        ts.HTJ2K_LOSSLESS,
        {"Rows": 16, "BitsAllocated": 16},
    ),
]


J2K = [imagecodecs.jpeg2k_encode(GREY16 + n, codecformat="j2k", reversible=True, level=0) for n in range(3)]


@dataclass(frozen=True)
class Endless:
    """Far more bytes than memory is given to."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        return bytes(min(length, self.size - offset))
