"""Who asks for what was not granted is in the trail; and a search that can't be answered in time says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid

from access import refusals
from access.models import User
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.reading import problem_of
from tests.dicomweb.test_scope import RESOURCES, grant, paths_of, stored

DoorFor = Callable[..., Door]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dicomweb.view.refusals", refusals.Refusals())


@pytest.fixture
def hidden(technologist: Door) -> dict[str, str]:
    return stored(technologist)


def refused() -> list[AccessEvent]:
    return list(AccessEvent.objects.filter(kind="refused").order_by("sequence"))


def wado(paths: dict[str, str]) -> str:
    _, study, _, series, _, instance = paths["instance"].split("/")
    return f"wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"


@pytest.mark.parametrize("name", [*RESOURCES, "wado"])
def test_asking_for_what_was_not_granted_is_recorded(hidden: dict[str, str], door_for: DoorFor, name: str) -> None:
    door = door_for("referring_physician")
    absent = paths_of(generate_uid(), generate_uid(), generate_uid())
    door.search("studies")
    costs = []
    for paths in (hidden, absent):
        with CaptureQueriesContext(connection) as queries:
            problem_of(door.get(wado(paths) if name == "wado" else paths[name]), 404)
        costs.append(len(queries))
    events = refused()
    assert [event.study_uids for event in events] == [[paths["study"].split("/")[1]] for paths in (hidden, absent)]
    assert [event.outcome_description for event in events] == ["not granted", "no such study"]
    right = "objects" if name in ("study", "series", "instance") else "retrieve"
    assert {(event.rule, event.decision, event.outcome) for event in events} == {(f"scope:{right}", "deny", 4)}
    assert costs[0] == costs[1], "the same work, so that time tells nothing"


def test_a_mistake_within_a_granted_study_is_none(hidden: dict[str, str], door_for: DoorFor) -> None:
    door = door_for("patient")
    grant(hidden["study"], user=User.objects.latest("pk"))
    problem_of(door.get(f"{hidden['study']}/series/1.2.3/metadata"), 404)
    problem_of(door_for("radiologist").get("studies/1.2.3/metadata"), 404)
    assert refused() == []


def test_guessing_does_not_fill_the_trail(
    hidden: dict[str, str], door_for: DoorFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "PER_PRINCIPAL", 3)
    first, second = door_for("patient"), door_for("patient")
    for number in range(8):
        problem_of(first.get(f"studies/1.2.{number}/metadata"), 404)
    problem_of(second.get(f"{hidden['study']}/metadata"), 404)
    texts = [event.outcome_description for event in refused()]
    assert texts == ["no such study"] * 2 + [f"no such study; {refusals.SILENT}", "not granted"]


@pytest.fixture
def somebody_else() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(**connection.get_connection_params()) as other:
        yield other
        other.rollback()


@pytest.mark.django_db(transaction=True)
def test_a_search_ends_in_time(technologist: Door, somebody_else: psycopg.Connection[Any], settings: Any) -> None:
    limits = settings.PACS.limits.model_copy(update={"search_seconds": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    somebody_else.execute("LOCK TABLE archive_study IN ACCESS EXCLUSIVE MODE")
    for path in ("/dicom-web/studies?StudyDate=20240101-", "/"):
        technologist.http.raise_request_exception = False
        began = time.monotonic()
        answer = technologist.http.get(path)
        assert (answer.status_code, int(answer["Retry-After"]) > 0) == (503, True), path
        assert time.monotonic() - began > 0.9
    somebody_else.rollback()
    assert technologist.search("studies") == []


@pytest.mark.django_db(transaction=True)
def test_reads_do_not_wait_for_a_locked_trail(technologist: Door, somebody_else: psycopg.Connection[Any]) -> None:
    paths = stored(technologist)
    somebody_else.execute("LOCK TABLE audit_accessevent IN EXCLUSIVE MODE")
    for path in ("studies", paths["frames"], paths["instance metadata"]):
        assert problem_of(technologist.get(path), 503)["code"] == "audit-unavailable"
