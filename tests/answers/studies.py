"""What is stored before the questions are asked: generated objects with UIDs of their own, and files pydicom ships.

Every byte is the same each time, so that answers of two versions can be compared by their hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage

from tests.archive.scale import STUDY_UID
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.pixels import packaged

ROOT = "1.2.826.0.1.3680043.8.498.77"
CT, MULTI, PDF, SR, DELETED = (f"{ROOT}.{number}" for number in range(1, 6))
SLICES = 5
FRAMES = 4
# Native, big endian, deflated, RLE, JPEG of every kind, colour, several frames, none at all, a report, a wave, a plan.
FILES = (
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPGExtended.dcm",
    "MR_small_RLE.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_2frame.dcm",
    "SC_rgb_small_odd.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "image_dfl.dcm",
    "liver_1frame.dcm",
    "reportsi.dcm",
    "rtdose_1frame.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)
NO_PIXELS: dict[str, Any] = dict.fromkeys(
    (
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "WindowCenter", "WindowWidth", "PixelData"),
    )
)


def below(study: str, series: int, instance: int) -> dict[str, str]:
    """UIDs of a generated instance."""
    return {
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "SOPInstanceUID": f"{study}.{series}.{instance}",
    }


def batches() -> Iterator[list[bytes]]:
    """Bodies of the Store requests, in order: a study of slices, others one by one, the packaged files together."""
    yield [to_bytes(_slice(number)) for number in range(1, SLICES + 1)]
    yield [to_bytes(_multi_frame())]
    yield [to_bytes(_document())]
    yield [to_bytes(_report())]
    yield [to_bytes(_searched())]
    yield [packaged(name) for name in FILES]
    yield [to_bytes(make_data_set(**below(DELETED, series, n))) for series in (1, 2) for n in (1, 2)]


def damaged() -> Iterator[list[bytes]]:
    """What is refused wholly or in part: no DICOM, cut off, without a UID, another object under a UID that is taken."""
    good = make_data_set(**below(f"{ROOT}.8", 1, 1))
    yield [b"no DICOM at all", to_bytes(good)]
    yield [to_bytes(make_data_set(**below(f"{ROOT}.8", 1, 2)))[:700]]
    yield [to_bytes(make_data_set(**below(f"{ROOT}.8", 1, 3) | {"StudyInstanceUID": None}))]
    yield [to_bytes(make_data_set(**below(CT, 1, 1), PatientID="P2"))]
    yield [to_bytes(_slice(1))]


def _slice(number: int) -> Dataset:
    """A CT slice with every kind of value that DICOM JSON has rules for."""
    ds = make_data_set(
        **below(CT, 1, number),
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müller^Jürgen",
        PatientID="ANSWERS-1",
        InstanceNumber=number,
        SeriesDescription="Lung",
        TimezoneOffsetFromUTC="+0100",
        Rows=64,
        Columns=48,
        PixelData=(np.arange(64 * 48, dtype="<u2") * number % 4096).tobytes(),
    )
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "SPS-1", "RP-1"
    ds.RequestAttributesSequence = Sequence([item])
    ds.ImageType = ["ORIGINAL", "", "AXIAL"]
    ds.ImagePositionPatient = [1.5, -2, 3]
    ds.ImageComments = ""
    ds.FrameIncrementPointer = 0x00181063
    ds.add_new(0x00081203, "SQ", [])
    ds.add_new(0x00091010, "OB", bytes(range(256)) * 20)
    ds.private_block(0x0029, "ANSWERS", create=True).add_new(0x01, "LO", f"private {number}")
    return ds


def _multi_frame() -> Dataset:
    frames = [np.full((40, 56), 300 * n, "<u2") + np.arange(56, dtype="<u2") for n in range(1, FRAMES + 1)]
    ds = make_data_set(
        **below(MULTI, 1, 1),
        Modality="MR",
        Rows=40,
        Columns=56,
        NumberOfFrames=FRAMES,
        PixelData=b"".join(frame.tobytes() for frame in frames),
    )
    ds["PixelData"].VR = "OW"
    return ds


def _document() -> Dataset:
    return make_data_set(
        **below(PDF, 1, 1),
        SOPClassUID=EncapsulatedPDFStorage,
        Modality="DOC",
        EncapsulatedDocument=b"%PDF-1.4 answers " + b"x" * 70_001,
        MIMETypeOfEncapsulatedDocument="application/pdf",
        **NO_PIXELS,
    )


def _report() -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "No fracture."
    return make_data_set(
        **below(SR, 1, 1),
        SOPClassUID=BasicTextSRStorage,
        Modality="SR",
        ValueType="CONTAINER",
        ContentSequence=[item],
        **NO_PIXELS,
    )


def _searched() -> Dataset:
    """What the examples of ``tests.archive.search_kinds`` ask for."""
    ds = make_data_set(
        **below(f"{STUDY_UID}.777", 1, 1),
        PatientName="Mueller^Yuki K",
        PatientID="P0000777",
        IssuerOfPatientID="CLINIC",
        PatientBirthDate="19640203",
        PatientSex="O",
        StudyDate="20191105",
        StudyTime="101530",
        AccessionNumber="A006153063",
        StudyID="777",
        StudyDescription="NM Coronary",
        ReferringPhysicianName="Tanaka^Yuki",
        TimezoneOffsetFromUTC="-0500",
        Modality="NM",
        SeriesNumber=3,
        SeriesDescription="Bone kernel",
        PerformedProcedureStepStartDate="20191105",
        PerformedProcedureStepStartTime="101530",
        BodyPartExamined="PROSTATE",
        ProtocolName="Protocol 42",
        StationName="STATION42",
        InstanceNumber=2,
        ContentDate="20191105",
        ContentTime="101530",
    )
    item = Dataset()
    item.AccessionNumber, item.RequestedProcedureID, item.ScheduledProcedureStepID = "A006153063", "RP00000777", "SP1"
    ds.RequestAttributesSequence = Sequence([item])
    return ds
