"""Who finds and reads what, and the trail that every read leaves before its first byte."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pydicom.uid import generate_uid

from access.models import Client, Grant, User
from archive.models import Study
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import problem_of, values

DoorFor = Callable[..., Door]


def stored(door: Door, **more: Any) -> dict[str, str]:
    """Store one slice; the path of every resource that reads it, by name."""
    ds = make_data_set(**more)
    assert door.store([to_bytes(ds)]).status_code == 200
    return paths_of(str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))


def paths_of(study_uid: str, series_uid: str, instance_uid: str) -> dict[str, str]:
    study = f"studies/{study_uid}"
    series = f"{study}/series/{series_uid}"
    instance = f"{series}/instances/{instance_uid}"
    return {
        "study": study,
        "series": series,
        "instance": instance,
        "study metadata": f"{study}/metadata",
        "series metadata": f"{series}/metadata",
        "instance metadata": f"{instance}/metadata",
        "frames": f"{instance}/frames/1",
        "bulk data": f"{instance}/bulkdata/7FE00010",
        "rendered": f"{instance}/rendered",
        "rendered frame": f"{instance}/frames/1/rendered",
        "study pixel data": f"{study}/pixeldata",
        "series pixel data": f"{series}/pixeldata",
        "instance pixel data": f"{instance}/pixeldata",
        "rendered study": f"{study}/rendered",
        "rendered series": f"{series}/rendered",
        "study thumbnail": f"{study}/thumbnail",
        "series thumbnail": f"{series}/thumbnail",
        "instance thumbnail": f"{instance}/thumbnail",
    }


RESOURCES = list(paths_of("1", "2", "3"))
SEARCHES = ["studies", "series", "instances", "{study}/series", "{study}/instances", "{series}/instances"]


def searches(paths: dict[str, str]) -> list[str]:
    return [search.format(**paths) for search in SEARCHES]


def grant(study_path: str, **holder: Any) -> Grant:
    study = Study.objects.get(study_instance_uid=study_path.removeprefix("studies/"))
    return Grant.objects.create(study=study, **holder)


@pytest.fixture
def two(technologist: Door) -> tuple[dict[str, str], dict[str, str]]:
    """Paths into two studies of one patient."""
    return stored(technologist), stored(technologist)


@pytest.fixture(params=["referring_physician", "patient"])
def limited(request: pytest.FixtureRequest, two: tuple[dict[str, str], dict[str, str]], door_for: DoorFor) -> Door:
    """Somebody with a role of granted scope and a grant of the first study."""
    door = door_for(request.param)
    grant(two[0]["study"], user=User.objects.latest("pk"))
    return door


def test_a_grant_opens_one_study_and_no_other(limited: Door, two: tuple[dict[str, str], dict[str, str]]) -> None:
    granted, other = two
    for path in searches(granted):
        uids = set(values(limited.search(path), "0020000D"))
        assert uids == {granted["study"].removeprefix("studies/")}, path
    for path in searches(other)[3:]:
        assert limited.search(path) == [], path
    assert limited.search("studies", StudyInstanceUID=other["study"].removeprefix("studies/")) == []
    for name in RESOURCES:
        assert limited.get(granted[name]).status_code == 200, name


@pytest.mark.parametrize("name", RESOURCES)
def test_outside_the_grant_is_what_is_absent(
    limited: Door, two: tuple[dict[str, str], dict[str, str]], name: str
) -> None:
    """Trap 26: no oracle. Status, body and headers are those of a UID that was never stored."""
    absent = paths_of(generate_uid(), generate_uid(), generate_uid())
    answers = [limited.get(paths[name]) for paths in (two[1], absent)]
    hidden, missing = ((a.status_code, a.content, {**a.headers, "X-Request-ID": ""}) for a in answers)
    assert hidden == missing
    assert hidden[0] == 404


def test_a_series_of_a_hidden_study_is_not_reached_through_a_granted_one(
    limited: Door, two: tuple[dict[str, str], dict[str, str]]
) -> None:
    crossed = paths_of(two[0]["study"].split("/")[1], *[two[1]["instance"].split("/")[n] for n in (3, 5)])
    for name in RESOURCES:
        if "study" not in name:
            problem_of(limited.get(crossed[name]), 404)


def test_a_grant_ends_and_begins(two: tuple[dict[str, str], dict[str, str]], door_for: DoorFor) -> None:
    door = door_for("referring_physician")
    given = grant(two[0]["study"], user=User.objects.latest("pk"))
    now = timezone.now()
    for begins, ends, seen in (
        (now - timedelta(hours=2), now - timedelta(hours=1), 0),
        (now + timedelta(hours=1), None, 0),
        (now - timedelta(hours=1), now + timedelta(hours=1), 1),
    ):
        Grant.objects.filter(pk=given.pk).update(valid_from=begins, valid_until=ends)
        assert len(door.search("studies")) == seen
        assert door.get(two[0]["frames"]).status_code == (200 if seen else 404)


def test_a_grant_of_somebody_else_opens_nothing(
    two: tuple[dict[str, str], dict[str, str]], door_for: DoorFor, machine: Callable[[str], Client]
) -> None:
    door_for("referring_physician")
    grant(two[0]["study"], user=User.objects.latest("pk"))
    grant(two[0]["study"], client=machine("ai_vendor"))
    stranger = door_for("ai_vendor")
    assert stranger.search("studies") == []
    problem_of(stranger.get(two[0]["frames"]), 404)


@pytest.mark.parametrize("role", ["auditor", "device", None])
def test_whoever_lacks_the_right_is_refused_and_recorded(
    two: tuple[dict[str, str], dict[str, str]], door_for: DoorFor, role: str | None
) -> None:
    door = door_for(*([role] if role else []))
    for path in [*searches(two[0]), *(two[0][name] for name in RESOURCES)]:
        before = AccessEvent.objects.count()
        assert problem_of(door.get(path), 403)["code"] == "forbidden"
        [event] = AccessEvent.objects.order_by("sequence")[before:]
        assert (event.kind, event.decision, event.outcome) == ("refused", "deny", 8)
        assert event.rule in ("right:search", "right:retrieve", "right:objects")
        assert event.study_uids == ([two[0]["study"].split("/")[1]] if "/" in path else [])


def test_an_administrator_finds_studies_and_opens_none(
    two: tuple[dict[str, str], dict[str, str]], door_for: DoorFor
) -> None:
    door = door_for("administrator")
    assert len(door.search("studies")) == 2
    problem_of(door.get(two[0]["frames"]), 403)


def test_nobody_gets_401(two: tuple[dict[str, str], dict[str, str]], client: Any) -> None:
    for path in [*searches(two[0]), *two[0].values()]:
        response = client.get(f"/dicom-web/{path}")
        assert response.status_code == 401
        assert response["WWW-Authenticate"].startswith("Bearer")


KINDS = {
    "study": "retrieve",
    "series": "retrieve",
    "instance": "retrieve",
    "frames": "retrieve",
    "bulk data": "retrieve",
    "study pixel data": "retrieve",
    "series pixel data": "retrieve",
    "instance pixel data": "retrieve",
}


@pytest.mark.parametrize("name", RESOURCES)
def test_every_read_is_recorded_with_its_uids(
    two: tuple[dict[str, str], dict[str, str]], technologist: Door, name: str
) -> None:
    path = two[0][name]
    before = AccessEvent.objects.count()
    response = technologist.get(path, **{"x-request-id": "read-1"})
    [event] = AccessEvent.objects.order_by("sequence")[before:]  # before the body is read
    assert body_of(response)
    parts = two[0]["instance"].split("/")
    assert (event.kind, event.outcome, event.decision) == (KINDS.get(name, "access"), 0, "allow")
    assert event.study_uids == [parts[1]]
    assert event.series_uid == (parts[3] if "/series/" in path else "")
    assert event.instance_uid == (parts[5] if "/instances/" in path else "")
    assert event.instance_count == 1
    assert event.bytes > 0
    assert event.request_id == "read-1"
    assert event.method == "GET"
    assert event.path.startswith("/dicom-web/studies/<uid:study>"), "the template, no identifier"
    assert "1.2." not in event.path


def test_a_search_is_recorded_with_its_query_and_nothing_else(technologist: Door, two: Any) -> None:
    before = AccessEvent.objects.count()
    technologist.search("studies", PatientName="Doe^Jane", limit="7")
    [event] = AccessEvent.objects.order_by("sequence")[before:]
    assert event.kind == "search"
    assert event.instance_count == 2
    assert "Doe" in event.query
    columns = {field.name: str(getattr(event, field.name)) for field in AccessEvent._meta.fields}
    assert [name for name, text in columns.items() if "Doe" in text] == ["query"]
    assert [name for name, text in columns.items() if "P1" in text] == []


def test_not_modified_and_head_are_reads_too(technologist: Door, two: tuple[dict[str, str], dict[str, str]]) -> None:
    path = two[0]["series metadata"]
    etag = technologist.get(path)["ETag"]
    before = AccessEvent.objects.count()
    assert technologist.get(path, **{"if-none-match": etag}).status_code == 304
    assert technologist.http.head(f"/dicom-web/{path}").status_code == 200
    assert AccessEvent.objects.count() == before + 2


def test_what_fails_is_not_recorded_as_read(technologist: Door, two: tuple[dict[str, str], dict[str, str]]) -> None:
    before = AccessEvent.objects.count()
    problem_of(technologist.get(two[0]["frames"].replace("frames/1", "frames/9")), 404)
    problem_of(technologist.get(two[0]["frames"], accept="text/plain"), 406)
    problem_of(technologist.get("studies?StudyDate=x"), 400)
    assert AccessEvent.objects.count() == before


@pytest.mark.django_db(transaction=True)
def test_without_a_trail_nothing_is_read(door_for: DoorFor) -> None:
    """The event comes first: when it can't be written there is a 503 and not one byte."""
    door = door_for("technologist")
    paths = stored(door)
    for name in RESOURCES:
        assert door.get(paths[name]).status_code == 200
    door.http.raise_request_exception = False
    refused = door_for("device")
    refused.http.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_accessevent RENAME TO audit_away")
    try:
        for path in [*searches(paths), *paths.values()]:
            response = door.get(path)
            assert problem_of(response, 503)["title"] == "Temporarily unavailable", path
            assert response["Retry-After"]
            assert "Doe" not in response.content.decode()
        assert refused.get(paths["frames"]).status_code == 503
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE audit_away RENAME TO audit_accessevent")
    assert door.get(paths["frames"]).status_code == 200


@pytest.mark.parametrize("named", ["%00", "Doe%5EJohn", "%ED%A0%80", "1" * 65])
def test_a_parameter_that_is_no_uid_is_looked_up_nowhere(limited: Door, named: str) -> None:
    for path in ("extendedquerytags/00080051", "commitment-requests/1.2.3"):
        assert limited.get(f"{path}?studyUID={named}").status_code in (403, 404), path
    refused = AccessEvent.objects.filter(kind="refused")
    assert refused.exists()
    assert all(event.study_uids == [] for event in refused)
