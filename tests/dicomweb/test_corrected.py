"""What a feed says of a patient is in every answer: search, metadata, whole objects; stored bytes stay as they came."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pydicom
import pytest
from django.db import transaction
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from archive import patients
from archive.frames import frames_of
from archive.locate import Address, locate
from archive.models import Instance, Series, Study
from archive.object_store import object_store
from archive.patient_facts import Identifier, Moment, PatientFacts
from dicom.annotation import annotation_lines
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes

pytestmark = pytest.mark.django_db

P1 = Identifier("P1")
DICOM = "application/dicom"
NOW = Moment(datetime(2025, 1, 10, tzinfo=UTC), "ris", "M1")


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def told(name: str = "MÜLLER^JANE", **values: Any) -> None:
    with transaction.atomic():
        patients.apply(PatientFacts((P1,), name=name, **values), NOW)


def object_of(door: Door, uid: str) -> Dataset:
    """The one object of a study as it leaves if no transfer syntax is named."""
    response = door.get(f"studies/{uid}", f'multipart/related; type="{DICOM}"; transfer-syntax=*')
    assert response.status_code == 200, response.content
    body = b"Content-Type: " + response["Content-Type"].encode() + b"\r\n\r\n" + body_of(response)
    part: Any = BytesParser().parsebytes(body).get_payload(0)
    ds = pydicom.dcmread(io.BytesIO(part.get_payload(decode=True)))
    assert f"transfer-syntax={ds.file_meta.TransferSyntaxUID}" in part["Content-Type"]
    return ds


def the_stored_bytes_are(data: bytes) -> bool:
    row = Instance.objects.get()
    found = b"".join(object_store().open_range(row.object_key))
    return found == data and bytes(row.object_sha256) == hashlib.sha256(data).digest()


def rle(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    plain = pydicom.dcmread(io.BytesIO(to_bytes(ds)))
    plain.compress(RLELossless, generate_instance_uid=False)
    plain.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("syntax", "leaves_as"),
    [
        (ExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRBigEndian, ExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian),
        (RLELossless, RLELossless),
    ],
)
def test_an_object_of_any_syntax(technologist: Door, syntax: UID, leaves_as: UID) -> None:
    ds = make_data_set()
    data = rle(ds) if syntax == RLELossless else to_bytes(ds, syntax)
    assert technologist.store([data]).status_code == 200
    told(sex="O")
    found = object_of(technologist, ds.StudyInstanceUID)
    assert found.file_meta.TransferSyntaxUID == leaves_as
    assert (found.PatientName, found.PatientSex, found.PatientBirthDate) == ("MÜLLER^JANE", "O", "19700102")
    assert found.SpecificCharacterSet == "ISO_IR 100"
    [item] = found.OriginalAttributesSequence
    [before] = item.ModifiedAttributesSequence
    assert (before.PatientName, before.PatientSex) == ("Doe^Jane", "F")
    assert (item.ReasonForTheAttributeModification, item.ModifyingSystem) == ("COERCE", "LIGHTBOX")
    assert "PatientID" not in before
    assert np.array_equal(found.pixel_array, pydicom.dcmread(io.BytesIO(data)).pixel_array)
    assert the_stored_bytes_are(data)


def test_search_metadata_object_and_picture_say_the_same(technologist: Door) -> None:
    ds = make_data_set()
    study = ds.StudyInstanceUID
    technologist.store([to_bytes(ds)])
    path = f"studies/{study}/metadata"
    before = technologist.get(path)
    told()
    [found] = technologist.search("studies", PatientName="müller*")
    assert found["00100010"]["Value"] == [{"Alphabetic": "MÜLLER^JANE"}]
    assert technologist.search("studies", PatientName="Doe*") == []
    response = technologist.get(path, **{"if-none-match": before["ETag"]})
    [data_set] = orjson.loads(body_of(response))
    assert data_set["00100010"]["Value"] == [{"Alphabetic": "MÜLLER^JANE"}]
    assert list(data_set) == sorted(data_set)
    whole = object_of(technologist, study)
    assert whole.OriginalAttributesSequence == Dataset.from_json(data_set).OriginalAttributesSequence
    located = locate(Study.objects.all(), Address(study))[0]
    assert annotation_lines(frames_of(located).annotation_header(1), "patient")[0] == "MÜLLER, JANE"


def test_metadata_forget_an_earlier_correction(technologist: Door) -> None:
    """A second correction says how it was in the object, not how it was corrected before."""
    ds = make_data_set()
    technologist.store([to_bytes(ds)])

    def shown() -> dict[str, Any]:
        [data_set] = orjson.loads(body_of(technologist.get(f"studies/{ds.StudyInstanceUID}/metadata")))
        return dict(data_set)

    plain = shown()
    told("FIRST^ONE")
    shown()
    told("SECOND^ONE")
    data_set = shown()
    [item] = data_set["04000561"]["Value"]
    assert item["04000550"]["Value"][0]["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    told("Doe^Jane")
    assert shown() == plain


def test_what_says_the_same_leaves_byte_for_byte(technologist: Door) -> None:
    data = make_object()
    technologist.store([data])
    told("Doe^Jane")
    study = Study.objects.get().study_instance_uid
    response = technologist.get(f"studies/{study}", f'multipart/related; type="{DICOM}"; transfer-syntax=*')
    assert data in body_of(response)


def test_an_object_of_another_patient_keeps_its_own_name(technologist: Door) -> None:
    """It lies in the study by mistake: made to look like the study's patient nobody would ever notice."""
    own = make_data_set()
    stray = make_data_set(PatientID="P9", PatientName="Stray^One", StudyInstanceUID=own.StudyInstanceUID)
    technologist.store([to_bytes(own)])
    technologist.store([to_bytes(stray)])
    told()
    path = f"studies/{own.StudyInstanceUID}"
    shown = orjson.loads(body_of(technologist.get(f"{path}/metadata")))
    assert {one["00100010"]["Value"][0]["Alphabetic"] for one in shown} == {"MÜLLER^JANE", "Stray^One"}
    uids = f"series/{stray.SeriesInstanceUID}/instances/{stray.SOPInstanceUID}"
    single = technologist.get(f"{path}/{uids}", f"{DICOM}; transfer-syntax=*")
    assert body_of(single) == to_bytes(stray)


