"""WADO-RS as a zip archive of Part 10 files with DICOMDIR (PS3.18 8.7.3, PS3.10 section 8)."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from archive.errors import ArchiveUnavailable
from audit.models import AccessEvent
from dicomweb.zip_body import Member, write_zip
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import problem_of

ZIP = "application/zip"
_NO_PIXELS = dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth"))
_CLASSES = "1.2.840.10008.5.1.4.1.1."
# SOP class, has it pixels -> type of its directory record (PS3.3 table F.4-1)
_KINDS = {
    (_CLASSES + "2", True): "IMAGE",
    (_CLASSES + "66.4", True): "IMAGE",
    (_CLASSES + "66", False): "RAW DATA",
    (_CLASSES + "88.11", False): "SR DOCUMENT",
    (_CLASSES + "88.59", False): "KEY OBJECT DOC",
    (_CLASSES + "11.1", False): "PRESENTATION",
    (_CLASSES + "104.1", False): "ENCAP DOC",
    (_CLASSES + "481.3", False): "RT STRUCTURE SET",
    (_CLASSES + "9.1.1", False): "WAVEFORM",
    ("1.2.3.4.5", False): "PRIVATE",
}


@pytest.fixture
def study(technologist: Door) -> dict[str, Any]:
    """Objects of every kind of record, in two series, of a patient whose name is no ASCII."""
    uid, series = generate_uid(), [generate_uid(), generate_uid()]
    objects, names = {}, []
    for number, (sop_class, pixels) in enumerate(_KINDS, 1):
        ds = make_data_set(
            SpecificCharacterSet="ISO_IR 192",
            PatientName="Müller^Jürgen=山田^太郎",
            SOPClassUID=sop_class,
            StudyInstanceUID=uid,
            SeriesInstanceUID=series[number % 2],
            SeriesNumber=number % 2,
            InstanceNumber=number,
            **({} if pixels else _NO_PIXELS),
        )
        objects[str(ds.SOPInstanceUID)] = to_bytes(ds)
        names.append(f"studies/{uid}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}")
    assert technologist.store(objects.values()).status_code in (200, 202)
    return {"study": f"studies/{uid}", "series": names[0].partition("/inst")[0], "instance": names[0], "all": objects}


def unpacked(response: Any, folder: Path) -> ZipFile:
    assert (response.status_code, response["Content-Type"]) == (200, ZIP)
    archive = ZipFile(io.BytesIO(body_of(response)))
    assert archive.testzip() is None
    archive.extractall(folder)
    return archive


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_file_set(technologist: Door, study: dict[str, Any], tmp_path: Path, level: str) -> None:
    """pydicom loads the unpacked folder and finds every instance under every record that leads to it."""
    expected = {
        uid: data
        for uid, data in study["all"].items()
        if level == "study" or f"/{pydicom.dcmread(io.BytesIO(data)).SeriesInstanceUID}" in study[level]
        if level != "instance" or study["instance"].endswith(uid)
    }
    assert len(expected) == {"study": 10, "series": 5, "instance": 1}[level]
    archive = unpacked(technologist.get(study[level], ZIP), tmp_path)
    names = archive.namelist()
    assert names[0] == "DICOMDIR"
    assert all(re.fullmatch(r"DICOM/[0-9]{8}", name) for name in names[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = FileSet(tmp_path / "DICOMDIR")
    assert {str(e.SOPInstanceUID): Path(e.path).read_bytes() for e in loaded} == expected
    assert len(names) == 1 + len(expected)
    for entry in loaded:
        stored = pydicom.dcmread(io.BytesIO(expected[str(entry.SOPInstanceUID)]), stop_before_pixels=True)
        for keyword in ("PatientID", "StudyInstanceUID", "StudyDate", "StudyID", "Modality", "SeriesInstanceUID"):
            assert getattr(entry, keyword) == getattr(stored, keyword), keyword
        assert (entry.PatientName, entry.InstanceNumber) == (stored.PatientName, stored.InstanceNumber)
        assert entry.ReferencedTransferSyntaxUIDInFile == stored.file_meta.TransferSyntaxUID
        kind = _KINDS[(str(stored.SOPClassUID), "Rows" in stored)]
        assert entry.node.record_type == kind
    event = AccessEvent.objects.filter(query="zip").get()
    assert (event.instance_count, event.bytes) == (len(expected), sum(map(len, expected.values())))
    assert (event.kind, event.patient_ids) == ("export", [str(loaded.find_values("PatientID")[0])])


def test_what_objects_leave_empty(technologist: Door, tmp_path: Path) -> None:
    """Nothing is made up, and nothing breaks, where attributes that a medium needs have no value."""
    ds = make_data_set(PatientName=None, PatientID="", StudyID="", StudyDate="", SeriesNumber=None, InstanceNumber=None)
    assert technologist.store([to_bytes(ds)]).status_code in (200, 202)
    unpacked(technologist.get(f"studies/{ds.StudyInstanceUID}", ZIP), tmp_path)
    [entry] = FileSet(tmp_path / "DICOMDIR")
    assert (entry.SOPInstanceUID, entry.StudyDate, entry.InstanceNumber) == (ds.SOPInstanceUID, "", None)


@pytest.mark.parametrize("accept", [None, "*/*", "multipart/related", "application/dicom"])
def test_a_zip_only_for_who_asks(technologist: Door, study: dict[str, Any], accept: str | None) -> None:
    assert technologist.get(study["instance"], accept)["Content-Type"] != ZIP


def test_a_zip_by_query_parameter(technologist: Door, study: dict[str, Any]) -> None:
    response = technologist.http.get(f"/dicom-web/{study['study']}?accept=application/zip")
    assert (response["Content-Type"], response["Content-Disposition"]) == (ZIP, 'attachment; filename="dicom.zip"')
    assert body_of(response).startswith(b"PK")


def test_an_archive_that_cannot_be_begun(
    technologist: Door, study: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise ArchiveUnavailable("a stored object can't be read now")

    monkeypatch.setattr("archive.payload.open_range", lost)
    events = AccessEvent.objects.count()
    problem_of(technologist.get(study["study"], ZIP), 503)
    assert AccessEvent.objects.count() == events


def test_pieces_leave_while_the_archive_is_written() -> None:
    """No member is gathered in memory, and one that is cut short breaks the archive instead of passing for whole."""
    taken = []

    def pieces() -> Any:
        for number in range(10):
            taken.append(number)
            yield bytes(1000)

    body = write_zip([Member("a", datetime.now(UTC), 10_000, pieces())])
    assert sum(len(next(body)) for _ in range(3)) < 3000
    assert len(taken) < 4
    with pytest.raises(ValueError, match="expected 10 bytes, found 5"):
        list(write_zip([Member("a", datetime.now(UTC), 10, [b"12345"])]))


def test_another_reader(technologist: Door, study: dict[str, Any], tmp_path: Path) -> None:
    """A process of its own tests the archive as any tool would."""
    path = tmp_path / "dicom.zip"
    path.write_bytes(body_of(technologist.get(study["study"], ZIP)))
    subprocess.run([sys.executable, "-m", "zipfile", "-t", str(path)], check=True, timeout=60)
