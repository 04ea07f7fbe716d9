"""The page of one study: its series with their pictures, to whom, at what cost."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access.acting import Acting
from access.authentication import person
from access.emergency import begin
from access.marking import restrict
from access.models import Grant, User
from access.restriction_models import Mark
from access.restrictions import marks
from archive.models import Series, Study
from audit.models import AccessEvent

pytestmark = pytest.mark.django_db
MakePerson = Callable[..., User]
MakeStudy = Callable[..., Study]


def with_series(study: Study, count: int) -> Study:
    for number in range(1, count + 1):
        Series.objects.create(
            study=study,
            series_instance_uid=f"{study.study_instance_uid}.{number}",
            modality="CT",
            series_number=number,
            series_description=f"Axial <{number}>",
            number_of_series_related_instances=number,
        )
    return study


def page(browser: Browser, study: str, status: int = 200) -> str:
    answer = browser.get(f"/studies/{study}/")
    assert answer.status_code == status, answer.content[:300]
    return str(answer.content.decode())


def test_series_with_their_pictures(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    with_series(make_study("1.2.3", name="Marker^Mia", patient_id="PAT-7"), 3)
    text = page(browser, "1.2.3")
    pictures = re.findall(r"<img src=\"(/dicom-web[^\"]*)\"[^>]*>", text)
    assert pictures == [f"/dicom-web/studies/1.2.3/series/1.2.3.{n}/thumbnail" for n in (1, 2, 3)]
    assert all('loading="lazy"' in each for each in re.findall(r"<img src=\"/dicom-web[^>]*>", text))
    told = re.findall(r"alt=\"([^\"]+)\"", text)
    assert told == [f"CT, series {n}" for n in (1, 2, 3)], "nothing of the patient"
    assert "Axial &lt;2&gt;" in text
    assert "/viewer/viewer?StudyInstanceUIDs=1.2.3&amp;initialSeriesInstanceUID=1.2.3.2" in text
    event = AccessEvent.objects.latest("sequence")
    assert (event.study_uids, event.patient_ids, event.rule) == (["1.2.3"], ["PAT-7"], "")
    assert '<a href="/studies/1.2.3/"' in browser.get("/").content.decode()


def test_an_administrator_opens_no_images(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("administrator"))
    with_series(make_study("1.2.3"), 2)
    text = page(browser, "1.2.3")
    assert "Axial" in text
    assert "/viewer/" not in text
    assert "/dicom-web/" not in text


def test_what_is_out_of_reach_is_not_there(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    person = make_person("referring_physician")
    browser.force_login(person)
    granted, other = (with_series(make_study(uid), 2) for uid in ("1.2.3", "1.2.4"))
    Grant.objects.create(study=granted, user=person)
    assert "Axial" in page(browser, granted.study_instance_uid)
    for uid in (other.study_instance_uid, "1.2.5", "x" * 70, "1.2%00", "..."):
        page(browser, uid, 404)


def test_what_is_open_for_an_emergency_says_so_in_its_event(
    browser: Browser, make_person: MakePerson, make_study: MakeStudy
) -> None:
    doctor = make_person("radiologist")
    browser.force_login(doctor)
    study = with_series(make_study("1.2.3"), 1)
    restrict(study, Mark.VIP, "a well-known person")
    marks.forget()
    page(browser, "1.2.3", 404)
    begun = begin(study.patient, "unconscious after an accident", 5, Acting(None, person(doctor, "")))
    page(browser, "1.2.3")
    event = AccessEvent.objects.latest("sequence")
    assert event.rule == f"emergency:{begun.external_id}"
    assert "unconscious" in event.purpose


def test_queries_do_not_grow(browser: Browser, make_person: MakePerson, make_study: MakeStudy) -> None:
    browser.force_login(make_person("radiologist"))
    with_series(make_study("1.2.3"), 1)
    with_series(make_study("1.2.4"), 30)
    page(browser, "1.2.3")
    counts: list[Any] = []
    for uid in ("1.2.3", "1.2.4"):
        with CaptureQueriesContext(connection) as queries:
            page(browser, uid)
        counts.append(len(queries))
    assert counts[0] == counts[1]