def test_a_merged_study_carries_the_survivors_identifier(technologist: Door) -> None:
    ds = make_data_set(PatientID="P2", IssuerOfPatientID="ELSEWHERE")
    technologist.store([make_object(), to_bytes(ds)])
    with transaction.atomic():
        patients.merge(Identifier("P2", "ELSEWHERE"), PatientFacts((P1,)), NOW)
    found = object_of(technologist, ds.StudyInstanceUID)
    assert (found.PatientID, found.IssuerOfPatientID) == ("P1", "")
    [before] = found.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (before.PatientID, before.IssuerOfPatientID) == ("P2", "ELSEWHERE")
    # What comes late is given the same way.
    late = make_data_set(PatientID="P2", IssuerOfPatientID="ELSEWHERE")
    technologist.store([to_bytes(late)])
    assert object_of(technologist, late.StudyInstanceUID).PatientID == "P1"
    [data_set] = orjson.loads(body_of(technologist.get(f"studies/{late.StudyInstanceUID}/metadata")))
    assert data_set["00100020"]["Value"] == ["P1"]
    with transaction.atomic():
        patients.restore_identifier(Identifier("P2", "ELSEWHERE"), NOW)
    assert object_of(technologist, ds.StudyInstanceUID).PatientID == "P2"


def test_the_character_set_of_the_object_is_kept_where_it_names_one(technologist: Door) -> None:
    latin = make_data_set(SpecificCharacterSet="ISO_IR 100", StudyDescription="Schädel")
    unicode = make_data_set(SpecificCharacterSet="ISO_IR 192", StudyDescription="頭")
    technologist.store([to_bytes(latin), to_bytes(unicode)])
    told("Müller^Łukasz")
    found = object_of(technologist, latin.StudyInstanceUID)
    assert (found.SpecificCharacterSet, found.StudyDescription) == ("ISO_IR 100", "Schädel")
    assert found.PatientName == "Muller^?ukasz"
    found = object_of(technologist, unicode.StudyInstanceUID)
    assert (found.PatientName, found.StudyDescription) == ("Müller^Łukasz", "頭")


