"""A grant of one series: of its study nothing else is reached, by whatever address or search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client as HttpClient
from django.utils import timezone
from pydicom.uid import generate_uid

from access import policy
from access.grants import revoke_study
from access.links import Wish, make_link
from access.models import Grant, ShareLink, User
from access.principal import Principal
from access.rights import Right
from archive.models import Series, Study
from tests.dicomweb.conftest import Door, body_of, door_for, technologist
from tests.dicomweb.objects import make_data_set, to_bytes

__all__ = ["door_for", "technologist"]
pytestmark = pytest.mark.django_db
DoorFor = Callable[..., Door]


@dataclass(frozen=True)
class Case:
    """A study of two series with an instance each: one granted, one not."""

    study: str
    mine: tuple[str, str]
    other: tuple[str, str]

    def paths(self, series: tuple[str, str]) -> list[str]:
        of_series = f"studies/{self.study}/series/{series[0]}"
        instance = f"{of_series}/instances/{series[1]}"
        below = ("", "/metadata", "/rendered", "/pixeldata", "/thumbnail")
        paths = [f"{base}{name}" for base in (of_series, instance) for name in below]
        return [*paths, f"{instance}/frames/1", f"{instance}/frames/1/rendered", f"{instance}/bulkdata/7FE00010"]


@pytest.fixture
def case(technologist: Door) -> Case:
    study = generate_uid()
    made = [make_data_set(StudyInstanceUID=study, SeriesNumber=n, InstanceNumber=n) for n in (1, 2)]
    assert technologist.store([to_bytes(ds) for ds in made]).status_code == 200
    mine, other = ((str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)) for ds in made)
    return Case(str(study), mine, other)


@pytest.fixture
def reader(case: Case, door_for: DoorFor) -> Door:
    """Somebody to whom the first series was granted."""
    door = door_for("referring_physician")
    series = Series.objects.get(series_instance_uid=case.mine[0])
    Grant.objects.create(series=series, user=User.objects.latest("pk"))
    return door


def uids(answers: list[dict[str, Any]], tag: str) -> set[str]:
    return {answer[tag]["Value"][0] for answer in answers}


def check_reach(door: Door, case: Case) -> None:
    """Every resource gives the granted series, and nothing of the other."""
    study = f"studies/{case.study}"
    assert uids(door.search("studies"), "0020000D") == {case.study}
    for path in ("series", f"{study}/series"):
        assert uids(door.search(path), "0020000E") == {case.mine[0]}, path
    for path in ("instances", f"{study}/instances"):
        assert uids(door.search(path), "00080018") == {case.mine[1]}, path
    assert door.search(f"{study}/series/{case.other[0]}/instances") == []
    assert door.search("instances", SOPInstanceUID=case.other[1]) == []
    for path in case.paths(case.mine):
        assert door.get(path).status_code == 200, path
    for path in case.paths(case.other):
        assert door.get(path).status_code == 404, path
    for path in ("", "/metadata", "/rendered", "/pixeldata", "/thumbnail"):
        response = door.get(f"{study}{path}")
        assert response.status_code == 200, path
        body = body_of(response)
        assert case.other[1].encode() not in body, path
        if path not in ("/thumbnail",):
            assert case.mine[1].encode() in body, path
    found = door.get("instances?includefield=all").json()
    assert uids(found, "00080018") == {case.mine[1]}


def test_a_person(case: Case, reader: Door) -> None:
    check_reach(reader, case)
    feed = orjson.loads(body_of(reader.get("changefeed?includemetadata=true")))
    assert {entry["sopInstanceUid"] for entry in feed} == {case.mine[1]}
    crossed = f"studies/{case.study}/series/{case.mine[0]}/instances/{case.other[1]}/metadata"
    assert reader.get(crossed).status_code == 404


def test_the_study_is_counted_as_far_as_it_is_reached(door_for: DoorFor, technologist: Door) -> None:
    study = generate_uid()
    made = [make_data_set(StudyInstanceUID=study, Modality=modality) for modality in ("MR", "SR", "SR")]
    assert technologist.store([to_bytes(ds) for ds in made]).status_code == 200
    door = door_for("referring_physician")
    user, mine = User.objects.latest("pk"), str(made[0].SeriesInstanceUID)
    Grant.objects.create(series=Series.objects.get(series_instance_uid=mine), user=user)

    def said() -> list[tuple[Any, ...]]:
        paths = ("studies", "series", "instances", f"studies/{study}/series?includefield=00201206,00201208,00080061")
        tags = ("00201206", "00201208", "00080061")
        return [tuple(door.get(path).json()[0][tag]["Value"] for tag in tags) for path in paths]

    assert said() == [([1], [1], ["MR"])] * 4
    page = door.http.get("/", headers={"accept": "text/html"}).content.decode()
    assert "MR" in page.partition("<tbody")[2]
    assert "SR" not in page.partition("<tbody")[2]
    Grant.objects.create(study=Study.objects.get(), user=user)
    assert said() == [([3], [3], ["MR", "SR"])] * 4


def test_a_zip_of_the_study_has_the_series_alone(case: Case, reader: Door) -> None:
    import io
    import zipfile

    files = zipfile.ZipFile(io.BytesIO(body_of(reader.get(f"studies/{case.study}", "application/zip"))))
    held = b"".join(files.read(name) for name in files.namelist())
    assert case.mine[1].encode() in held
    assert case.other[1].encode() not in held


def test_a_share_link(case: Case) -> None:
    study = Study.objects.get()
    wish = Wish(
        study=study,
        recipient="Dr. R",
        purpose="Second opinion",
        until=timezone.now() + timedelta(days=1),
        rights=[Right.DOWNLOAD],
        series=Series.objects.get(series_instance_uid=case.mine[0]),
    )
    made = make_link(wish, None, None, None)
    http = HttpClient(HTTP_HOST="127.0.0.1")
    given = http.post("/share/token", {"secret": made.address.partition("#")[2]})
    assert given.status_code == 200, given.content
    http.defaults["HTTP_AUTHORIZATION"] = f"Bearer {given.json()['access_token']}"
    check_reach(Door(http), case)


def test_a_series_beside_the_whole_study(case: Case, reader: Door) -> None:
    """Whoever also has the study has all of it; another right on the study doesn't count for this one."""
    user = User.objects.latest("pk")
    Grant.objects.create(study=Study.objects.get(), user=user, rights=["download"])
    check_reach(reader, case)
    Grant.objects.create(study=Study.objects.get(), user=user, rights=["view"])
    assert uids(reader.search("series"), "0020000E") == {case.mine[0], case.other[0]}
    for path in (*case.paths(case.mine), *case.paths(case.other)):
        assert reader.get(path).status_code == 200, path


