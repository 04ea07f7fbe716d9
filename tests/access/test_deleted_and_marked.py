"""What was deleted, and is marked: its UID is told to those alone who may know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from access.marking import restrict, unrestrict
from access.models import DeletedStudy, Grant, Restriction, User
from access.restriction_models import Mark
from access.restrictions import marks
from archive.models import Patient, Study
from tests.dicomweb.conftest import Door, door_for, technologist
from tests.dicomweb.objects import make_data_set, to_bytes

__all__ = ["door_for", "technologist"]
pytestmark = pytest.mark.django_db
DoorFor = Callable[..., Door]


@pytest.fixture(autouse=True)
def nothing_believed() -> None:
    marks.forget()


@pytest.fixture
def gone(technologist: Door, door_for: DoorFor) -> str:
    """The UID of a study that was deleted; another one of the same patient is there."""
    ds, kept = make_data_set(PatientID="P"), make_data_set(PatientID="P")
    assert technologist.store([to_bytes(ds), to_bytes(kept)]).status_code == 200
    assert door_for("administrator").http.delete(f"/dicom-web/studies/{ds.StudyInstanceUID}").status_code == 204
    assert DeletedStudy.objects.get().study_instance_uid == str(ds.StudyInstanceUID)
    return str(ds.StudyInstanceUID)


def told(door: Door) -> set[str]:
    """The studies of the change feed, which agrees with its latest entry and with what is deleted anew."""
    found: list[dict[str, Any]] = door.http.get("/dicom-web/changefeed?limit=1000").json()
    latest = door.http.get("/dicom-web/changefeed/latest")
    assert (latest.json()["sequence"] if latest.status_code == 200 else 0) == max(
        (entry["sequence"] for entry in found), default=0
    )
    return {entry["studyInstanceUid"] for entry in found}


@pytest.mark.parametrize("mark", list(Mark))
@pytest.mark.parametrize("whole_patient", [True, False])
def test_it_stays_closed(gone: str, door_for: DoorFor, mark: Mark, whole_patient: bool) -> None:
    reader, manager = door_for("radiologist"), door_for("administrator")
    assert gone in told(reader)
    assert gone in told(manager)
    # Deleted again without effect, as long as it is remembered.
    assert manager.http.delete(f"/dicom-web/studies/{gone}").status_code == 204
    if whole_patient:
        set_mark = restrict(Patient.objects.get(), mark, "a well-known person").restriction
    else:
        set_mark = Restriction.objects.create(study_instance_uid=gone, mark=mark, reason="a well-known person")
    marks.forget()
    assert gone not in told(reader)
    # Whoever manages still finds what nobody has consented to any more, and so is told what became of it.
    manages = mark is Mark.CONSENT_WITHDRAWN
    assert (gone in told(manager)) is manages
    assert manager.http.delete(f"/dicom-web/studies/{gone}").status_code == 404
    unrestrict(set_mark)
    marks.forget()
    assert gone in told(reader)


@pytest.mark.parametrize("marked", ["P", "Q"])
def test_it_stays_closed_whomever_its_patient_is_merged_into(gone: str, door_for: DoorFor, marked: str) -> None:
    reader = door_for("radiologist")
    survivor = Patient.objects.create(patient_id="Q")
    restrict(Patient.objects.get(patient_id=marked), Mark.VIP, "a well-known person")
    Patient.objects.filter(patient_id="P").update(merged_into=survivor)
    marks.forget()
    assert gone not in told(reader)


def test_a_grant_of_the_patient_tells(gone: str, door_for: DoorFor) -> None:
    reader = door_for("radiologist")
    user = User.objects.latest("pk")
    restrict(Patient.objects.get(), Mark.VIP, "a well-known person")
    marks.forget()
    assert told(reader) == set()
    Grant.objects.create(user=user, patient=Patient.objects.get())
    assert gone in told(reader)


def test_what_comes_back_is_there_again(gone: str, door_for: DoorFor, technologist: Door) -> None:
    reader = door_for("radiologist")
    restrict(Patient.objects.get(), Mark.VIP, "a well-known person")
    marks.forget()
    again = make_data_set(PatientID="Q", StudyInstanceUID=gone)
    assert technologist.store([to_bytes(again)]).status_code == 200
    assert Study.objects.get(study_instance_uid=gone).patient.patient_id == "Q"
    assert gone in told(reader)


def test_others_are_told_of_nothing_that_is_gone(gone: str, door_for: DoorFor) -> None:
    nurse = door_for("nurse")
    assert told(nurse) == set()
