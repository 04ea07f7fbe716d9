"""DELETE on studies, series and instances, as clients see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pydicom.uid import generate_uid

from access.models import Grant, User
from archive.models import DeletedObject, Instance, Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of, value, values

pytestmark = pytest.mark.django_db

MODALITIES, SERIES, INSTANCES, OF_SERIES = "00080061", "00201206", "00201208", "00201209"
Make = Callable[..., Door]


class Case:
    """A study of two CT slices and one SR."""

    def __init__(self) -> None:
        self.study, self.ct, self.sr = generate_uid(), generate_uid(), generate_uid()
        self.slices, self.report = [generate_uid(), generate_uid()], generate_uid()
        self.objects = [
            make_object(StudyInstanceUID=self.study, SeriesInstanceUID=self.ct, SOPInstanceUID=uid, InstanceNumber=n)
            for n, uid in enumerate(self.slices)
        ]
        self.objects.append(
            make_object(
                StudyInstanceUID=self.study,
                SeriesInstanceUID=self.sr,
                SOPInstanceUID=self.report,
                Modality="SR",
                SeriesNumber=2,
            )
        )

    @property
    def first(self) -> str:
        return f"studies/{self.study}/series/{self.ct}/instances/{self.slices[0]}"


@pytest.fixture
def administrator(door_for: Make) -> Door:
    """May delete, and open what there is."""
    return door_for("administrator", "radiologist")


@pytest.fixture
def case(technologist: Door) -> Case:
    made = Case()
    assert technologist.store(made.objects).status_code == 200
    return made


def erase(door: Door, path: str) -> Any:
    return door.http.delete(f"/dicom-web/{path}", headers={"origin": "http://testserver"})


def test_an_instance(case: Case, administrator: Door) -> None:
    response = erase(administrator, case.first)
    assert (response.status_code, response.content) == (204, b"")
    assert administrator.get(case.first).status_code == 404
    for below in ("metadata", "rendered", "thumbnail", "frames/1", "bulkdata/7FE00010"):
        assert administrator.get(f"{case.first}/{below}").status_code == 404, below
    [study] = administrator.search("studies", StudyInstanceUID=case.study)
    assert [value(study, tag) for tag in (SERIES, INSTANCES)] == [2, 2]
    assert study[MODALITIES]["Value"] == ["CT", "SR"]
    series = administrator.search(f"studies/{case.study}/series", Modality="CT")
    assert values(series, OF_SERIES) == [1]
    assert len(administrator.search(f"studies/{case.study}/instances")) == 2
    metadata = administrator.get(f"studies/{case.study}/metadata").json()
    assert values(metadata, "00080018") == [case.slices[1], case.report]
    assert case.slices[0].encode() not in body_of(administrator.get(f"studies/{case.study}"))
    assert administrator.get(f"studies/{case.study}/series/{case.ct}/thumbnail").status_code == 200


def test_a_series_and_the_modality_with_it(case: Case, administrator: Door) -> None:
    assert erase(administrator, f"studies/{case.study}/series/{case.sr}").status_code == 204
    [study] = administrator.search("studies", StudyInstanceUID=case.study)
    assert (study[MODALITIES]["Value"], value(study, SERIES), value(study, INSTANCES)) == (["CT"], 1, 2)
    assert administrator.search("studies", ModalitiesInStudy="SR") == []
    assert administrator.get(f"studies/{case.study}/series/{case.sr}").status_code == 404


def test_a_study(case: Case, administrator: Door) -> None:
    assert erase(administrator, f"studies/{case.study}").status_code == 204
    for path in ("studies", "series", "instances"):
        assert administrator.search(path) == []
    for path in (f"studies/{case.study}", f"studies/{case.study}/metadata", case.first):
        problem_of(administrator.get(path), 404)


def test_again_and_again(case: Case, administrator: Door) -> None:
    """204 while the deletion is remembered, 404 for what never was and for what is swept."""
    for path in (case.first, f"studies/{case.study}/series/{case.ct}", f"studies/{case.study}"):
        assert [erase(administrator, path).status_code for _ in range(3)] == [204] * 3
    never = generate_uid()
    for path in (f"studies/{never}", f"studies/{case.study}/series/{never}", f"{case.first[:-5]}12345"):
        assert problem_of(erase(administrator, path), 404)["code"] == "not-found"
    DeletedObject.objects.all().delete()
    problem_of(erase(administrator, f"studies/{case.study}"), 404)


def test_each_leaves_its_event(case: Case, administrator: Door) -> None:
    before = AccessEvent.objects.latest("sequence").sequence
    erase(administrator, case.first)
    erase(administrator, f"studies/{case.study}")
    erase(administrator, f"studies/{case.study}")
    events = list(AccessEvent.objects.filter(sequence__gt=before).order_by("sequence"))
    assert [(e.kind, e.action, e.instance_count, e.study_uids) for e in events] == [
        ("delete_instances", "D", 1, [case.study]),
        ("delete", "D", 2, [case.study]),
        ("delete_instances", "D", 0, [case.study]),
    ]
    assert events[0].instance_uid == case.slices[0]
    assert events[0].bytes == len(case.objects[0])
    user = User.objects.get(username=events[0].principal_name)
    assert set(DeletedObject.objects.exclude(sop_instance_uid="").values_list("deleted_by", flat=True)) == {
        str(user.external_id)
    }


@pytest.mark.parametrize(
    "role", ["radiologist", "technologist", "referring_physician", "patient", "ai_vendor", "auditor", "device"]
)
def test_nobody_else_may(role: str, case: Case, door_for: Make) -> None:
    door = door_for(role)
    user = User.objects.latest("pk")
    Grant.objects.create(study=Study.objects.get(), user=user, valid_from=timezone.now())
    for path in (f"studies/{case.study}", case.first):
        problem_of(erase(door, path), 403)
    assert AccessEvent.objects.filter(kind="refused", decision="deny", study_uids=[case.study]).count() == 2
    assert Instance.objects.count() == 3


def test_strangers_and_forged_forms_may_not(case: Case, administrator: Door) -> None:
    administrator.http.logout()
    assert erase(administrator, case.first).status_code == 401
    assert Instance.objects.count() == 3


def test_not_from_another_site(case: Case, administrator: Door) -> None:
    response = administrator.http.delete(f"/dicom-web/{case.first}", headers={"origin": "http://elsewhere.example"})
    assert response.status_code == 403
    assert Instance.objects.count() == 3


@pytest.mark.parametrize("below", ["metadata", "rendered", "thumbnail", "frames/1"])
def test_only_the_resources_themselves(below: str, case: Case, administrator: Door) -> None:
    assert erase(administrator, f"{case.first}/{below}").status_code == 405
    assert erase(administrator, "studies").status_code == 405
    assert Instance.objects.count() == 3


def test_a_grant_goes_with_the_study(case: Case, administrator: Door, technologist: Door) -> None:
    user = User.objects.latest("pk")
    Grant.objects.create(study=Study.objects.get(), user=user, valid_from=timezone.now())
    assert erase(administrator, f"studies/{case.study}").status_code == 204
    assert not Grant.objects.exists()
    assert technologist.store(case.objects).status_code == 200
    assert technologist.get(f"studies/{case.study}").status_code == 200
