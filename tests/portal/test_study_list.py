"""The study list: what it shows, to whom, at what cost."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from access.models import Grant, User
from archive.models import Study
from audit.models import AccessEvent
from portal.rows import date, person_name, time
from portal.studies import PAGE_SIZE

pytestmark = pytest.mark.django_db
MARKER = "ZZQXMARKER"


@pytest.fixture
def reader(browser: Browser, make_person: Callable[..., User]) -> Browser:
    browser.force_login(make_person("radiologist"))
    return browser


def shown(response: Any) -> list[str]:
    return re.findall(r"/viewer/viewer\?StudyInstanceUIDs=([0-9.]+)", response.content.decode())


def search(browser: Browser, **criteria: str) -> Any:
    browser.get("/")
    token = browser.cookies[settings.CSRF_COOKIE_NAME].value
    answer = browser.post("/", {"csrfmiddlewaretoken": token, **criteria})
    assert answer.status_code == 302
    return browser.get(answer["Location"])


def test_a_row(reader: Browser, make_study: Callable[..., Study]) -> None:
    make_study(
        "1.2.3",
        name="Yamada^Tarou=山田^太郎=やまだ^たろう",
        patient_id="PAT-7",
        study_date="20240131",
        study_time="140522.5",
        accession_number="ACC9",
        study_description="CT <b>Chest</b> & neck",
        modalities_in_study=["CT", "SR"],
        number_of_study_related_series=3,
        number_of_study_related_instances=412,
    )
    page = reader.get("/").content.decode()
    for text in ("Yamada, Tarou", "PAT-7", "2024-01-31", "14:05", "ACC9", "412", ">CT<", ">SR<"):
        assert text in page, text
    assert "CT &lt;b&gt;Chest&lt;/b&gt; &amp; neck" in page
    assert '<a class="open" href="/viewer/viewer?StudyInstanceUIDs=1.2.3">' in page
    assert 'src="/dicom-web/studies/1.2.3/thumbnail"' in page


def test_a_study_without_images_has_no_broken_picture(reader: Browser, make_study: Callable[..., Study]) -> None:
    make_study("1.1", modalities_in_study=["DOC", "SR"])
    assert b"/dicom-web/studies/1.1/thumbnail" not in reader.get("/").content
    make_study("1.2", modalities_in_study=["CT", "SR"])
    assert b"/dicom-web/studies/1.2/thumbnail" in reader.get("/").content


def test_newest_first_and_undated_last(reader: Browser, make_study: Callable[..., Study]) -> None:
    make_study("1.1", study_date="20200101")
    make_study("1.2", study_date="20240101", study_time="08")
    make_study("1.3", study_date="20240101", study_time="21")
    make_study("1.4")
    assert shown(reader.get("/")) == ["1.3", "1.2", "1.1", "1.4"]


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ({"patient": "doe"}, ["1.1"]),
        ({"patient": "Doe, Jane"}, ["1.1"]),
        ({"patient": "jane doe"}, ["1.1"]),
        ({"patient": "PAT-2"}, ["1.2"]),
        ({"patient": "PAT"}, ["1.1", "1.2"]),
        ({"patient": "%"}, []),
        ({"patient": "o_e"}, []),
        ({"accession": "A2"}, ["1.2"]),
        ({"accession": "A"}, []),
        ({"modality": "mr"}, ["1.2"]),
        ({"date_from": "2024-01-01"}, ["1.1"]),
        ({"date_to": "2023-12-31"}, ["1.2"]),
        ({"date_from": "2020-01-01", "date_to": "2024-06-01"}, ["1.1", "1.2"]),
        ({"modality": "CT", "patient": "roe"}, []),
    ],
)
def test_search(reader: Browser, make_study: Callable[..., Study], criteria: dict[str, str], found: list[str]) -> None:
    make_study("1.1", name="DOE^JANE", patient_id="PAT-1", study_date="20240501", modalities_in_study=["CT"])
    make_study(
        "1.2",
        name="ROE^RICHARD",
        patient_id="PAT-2",
        study_date="20230501",
        modalities_in_study=["MR"],
        accession_number="A2",
    )
    response = search(reader, **criteria)
    assert response.status_code == 200
    assert shown(response) == found
    for value in criteria.values():
        assert f'value="{value.replace("%", "%")}"' in response.content.decode()


def test_no_name_in_an_address_and_the_search_is_on_the_trail(
    reader: Browser, make_study: Callable[..., Study]
) -> None:
    make_study("1.1", name=f"{MARKER}^A")
    response = search(reader, patient=MARKER)
    assert shown(response) == ["1.1"]
    assert MARKER not in response.request["PATH_INFO"] + response.request["QUERY_STRING"]
    assert all(MARKER not in address for address in re.findall(r'href="([^"]*)"', response.content.decode()))
    event = AccessEvent.objects.latest("sequence")
    assert (event.kind, event.decision, event.query, event.path) == ("search", "allow", f"patient={MARKER}", "/")
    other = Browser(HTTP_HOST="127.0.0.1")
    other.force_login(User.objects.get())
    assert shown(other.get(f"/?{response.request['QUERY_STRING']}")) == ["1.1"]
    assert MARKER not in other.get(f"/?{response.request['QUERY_STRING']}").content.decode().split("<table")[0]


@pytest.mark.parametrize("hostile", ["x\0y", "9" * 5000, "<script>alert(1)</script>", "' OR 1=1 --", "\ud800"])
def test_hostile_criteria(reader: Browser, make_study: Callable[..., Study], hostile: str) -> None:
    make_study()
    for name in ("patient", "accession", "modality", "date_from"):
        response = search(reader, **{name: hostile.encode("utf-8", "replace").decode()})
        assert response.status_code == 200
        assert shown(response) == []
        assert "<script>alert" not in response.content.decode()
    for query in ("page=x", "page=-1", "page=999999999999999999999", "page=%00", "page=²", "search=%00", "search=none"):
        assert reader.get(f"/?{query}").status_code == 200, query


def test_pages(reader: Browser, make_study: Callable[..., Study]) -> None:
    for number in range(PAGE_SIZE + 3):
        make_study(f"1.{number}", study_date=f"2024{number:04}", modalities_in_study=["CT"])
    first, second = reader.get("/"), reader.get("/?page=2")
    assert len(shown(first)) == PAGE_SIZE
    assert len(shown(second)) == 3
    assert not set(shown(first)) & set(shown(second))
    assert 'href="?page=2"' in first.content.decode()
    assert 'rel="next"' not in second.content.decode()
    found = search(reader, modality="CT")
    onward = re.search(r'rel="next" href="([^"]+)"', found.content.decode())
    assert onward
    assert len(shown(reader.get("/" + onward[1].replace("&amp;", "&")))) == 3


def test_rows_cost_nothing(reader: Browser, make_study: Callable[..., Study]) -> None:
    make_study()
    reader.get("/")
    with CaptureQueriesContext(connection) as one:
        reader.get("/")
    for _ in range(20):
        make_study()
    with CaptureQueriesContext(connection) as many:
        reader.get("/")
    assert len(one) == len(many) == 4  # session, person with roles, page, event


def test_each_sees_what_is_theirs(
    browser: Browser, make_person: Callable[..., User], make_study: Callable[..., Study]
) -> None:
    mine, _ = make_study("1.1"), make_study("1.2", name=f"{MARKER}^B")
    doctor = make_person("referring_physician")
    Grant.objects.create(study=mine, user=doctor)
    browser.force_login(doctor)
    page = browser.get("/")
    assert shown(page) == ["1.1"]
    assert MARKER not in page.content.decode()
    assert shown(search(browser, patient=MARKER)) == []


def test_an_administrator_finds_and_does_not_open(
    browser: Browser, make_person: Callable[..., User], make_study: Callable[..., Study]
) -> None:
    make_study("1.1", patient_id="PAT-1")
    browser.force_login(make_person("administrator"))
    page = browser.get("/")
    assert "PAT-1" in page.content.decode()
    assert shown(page) == []
    assert "thumbnail" not in page.content.decode()


def test_whoever_has_pages_of_their_own_begins_there(browser: Browser, make_person: Callable[..., User]) -> None:
    browser.force_login(make_person("auditor"))
    response = browser.get("/")
    assert (response.status_code, response["Location"]) == (302, "/trail/")
    assert not AccessEvent.objects.exists()


def test_whoever_has_the_worklist_alone_begins_there(browser: Browser, make_person: Callable[..., User]) -> None:
    browser.force_login(make_person("device"))
    response = browser.get("/", follow=True)
    assert (response.status_code, response.redirect_chain) == (200, [("/worklist/", 302)])
    assert "Studies" not in response.content.decode()
    assert browser.post("/", {"patient": "A"}).status_code == 403


def test_no_right_no_list(browser: Browser, make_person: Callable[..., User], make_study: Callable[..., Study]) -> None:
    make_study(name=f"{MARKER}^C")
    browser.force_login(make_person())
    response = browser.get("/")
    assert response.status_code == 403
    assert MARKER not in response.content.decode()
    assert "Sign out" in response.content.decode()
    event = AccessEvent.objects.get()
    assert (event.kind, event.decision, event.roles) == ("refused", "deny", [])


def test_an_empty_archive_says_how_to_fill_it(reader: Browser) -> None:
    page = reader.get("/").content.decode()
    assert "./pacs import" in page
    assert "No study matches" in search(reader, patient="nobody").content.decode()


@pytest.mark.django_db(transaction=True)
def test_without_a_trail_nothing_is_shown(
    browser: Browser, make_person: Callable[..., User], make_study: Callable[..., Study]
) -> None:
    make_study(name=f"{MARKER}^D")
    browser.force_login(make_person("radiologist"))
    browser.raise_request_exception = False
    assert browser.get("/").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_accessevent RENAME TO elsewhere")
    try:
        response = browser.get("/")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO audit_accessevent")
    assert (response.status_code, int(response["Retry-After"]) > 0) == (503, True)
    assert MARKER not in response.content.decode()
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Doe^John^M^Dr^III", "Doe, John M"),
        ("Doe", "Doe"),
        ("^John", "John"),
        ("Doe^^", "Doe"),
        ("=山田^太郎", "山田, 太郎"),
        ("", ""),
        ("^^^^==", ""),
        ("A^B\\C^D", "A, B"),
    ],
)
def test_person_names(value: str, text: str) -> None:
    assert person_name(value) == text


def test_dates_and_times() -> None:
    assert [date(value) for value in ("20240131", "", "2024", "2024.01.31")] == ["2024-01-31", "", "2024", "2024.01.31"]
    assert [time(value) for value in ("140522.123", "1405", "14", "", "x")] == ["14:05", "14:05", "", "", ""]