def test_what_a_series_does_not_open(case: Case, reader: Door, technologist: Door) -> None:
    """Nothing is stored into the study, shared or deleted by whoever has one of its series."""
    user = User.objects.latest("pk")
    sharer = Principal("person", str(user.external_id), "x", ("patient",), "session", "")
    assert policy.may_share(sharer)
    assert not policy.shareable_studies(sharer).exists()
    vendor = Principal("person", str(user.external_id), "x", ("ai_vendor",), "session", "")
    assert not policy.may_store(vendor, case.study)
    Grant.objects.create(study=Study.objects.get(), user=user)
    assert policy.shareable_studies(sharer).count() == 1
    assert policy.may_store(vendor, case.study)
    assert technologist.get(f"studies/{case.study}/metadata").status_code == 200


def test_a_grant_of_a_series_goes_with_it(case: Case, reader: Door, door_for: DoorFor) -> None:
    admin = door_for("administrator")
    gone = admin.http.delete(
        f"/dicom-web/studies/{case.study}/series/{case.mine[0]}", headers={"origin": "http://testserver"}
    )
    assert gone.status_code == 204
    assert not Grant.objects.exists()
    assert reader.search("studies") == []


def test_the_commands(case: Case, door_for: DoorFor, capsys: pytest.CaptureFixture[str]) -> None:
    door_for("referring_physician")
    user = User.objects.latest("pk")
    call_command("grant_study", user.username, case.study, "--series", case.mine[0])
    assert "may reach the series without end" in capsys.readouterr().out
    assert Grant.objects.get().series == Series.objects.get(series_instance_uid=case.mine[0])
    assert revoke_study(user.username, case.study) == 1
    words = (case.study, "--recipient", "Dr. R", "--purpose", "Second opinion")
    call_command("share_study", *words, "--series", case.other[0])
    assert ShareLink.objects.get().grants.get().series == Series.objects.get(series_instance_uid=case.other[0])
    for command in (("grant_study", user.username, case.study), ("share_study", *words)):
        with pytest.raises(CommandError, match="no series"):
            call_command(*command, "--series", "1.2.3.4")


