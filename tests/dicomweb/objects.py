"""Small valid objects made on the spot: every test says what matters to it, the rest is filled in."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid


def make_data_set(**values: Any) -> Dataset:
    """A CT slice of 16 x 12 pixels with ``values`` on top; a value of ``None`` takes the attribute away."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID = generate_uid()
    ds.SeriesInstanceUID = generate_uid()
    ds.PatientName = "Doe^Jane"
    ds.PatientID = "P1"
    ds.PatientBirthDate = "19700102"
    ds.PatientSex = "F"
    ds.StudyDate, ds.StudyTime = "20240305", "101530"
    ds.AccessionNumber, ds.StudyID, ds.StudyDescription = "A1", "S1", "Thorax"
    ds.ReferringPhysicianName = "Refer^Robin"
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "CT", 1, 1
    ds.Rows, ds.Columns = 12, 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = 500, 1000
    ds.PixelData = np.arange(12 * 16, dtype="<u2").tobytes()
    for keyword, value in values.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def to_bytes(ds: Dataset, transfer_syntax_uid: UID = ExplicitVRLittleEndian) -> bytes:
    """``ds`` as a Part 10 object."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    ds.file_meta = meta
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def make_object(**values: Any) -> bytes:
    """A Part 10 object of ``make_data_set``."""
    return to_bytes(make_data_set(**values))
