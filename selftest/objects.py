"""The objects of a run: one study of nobody, three instances in two series, under UIDs made for this run."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
    generate_uid,
)

ROWS, COLUMNS, FRAMES = 8, 16, 3
DATE = "20200229"


@dataclass(frozen=True, slots=True)
class Instance:
    """A Part 10 object, where it lies, and the bytes of its frames as stored."""

    study: str
    series: str
    instance: str
    data: bytes
    frames: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """The resource of the instance below the root (PS3.18 table 10.1-1)."""
        return f"studies/{self.study}/series/{self.series}/instances/{self.instance}"


@dataclass(frozen=True, slots=True)
class Study:
    """What is stored and asked for: two CT slices in one series, a compressed image of several frames in another."""

    uid: str
    patient_id: str
    slices: tuple[Instance, Instance]
    compressed: Instance

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All three."""
        return (*self.slices, self.compressed)


def make_study() -> Study:
    """A study that no server has yet."""
    study, first, second = (str(generate_uid(prefix=None)) for _ in range(3))
    patient_id = "SELFTEST-" + datetime.now(UTC).strftime("%Y%m%d%H%M%S%f")
    slices = tuple(_slice(study, first, patient_id, number) for number in (1, 2))
    return Study(study, patient_id, (slices[0], slices[1]), _compressed(study, second, patient_id))


def _slice(study: str, series: str, patient_id: str, number: int) -> Instance:
    ds = _common(study, series, patient_id, number)
    ds.SOPClassUID, ds.Modality, ds.SeriesNumber = CTImageStorage, "CT", 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.RescaleIntercept, ds.RescaleSlope = 0, 1
    ds.WindowCenter, ds.WindowWidth = 500, 1000
    pixels = b"".join((value * 7 + number).to_bytes(2, "little") for value in range(ROWS * COLUMNS))
    ds.PixelData = pixels
    return Instance(study, series, ds.SOPInstanceUID, _part10(ds, ExplicitVRLittleEndian), (pixels,))


def _compressed(study: str, series: str, patient_id: str) -> Instance:
    ds = _common(study, series, patient_id, 3)
    ds.SOPClassUID, ds.Modality = MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "OT"
    ds.SeriesNumber, ds.ConversionType, ds.NumberOfFrames = 2, "SYN", FRAMES
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    frames = tuple(_rle(bytes([50 * number]) * (ROWS * COLUMNS)) for number in range(1, FRAMES + 1))
    ds.PixelData = encapsulate(list(frames))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return Instance(study, series, ds.SOPInstanceUID, _part10(ds, RLELossless), frames)


def _rle(pixels: bytes) -> bytes:
    """One segment of equal bytes in RLE (PS3.5 Annex G): header, then replicate runs of at most 128."""
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    assert len(pixels) % 128 == 0, "runs of 128"  # noqa: S101 - holds for ROWS and COLUMNS above
    return header + b"".join(b"\x81" + pixels[at : at + 1] for at in range(0, len(pixels), 128))


def _common(study: str, series: str, patient_id: str, number: int) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.SOPInstanceUID = generate_uid(prefix=None)
    ds.PatientName, ds.PatientID = "Selftest^Größe", patient_id
    ds.PatientBirthDate, ds.PatientSex = "", "O"
    ds.StudyDate, ds.StudyTime = DATE, "101530"
    ds.AccessionNumber, ds.StudyID, ds.StudyDescription = patient_id[-16:], "1", "Self test"
    ds.ReferringPhysicianName = ""
    ds.InstanceNumber = number
    ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
    ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME2", 0
    return ds


def _part10(ds: Dataset, transfer_syntax_uid: pydicom.uid.UID) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    ds.file_meta = meta
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
