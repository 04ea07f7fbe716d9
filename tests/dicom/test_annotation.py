"""The lines burned into a picture by `annotation` (PS3.18 8.3.5.1.1)."""

from __future__ import annotations

import io

import numpy
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from dicom.annotation import IDENTITY, TAGS, annotated, annotation_lines
from dicom.memory_source import MemorySource
from dicom.picture_header import read_picture_header
from dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from tests.dicom.drawing import dataset


def header(**more: str) -> Dataset:
    return dataset(
        PatientName="Doe^Jane^M",
        PatientID="4711",
        PatientBirthDate="19700102",
        PatientSex="F",
        Modality="CT",
        BodyPartExamined="CHEST",
        StudyDate="20240305",
        StudyTime="134501.5",
        KVP="120",
        XRayTubeCurrent="200",
        SliceThickness="1.5",
        **more,
    )


def test_the_lines_of_each_keyword() -> None:
    assert annotation_lines(header(), "patient") == ["Doe, Jane M", "ID 4711", "born 1970-01-02  sex F"]
    assert annotation_lines(header(), "technique") == [
        "CT  CHEST",
        "2024-03-05  13:45",
        "120 kV  200 mA",
        "slice 1.5 mm",
    ]
    assert annotation_lines(header(), "weather") == []
    assert annotation_lines(Dataset(), "patient") == []


def test_what_is_withheld_is_not_written() -> None:
    """The minimum necessary holds in pictures too."""
    assert annotation_lines(header(), "patient", frozenset({"00100010"})) == [], "all of it or nothing"
    assert annotation_lines(header(), "patient", frozenset({"00101040"}))[0] == "Doe, Jane M"
    assert annotation_lines(header(), "technique", frozenset({"00080020"}))[1] == "13:45"
    picture = numpy.full((200, 200), 50, "u1")
    assert annotated(picture, header(), ("patient",), IDENTITY) is picture


def test_they_are_written_in_the_corners() -> None:
    picture = numpy.full((300, 400), 50, "u1")
    patient = annotated(picture, header(), ("patient",))
    assert patient.shape == picture.shape
    assert (patient[:60, :150] > 200).sum() > 100
    assert (patient[100:] == 50).all()
    technique = annotated(picture, header(), ("technique",))
    assert (technique[230:, :150] > 200).sum() > 100
    assert (technique[:200] == 50).all()
    colour = annotated(numpy.full((300, 400, 3), 50, "u1"), header(), ("patient", "technique"))
    assert colour.shape == (300, 400, 3)


@pytest.mark.parametrize(
    ("characters", "name", "read"),
    [("ISO_IR 100", "Müller^Jörg", "Müller, Jörg"), ("ISO_IR 192", "Åse^Björk=漢字", "Åse, Björk")],
)
def test_names_are_read_in_their_character_set(characters: str, name: str, read: str) -> None:
    made = dataset(SpecificCharacterSet=characters, PatientName=name)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT_VR_LITTLE_ENDIAN.uid)
    made.file_meta.MediaStorageSOPClassUID = made.file_meta.MediaStorageSOPInstanceUID = UID("1.2")
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    found = read_picture_header(MemorySource(written.getvalue()), EXPLICIT_VR_LITTLE_ENDIAN, 1, TAGS)
    assert annotation_lines(found, "patient") == [read]
