"""A patient with an account sees who opened their own images, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client as Browser

from access.acting import Acting
from access.emergency import begin
from access.models import Grant, User
from audit.kinds import EXPORT, REFUSED, RETRIEVE, SEARCH, SHARE_USED
from audit.models import AccessEvent
from tests.access.conftest import MakePerson, MakeStudy
from tests.access.test_emergency import of
from tests.trail.conftest import Happen
from trail import own_log

Make = Callable[..., Any]
pytestmark = pytest.mark.django_db


@pytest.fixture
def patient(make_person: MakePerson, make_study: MakeStudy) -> User:
    """Pat, to whom the study 1.2.3 was granted; 1.2.4 is somebody else's."""
    user = make_person("patient", username="pat")
    Grant.objects.create(study=make_study("1.2.3", patient_id="P-3"), user=user, rights=["view"])
    make_study("1.2.4", patient_id="P-4", accession_number="OTHERS")
    return user


@pytest.fixture
def reading(patient: User) -> Browser:
    made = Browser(HTTP_HOST="127.0.0.1", HTTP_ACCEPT="text/html,*/*;q=0.8")
    made.force_login(patient)
    return made


def told(browser: Browser, **query: str) -> list[dict[str, Any]]:
    answer = browser.get("/trail/mine.json", query)
    assert answer.status_code == 200, answer.content
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


def test_who_opened_it_and_nothing_of_others(reading: Browser, happen: Happen) -> None:
    happen(RETRIEVE, who="rita", roles=["radiologist"], study_uids=["1.2.3"], query="SECRET", user_agent="SECRET")
    happen(RETRIEVE, who="otto", study_uids=["1.2.4"])
    happen(EXPORT, who="both", study_uids=["1.2.3", "1.2.4"])
    happen(SHARE_USED, who="Dr Next", principal_kind="link", study_uids=["1.2.3"])
    happen(SEARCH, who="sam", study_uids=["1.2.3"])
    happen(REFUSED, who="rob", study_uids=["1.2.3"], decision="deny")
    lines = told(reading)
    assert [(line["who"], line["role"], line["what"]) for line in lines] == [
        ("Dr Next", "a share link", "opened a share link of"),
        ("both", "", "exported"),
        ("rita", "Radiologist", "opened"),
    ]
    assert all(len(line["studies"]) == 1 for line in lines)
    answer = reading.get("/trail/mine")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "rita" in text
    for hidden in ("otto", "OTHERS", "SECRET", "192.0.2.9", "sam", "rob", "1.2.4"):
        assert hidden not in text
        assert hidden not in str(lines)


def test_reading_it_is_on_the_trail(reading: Browser, patient: User, happen: Happen) -> None:
    happen(RETRIEVE, study_uids=["1.2.3"])
    told(reading)
    event = AccessEvent.objects.filter(kind="read_trail").get()
    assert (event.principal_id, event.rule, event.instance_count) == (str(patient.external_id), "own log", 1)


def test_pages(reading: Browser, happen: Happen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_log, "PAGE_SIZE", 2)
    for number in range(5):
        happen(RETRIEVE, who=f"reader{number}", study_uids=["1.2.3"])
    found: list[str] = []
    before: int | None = None
    while True:
        answer = reading.get("/trail/mine.json", {"before": str(before)} if before else {}).json()
        found += [line["who"] for line in answer["events"]]
        before = answer["older"]
        if before is None:
            break
    assert found == [f"reader{number}" for number in (4, 3, 2, 1, 0)]


def test_a_grant_that_ended_shows_nothing(reading: Browser, patient: User, happen: Happen) -> None:
    happen(RETRIEVE, study_uids=["1.2.3"])
    Grant.objects.filter(user=patient).delete()
    assert told(reading) == []


def test_other_roles_of_the_same_person_open_no_more(make_person: MakePerson, make_study: Make, happen: Happen) -> None:
    make_study("1.2.3")
    happen(RETRIEVE, study_uids=["1.2.3"])
    browser = Browser(HTTP_HOST="127.0.0.1")
    browser.force_login(make_person("patient", "radiologist"))
    assert told(browser) == []


def test_an_emergency_access_makes_nobody_elses_log_ones_own(
    make_person: MakePerson, make_study: Make, happen: Happen
) -> None:
    user = make_person("patient", "radiologist")
    begin(make_study("1.2.3").patient, "found unconscious at the door", 30, Acting(None, of(user)))
    happen(RETRIEVE, study_uids=["1.2.3"])
    browser = Browser(HTTP_HOST="127.0.0.1")
    browser.force_login(user)
    assert told(browser) == []
    Grant.objects.create(study=make_study("1.2.5", patient_id="P-5"), user=user, rights=["view"])
    happen(RETRIEVE, who="rita", study_uids=["1.2.5"])
    assert [line["who"] for line in told(browser)] == ["rita"]


@pytest.mark.parametrize("role", ["radiologist", "administrator", "auditor"])
def test_whoever_is_no_patient_has_none(make_person: MakePerson, role: str) -> None:
    browser = Browser(HTTP_HOST="127.0.0.1")
    browser.force_login(make_person(role))
    assert browser.get("/trail/mine.json").status_code == 403
    assert AccessEvent.objects.get(kind="refused").rule == "own log"