def test_a_grant_names_one_thing(case: Case, door_for: DoorFor) -> None:
    door_for("patient")
    user, study = User.objects.latest("pk"), Study.objects.get()
    series = study.series.earliest("pk")
    for fields in ({"study": study, "series": series}, {"patient": study.patient, "series": series}, {}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Grant.objects.create(user=user, **fields)


@pytest.fixture
def of_two_modalities(technologist: Door) -> Case:
    """A study of a CT series and an MR series."""
    study = generate_uid()
    made = [make_data_set(StudyInstanceUID=study, Modality=modality) for modality in ("CT", "MR")]
    assert technologist.store([to_bytes(ds) for ds in made]).status_code == 200
    mine, other = ((str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)) for ds in made)
    return Case(str(study), mine, other)


# What is asked of a study of CT and MR, and whether it is found by whoever reaches the CT series alone, and by others.
MODALITIES = {
    "CT": (True, True),
    "MR": (False, True),
    "M*": (False, True),
    "C*": (True, True),
    "CT,MR": (True, True),
    "CT,MR&multiplevaluematching=true": (False, True),
    '""&emptyvaluematching=true': (False, False),
}


@pytest.mark.parametrize("asked", MODALITIES)
def test_modalities_of_other_series_match_nothing(of_two_modalities: Case, door_for: DoorFor, asked: str) -> None:
    case, (partly, wholly) = of_two_modalities, MODALITIES[asked]
    reader, other = door_for("referring_physician"), door_for("radiologist")
    user = User.objects.exclude(roles__role__in=["technologist", "radiologist"]).latest("pk")
    Grant.objects.create(series=Series.objects.get(series_instance_uid=case.mine[0]), user=user)
    for path in ("studies", "series", "instances", f"studies/{case.study}/series"):
        assert bool(reader.search(f"{path}?ModalitiesInStudy={asked}")) is partly, path
        assert bool(other.search(f"{path}?ModalitiesInStudy={asked}")) is wholly, path
    Grant.objects.create(study=Study.objects.get(study_instance_uid=case.study), user=user)
    assert bool(reader.search(f"studies?ModalitiesInStudy={asked}")) is wholly


def test_a_series_without_modality(of_two_modalities: Case, door_for: DoorFor) -> None:
    """Whoever reaches it alone finds the study by that, and not by the modality of the other series."""
    case, reader = of_two_modalities, door_for("referring_physician")
    Series.objects.filter(series_instance_uid=case.mine[0]).update(modality="")
    Grant.objects.create(series=Series.objects.get(series_instance_uid=case.mine[0]), user=User.objects.latest("pk"))
    assert len(reader.search('studies?ModalitiesInStudy=""&emptyvaluematching=true')) == 1
    assert reader.search("studies?ModalitiesInStudy=MR") == []


def test_the_study_list_is_searched_in_the_same_way(of_two_modalities: Case, door_for: DoorFor) -> None:
    reader = door_for("referring_physician")
    series = Series.objects.get(series_instance_uid=of_two_modalities.mine[0])
    Grant.objects.create(series=series, user=User.objects.latest("pk"))
    for modality, found in (("CT", True), ("MR", False)):
        page = reader.http.post("/", {"modality": modality}, follow=True, headers={"accept": "text/html"})
        assert (of_two_modalities.study in page.content.decode()) is found, modality