def test_other_ways_out(technologist: Door, door_for: Callable[..., Door]) -> None:
    ds = make_data_set()
    ds.OriginalAttributesSequence = [Dataset()]
    ds.OriginalAttributesSequence[0].ModifyingSystem = "SCANNER"
    technologist.store([to_bytes(ds, ImplicitVRLittleEndian), make_object(StudyInstanceUID=ds.StudyInstanceUID)])
    told()
    uid = ds.SOPInstanceUID
    with zipfile.ZipFile(
        io.BytesIO(body_of(technologist.get(f"studies/{ds.StudyInstanceUID}", "application/zip")))
    ) as z:
        members = [pydicom.dcmread(io.BytesIO(z.read(name))) for name in z.namelist() if name != "DICOMDIR"]
    assert {str(member.PatientName) for member in members} == {"MÜLLER^JANE"}
    own = next(member for member in members if member.SOPInstanceUID == uid)
    assert [item.ModifyingSystem for item in own.OriginalAttributesSequence] == ["SCANNER", "LIGHTBOX"]
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{uid}"
    for syntax in (RLELossless, ExplicitVRLittleEndian):
        single = technologist.get(path, f"{DICOM}; transfer-syntax={syntax}")
        read = pydicom.dcmread(io.BytesIO(body_of(single)))
        assert (read.PatientName, read.file_meta.TransferSyntaxUID) == ("MÜLLER^JANE", syntax)
    assert technologist.get(path, f"{DICOM}; transfer-syntax={ImplicitVRLittleEndian}").status_code == 406
    tag = single["ETag"]
    told("ANOTHER^NAME")
    again = technologist.get(path, f"{DICOM}; transfer-syntax={ExplicitVRLittleEndian}", **{"if-none-match": tag})
    assert again.status_code == 200


def test_a_study_in_quarantine_is_for_those_who_correct(technologist: Door, door_for: Callable[..., Door]) -> None:
    from access.restrictions import quarantine

    ds = make_data_set()
    technologist.store([to_bytes(ds)])
    Study.objects.update(quarantined=True)
    quarantine.forget()
    radiologist = door_for("radiologist")
    assert radiologist.search("studies") == []
    assert radiologist.get(f"studies/{ds.StudyInstanceUID}/metadata").status_code == 404
    assert len(technologist.search("studies")) == 1
    assert Series.objects.count() == 1
    Study.objects.update(quarantined=False)
    quarantine.forget()
    assert len(radiologist.search("studies")) == 1


def test_what_is_closed_stays_closed_after_a_merge(technologist: Door, door_for: Callable[..., Door]) -> None:
    from access.restriction_models import Mark, Restriction
    from access.restrictions import marks

    closed = make_data_set(PatientID="P2", IssuerOfPatientID="X")
    technologist.store([to_bytes(closed), make_object()])
    study = Study.objects.get(study_instance_uid=closed.StudyInstanceUID)
    Restriction.objects.create(patient=study.patient, mark=Mark.choices[0][0], reason="asked")
    marks.forget()
    radiologist = door_for("radiologist")
    assert len(radiologist.search("studies")) == 1
    with transaction.atomic():
        patients.merge(Identifier("P2", "X"), PatientFacts((P1,)), NOW)
    assert radiologist.search("studies") == []
