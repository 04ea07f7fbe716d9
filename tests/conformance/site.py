"""One installation for the clauses, and what is stored in it: every kind of object that a clause speaks of."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage, RLELossless, generate_uid

from tests.conformance.trap_server import TrapPacs, fresh, written
from tests.dicomweb.objects import make_data_set, to_bytes

JSON = "application/dicom+json"
XML = 'multipart/related; type="application/dicom+xml"'
OCTETS = 'multipart/related; type="application/octet-stream"'
INSTANCES = 'multipart/related; type="application/dicom"'
PDF = b"%PDF-1.4 conformance "
NO_PIXELS: dict[str, Any] = dict.fromkeys(
    (
        *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "WindowCenter", "WindowWidth", "PixelData"),
    )
)


@dataclass(frozen=True)
class Stored:
    """An object as it was sent, and where it is."""

    ds: Dataset
    data: bytes

    @property
    def study(self) -> str:
        return f"studies/{self.ds.StudyInstanceUID}"

    @property
    def series(self) -> str:
        return f"{self.study}/series/{self.ds.SeriesInstanceUID}"

    @property
    def path(self) -> str:
        return f"{self.series}/instances/{self.ds.SOPInstanceUID}"


@dataclass(frozen=True)
class Corpus:
    """``slices`` and ``frames`` are two series of one study; everything else is a study of its own."""

    slices: list[Stored]
    frames: Stored  # three frames, RLE
    arrays: list[bytes]  # the same, native
    other: Stored
    jpeg: Stored
    jpeg_2000: Stored
    implicit: Stored
    pdf: Stored
    report: Stored


@dataclass(frozen=True)
class Site(TrapPacs):
    """The installation with its corpus."""

    corpus: Corpus

    @property
    def client(self) -> DICOMwebClient:
        """The foreign client of the Python world."""
        return DICOMwebClient(url=self.root, session=self.session)

    def search(self, path: str, **more: str) -> list[dict[str, Any]]:
        """The answers of a search that must succeed."""
        answer = self.get(path, JSON, **more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        """Any method, with the token."""
        url = path if path.startswith("http") else f"{self.root}/{path}"
        return self.session.request(method, url, timeout=60, **more)


def corpus() -> Corpus:
    """The objects, made on the spot or shipped by pydicom."""
    study, series = generate_uid(), generate_uid()
    common = {"StudyInstanceUID": study, "PatientID": f"CONF-{study[-8:]}", "PatientName": "Müller^Jürgen"}
    slices = [_slice(n, SeriesInstanceUID=series, **common) for n in (1, 2, 3)]
    arrays = [np.full((12, 16), 40 * n, "<u2") + np.arange(16, dtype="<u2") for n in (1, 2, 3)]
    frames = make_data_set(
        **common,
        **_OF_STUDY,
        Modality="MR",
        SeriesNumber=2,
        NumberOfFrames=3,
        PixelData=b"".join(a.tobytes() for a in arrays),
    )
    frames.file_meta = fresh("CT_small.dcm").file_meta
    frames["PixelData"].VR = "OW"
    frames.compress(RLELossless, generate_instance_uid=False)
    pdf = make_data_set(
        SOPClassUID=EncapsulatedPDFStorage,
        Modality="DOC",
        PatientName="Paper^Pat",
        EncapsulatedDocument=PDF + b"x" * 99_979,
        MIMETypeOfEncapsulatedDocument="application/pdf",
        **NO_PIXELS,
    )
    return Corpus(
        slices=slices,
        frames=Stored(frames, to_bytes(frames, RLELossless)),
        arrays=[a.tobytes() for a in arrays],
        other=_stored(
            make_data_set(PatientName="Muster^Max", PatientID="CONF-2", StudyDate="20191224", AccessionNumber=None)
        ),
        jpeg=_fresh("SC_rgb_jpeg_dcmtk.dcm"),
        jpeg_2000=_fresh("examples_jpeg2k.dcm"),
        implicit=_fresh("MR_small_implicit.dcm"),
        pdf=_stored(pdf),
        report=_stored(
            make_data_set(
                SOPClassUID=BasicTextSRStorage,
                Modality="SR",
                ValueType="CONTAINER",
                ContentSequence=[_text()],
                **NO_PIXELS,
            )
        ),
    )


def data_set_of(data: bytes) -> Dataset:
    """What pydicom reads out of a Part 10 object."""
    from pydicom import dcmread

    return dcmread(io.BytesIO(data))


_OF_STUDY: dict[str, Any] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "StudyDate": "20240305",
    "StudyTime": "101530",
    "AccessionNumber": "CONF-A1",
    "StudyID": "CONF-S1",
    "StudyDescription": "Thorax",
    "ReferringPhysicianName": "Refer^Robin",
    "TimezoneOffsetFromUTC": "+0100",
}


def _slice(number: int, **values: Any) -> Stored:
    """A CT slice with every attribute that is searched for, and every kind of value that DICOM JSON has rules for."""
    ds = make_data_set(**values, **_OF_STUDY, InstanceNumber=number, SeriesDescription="Lung", PatientSex="F")
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = "20240305", "101600"
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "SPS-1", "RP-1"
    ds.RequestAttributesSequence = Sequence([item])
    ds.ReferencedStudySequence = Sequence([])
    ds.ImageType = ["ORIGINAL", "", "AXIAL"]
    ds.ImagePositionPatient = [1.5, -2, 3]
    ds.ImageComments = ""
    ds.FrameIncrementPointer = 0x00181063
    ds.add_new(0x00081203, "SQ", [])
    ds.add_new(0x00091010, "OB", b"\x01\x02\x03\x04")
    block = ds.private_block(0x0029, "CONFORMANCE", create=True)
    block.add_new(0x01, "LO", f"private {number}")
    ds.add_new(0x60000010, "US", 12)
    ds.add_new(0x60000011, "US", 16)
    ds.add_new(0x60003000, "OW", bytes(24))
    return _stored(ds)


def _text() -> Dataset:
    """A content item of a report."""
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", "No fracture."
    return item


def _stored(ds: Dataset) -> Stored:
    return Stored(ds, to_bytes(ds))


def _fresh(name: str) -> Stored:
    ds = fresh(name)
    return Stored(ds, written(ds))
