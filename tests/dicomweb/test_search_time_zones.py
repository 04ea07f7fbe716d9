"""Dates and times of a search by the clock of whoever asks (PS3.4 C.4.1.1.3.1, PS3.18 8.3.4.1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object
from tests.dicomweb.reading import problem_of, values

ACCESSION, ZONE = "00080050", "00080201"
ZONE_NAME = "TimezoneOffsetFromUTC"
Find = Callable[..., str]

# Name, date, time, offset: all but the last three lie within two hours of midnight in Greenwich.
STUDIES = (
    ("a", "20240101", "0030", "+0100"),  # 23:30 of 31 December in Greenwich
    ("b", "20231231", "2330", "-0100"),  # 00:30 of 1 January
    ("c", "20240101", "003000.5", "+0000"),
    ("d", "20240101", "1330", "+1400"),  # 23:30 of 31 December
    ("e", "20231231", "1230", "-1200"),  # 00:30 of 1 January
    ("f", "20240101", "000000", ""),
    ("g", "20240101", "", "+0100"),
    ("h", "20240101", "12", "CET"),
    ("i", "", "", "+0100"),
)


@pytest.fixture
def find(technologist: Door) -> Find:
    """Searches, and gives the accession numbers that are found, in the order of the alphabet."""
    response = technologist.store(
        make_object(AccessionNumber=name, StudyDate=date, StudyTime=time, **({ZONE_NAME: zone} if zone else {}))
        for name, date, time, zone in STUDIES
    )
    assert response.status_code in (200, 202), response.content

    def search(path: str = "studies", **query: str) -> str:
        return "".join(sorted(values(technologist.search(path, **query), ACCESSION)))

    return search


CASES = (
    # By the clock of Greenwich.
    ("+0000", {"StudyDate": "20231231"}, "adg"),
    ("+0000", {"StudyDate": "20240101"}, "bcefgh"),
    ("+0000", {"StudyDate": "20240102"}, ""),
    ("+0000", {"StudyDate": "-20231231"}, "adg"),
    ("+0000", {"StudyDate": "20240101-"}, "bcefgh"),
    ("+0000", {"StudyDate": "20231231-20240101"}, "abcdefgh"),
    # By other clocks, up to the ends of the earth.
    ("+0100", {"StudyDate": "20240101"}, "abcdefgh"),
    ("+0100", {"StudyDate": "20231231"}, ""),
    ("-0100", {"StudyDate": "20231231"}, "abcdeg"),
    ("+1400", {"StudyDate": "20240101"}, "abcdefgh"),
    ("-1200", {"StudyDate": "20231231"}, "abcdeg"),
    ("+0530", {"StudyDate": "20240101"}, "abcdefgh"),
    # Time and date are one moment.
    ("+0000", {"StudyDate": "20231231", "StudyTime": "2330"}, "adg"),
    ("+0000", {"StudyDate": "20231231", "StudyTime": "2331-"}, "g"),
    ("+0000", {"StudyDate": "20240101", "StudyTime": "0030"}, "bceg"),
    ("+0000", {"StudyDate": "20240101", "StudyTime": "003001"}, "beg"),
    ("+0530", {"StudyDate": "20240101", "StudyTime": "0459-0501"}, "adg"),
    ("+0000", {"StudyDate": "20231231-20240101", "StudyTime": "2345-0015"}, "fg"),
    ("+0000", {"StudyDate": "-20240101", "StudyTime": "-0015"}, "adfg"),
    ("+0000", {"StudyDate": "20240101-", "StudyTime": "0045-"}, "gh"),
    # A time that makes no period with the date is that of the study's own clock, as without an offset.
    ("+0000", {"StudyDate": "20231231-20240101", "StudyTime": "-0030"}, "acf"),
)


def test_c_4_1_1_3_1_dates_are_those_of_the_clock_that_is_named(find: Find) -> None:
    for zone, query, expected in CASES:
        for path in ("studies", "series", "instances"):
            assert find(path, **query, TimezoneOffsetFromUTC=zone) == expected, (path, zone, query)


def test_what_has_no_date_is_found_as_empty_whatever_the_clock(find: Find) -> None:
    for zone in ("+0100", "+0000"):
        assert find(StudyDate='""', emptyvaluematching="true", TimezoneOffsetFromUTC=zone) == "i"


def test_without_an_offset_dates_are_as_stored(find: Find) -> None:
    assert find(StudyDate="20231231") == "be"
    assert find(StudyDate="20240101") == "acdfgh"


def test_an_offset_alone_is_matched_like_any_attribute(find: Find) -> None:
    assert find(TimezoneOffsetFromUTC="+0100") == "agi"
    assert find(TimezoneOffsetFromUTC="+0100", StudyDate="*") == "agi"
    assert find(TimezoneOffsetFromUTC="+0100", StudyTime="0030") == "a"
    assert find(TimezoneOffsetFromUTC='""', emptyvaluematching="true") == "f"


def test_a_plus_sign_that_was_not_encoded_is_understood(technologist: Door, find: Find) -> None:
    found = technologist.get("studies?StudyDate=20231231&TimezoneOffsetFromUTC=+0000").json()
    assert sorted(values(found, ACCESSION)) == ["a", "d", "g"]
    assert sorted(values(technologist.get("studies?00080201=+0100").json(), ACCESSION)) == ["a", "g", "i"]


def test_a_study_without_an_offset_has_the_clock_of_the_site(find: Find, settings: Any) -> None:
    for site, zone, expected in (
        ("", "+0900", "f"),  # whichever clock is asked by
        ("+0900", "+0900", "f"),
        ("+0900", "+0000", ""),
        ("+0900", "+0100", ""),
        ("America/New_York", "-0500", "f"),
        ("America/New_York", "-0400", "f"),
        ("Europe/Berlin", "+0000", ""),
        ("Europe/Berlin", "+0200", "f"),
    ):
        settings.PACS = settings.PACS.model_copy(update={"time_zone": site})
        assert find(StudyDate="20240101", TimezoneOffsetFromUTC=zone, AccessionNumber="f") == expected, (site, zone)


def test_the_site_has_summer_time(technologist: Door, settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"time_zone": "Europe/Berlin"})
    technologist.store([make_object(StudyDate=date, StudyTime="0030") for date in ("20240115", "20240715")])
    for date, time, found in (
        ("20240114", "2330", 1),
        ("20240114", "2230", 0),
        ("20240714", "2230", 1),
        ("20240714", "2330", 0),
    ):
        assert (
            len(technologist.search("studies", StudyDate=date, StudyTime=time, TimezoneOffsetFromUTC="+0000")) == found
        )


def test_dates_of_series_and_instances_have_the_clock_of_their_study(technologist: Door) -> None:
    technologist.store(
        [
            make_object(
                TimezoneOffsetFromUTC="+0100",
                PerformedProcedureStepStartDate="20240101",
                PerformedProcedureStepStartTime="0030",
                ContentDate="20240101",
                ContentTime="0030",
                PatientBirthDate="19700101",
            )
        ]
    )
    for level, keyword in (("series", "PerformedProcedureStepStartDate"), ("instances", "ContentDate")):
        for date, found in (("20231231", 1), ("20240101", 0)):
            query = {keyword: date, "TimezoneOffsetFromUTC": "+0000"}
            assert len(technologist.search(level, **query)) == found, query
    # A birth date is no moment.
    assert technologist.search("studies", PatientBirthDate="19700101", TimezoneOffsetFromUTC="+0100")
    assert not technologist.search("studies", PatientBirthDate="19691231", TimezoneOffsetFromUTC="+0100")


def test_answers_have_the_offset_that_is_stored(technologist: Door, find: Find) -> None:
    found = technologist.search("studies", StudyDate="20231231", TimezoneOffsetFromUTC="+0000")
    assert sorted(answer[ZONE]["Value"][0] for answer in found) == ["+0100", "+0100", "+1400"]


def test_a_malformed_offset_is_refused(technologist: Door) -> None:
    for zone in [
        "1",
        "+1",
        "+100",
        "+01:00",
        "+1401",
        "+1500",
        "-1201",
        "-0000",
        "+0060",
        "Z",
        "CET",
        "+0100-",
        "０１００",
    ]:
        for date in ("20240101", ""):
            query = {"TimezoneOffsetFromUTC": zone, "StudyDate": date}
            problem = problem_of(technologist.http.get("/dicom-web/studies", query), 400)
            assert "TimezoneOffsetFromUTC" in problem["detail"], zone


def test_the_ends_of_the_calendar(find: Find) -> None:
    for date, zone in itertools.product(("00010101-", "-99991231", "00010101-99991231"), ("-1200", "+1400")):
        assert find(StudyDate=date, TimezoneOffsetFromUTC=zone) == "abcdefgh"


def test_a_day_that_is_none(technologist: Door, find: Find) -> None:
    query = {"StudyDate": "20240231", "TimezoneOffsetFromUTC": "+0100"}
    problem_of(technologist.http.get("/dicom-web/studies", query), 400)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_stored_dates_that_are_none_break_no_search(technologist: Door) -> None:
    technologist.store(
        make_object(StudyDate=date, StudyTime=time)
        for date, time in (("20240231", "10"), ("2024.03.", "99"), ("20240301", "9x"), ("00000000", ""))
    )
    found = technologist.search("studies", StudyDate="20240301-20240303", TimezoneOffsetFromUTC="+0100")
    assert len(found) == 2
