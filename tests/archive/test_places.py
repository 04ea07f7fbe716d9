"""Where a study was made: kept at ingest, and read from the metadata of what an older release stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from pydicom.uid import generate_uid

from access.models import UserRole
from archive.models import Study
from archive.places import place_studies, unplaced
from tests.dicomweb.conftest import Door, door_for, technologist
from tests.dicomweb.objects import make_data_set, to_bytes

__all__ = ["door_for", "technologist"]
pytestmark = pytest.mark.django_db
DoorFor = Callable[..., Door]


def store(door: Door, **values: Any) -> str:
    ds = make_data_set(**values)
    assert door.store([to_bytes(ds)]).status_code == 200
    return str(ds.StudyInstanceUID)


def place_of(uid: str) -> tuple[str | None, str | None]:
    study = Study.objects.get(study_instance_uid=uid)
    return study.institution_name, study.institutional_department_name


def test_a_study_keeps_its_place(technologist: Door) -> None:
    uid = store(technologist, InstitutionName=" North Clinic ", InstitutionalDepartmentName="Ward 3")
    assert place_of(uid) == ("North Clinic", "Ward 3")
    store(technologist, StudyInstanceUID=uid, InstitutionName="South", InstitutionalDepartmentName="OR")
    assert place_of(uid) == ("North Clinic", "Ward 3"), "it doesn't move"
    assert place_of(store(technologist)) == ("", "")
    assert place_of(store(technologist, InstitutionName="x" * 300)) == ("x" * 256, "")


def test_the_first_object_that_names_an_institution_places_it(technologist: Door) -> None:
    """A result that comes before the images doesn't hide them from the department."""
    uid = store(technologist, InstitutionalDepartmentName="AI")
    assert place_of(uid) == ("", "AI")
    store(technologist, StudyInstanceUID=uid, InstitutionName="North Clinic", InstitutionalDepartmentName="Ward 3")
    assert place_of(uid) == ("North Clinic", "Ward 3")
    both = generate_uid()
    objects = [make_data_set(StudyInstanceUID=both, InstitutionName=name) for name in ("", "North", "South")]
    assert technologist.store([to_bytes(ds) for ds in objects]).status_code == 200
    assert place_of(str(both)) == ("North", "")


def test_studies_of_a_release_before_are_placed_once(technologist: Door, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {
        store(technologist, InstitutionName="North Clinic", InstitutionalDepartmentName="Ward 3"): (
            "North Clinic",
            "Ward 3",
        ),
        store(technologist, InstitutionalDepartmentName="OR"): ("", "OR"),
        store(technologist): ("", ""),
    }
    Study.objects.update(institution_name=None, institutional_department_name=None)
    assert unplaced() == 3
    assert next(place_studies()) == 1, "stopped after the first"
    assert unplaced() == 2
    call_command("place_studies")
    assert "2 studies placed" in capsys.readouterr().out
    assert {uid: place_of(uid) for uid in expected} == expected
    call_command("place_studies")
    assert "0 studies placed" in capsys.readouterr().out


def test_an_unplaced_study_is_outside_of_all_places(technologist: Door, door_for: DoorFor) -> None:
    store(technologist, InstitutionName="North Clinic")
    door = door_for("technologist")
    UserRole.objects.filter(user__username=door.http.get("/api/whoami").json()["name"]).update(
        limit_kind="site", limit_values=["North Clinic"]
    )
    assert len(door.search("studies")) == 1
    Study.objects.update(institution_name=None)
    assert door.search("studies") == []
