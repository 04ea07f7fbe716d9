"""PS3.18 8.3.4.1: which attributes are matched, and how (PS3.4 C.2.2.2)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.conformance.marks import clause
from tests.conformance.site import JSON, Corpus, Site
from tests.conformance.trap_server import problem_of, value


def found(site: Site, stored: Corpus, query: str, level: str = "studies") -> set[str]:
    """Which of the two studies with known values a search finds, by the last part of their names."""
    names = {
        str(stored.slices[0].ds.StudyInstanceUID): "slices",
        str(stored.other.ds.StudyInstanceUID): "other",
    }
    answers = site.search(f"{level}?{query}&limit=500")
    return {names[uid] for each in answers if (uid := value(each, "0020000D")) in names}


def instances(site: Site, query: str) -> list[dict[str, Any]]:
    return site.search(f"instances?{query}")


@clause("8.3.4.1")
def test_8_3_4_1_matching_by_keyword_and_tag(site: Site, stored: Corpus) -> None:
    patient = stored.slices[0].ds.PatientID
    assert found(site, stored, f"PatientID={patient}") == {"slices"}
    assert found(site, stored, f"00100020={patient}") == {"slices"}
    assert found(site, stored, "0020000d=" + stored.other.ds.StudyInstanceUID) == {"other"}, "small hex digits"


@clause("8.3.4.1-repeated")
def test_8_3_4_1_repeated_attributes_are_refused(site: Site) -> None:
    problem_of(site.get("studies?PatientID=1&PatientID=2", JSON), 400)
    problem_of(site.get("studies?PatientID=1&00100020=2", JSON), 400)


@clause("8.3.4.1-sequence", "8.3.4.1.1-sequence")
def test_8_3_4_1_sequence_paths_by_keyword_and_tag_match_within_one_item(site: Site, stored: Corpus) -> None:
    for path in ("RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00400009"):
        assert found(site, stored, f"{path}=SPS-1", "series") == {"slices"}
        assert found(site, stored, f"{path}=SPS-2", "series") == set()
    both = "00400275.00400009=SPS-1&00400275.00401001="
    assert found(site, stored, both + "RP-1", "series") == {"slices"}
    assert found(site, stored, both + "RP-2", "series") == set()


@clause("8.3.4.1-other")
@pytest.mark.parametrize("key", ["OtherPatientIDsSequence.PatientID", "00291001", "Manufacturer"])
def test_8_3_4_1_other_attributes_are_named_in_a_warning(site: Site, key: str) -> None:
    answer = site.get(f"studies?{key}=1", JSON)
    assert answer.status_code == 200
    assert answer.json(), "as if the parameter were not there"
    assert answer.headers["Warning"].startswith("299 ")
    assert key in answer.headers["Warning"]


@clause("8.3.4.1.1")
def test_8_3_4_1_1_single_values_are_case_sensitive_but_for_names(site: Site, stored: Corpus) -> None:
    assert found(site, stored, "AccessionNumber=CONF-A1") == {"slices"}
    assert found(site, stored, "AccessionNumber=conf-a1") == set()
    assert found(site, stored, "AccessionNumber=CONF-A") == set()
    assert found(site, stored, "PatientName=MUSTER^MAX") == {"other"}


@clause("8.3.4.1.1-uids")
@pytest.mark.parametrize("separator", [",", "%5C"])
def test_8_3_4_1_1_uids_in_lists(site: Site, stored: Corpus, separator: str) -> None:
    both = separator.join((stored.slices[0].ds.StudyInstanceUID, stored.other.ds.StudyInstanceUID, "1.2.3"))
    assert found(site, stored, f"StudyInstanceUID={both}") == {"slices", "other"}


@clause("8.3.4.1.1-universal")
def test_8_3_4_1_1_universal_matches_everything(site: Site, stored: Corpus) -> None:
    for text in ("", "*"):
        assert found(site, stored, f"AccessionNumber={text}") == {"slices", "other"}, "what has none as well"


@clause("8.3.4.1.1-wildcard")
@pytest.mark.parametrize("text", ["CONF-*", "*F-A1", "C?NF-A?", "%2AA1"])
def test_8_3_4_1_1_wildcard_star_and_question_mark(site: Site, stored: Corpus, text: str) -> None:
    assert found(site, stored, f"AccessionNumber={text}") == {"slices"}
    assert found(site, stored, "AccessionNumber=CONF-A1?") == set()


@clause("8.3.4.1.1-range")
@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("StudyDate=20240305", {"slices"}),
        ("StudyDate=20240301-20240331", {"slices"}),
        ("StudyDate=20200101-", {"slices"}),
        ("StudyDate=-20200101", {"other"}),
        ("StudyDate=20240306-", set()),
        ("StudyTime=100000-110000", {"slices", "other"}),
        ("StudyTime=101531-", set()),
    ],
)
def test_8_3_4_1_1_range_of_dates_and_times(site: Site, stored: Corpus, query: str, wanted: set[str]) -> None:
    assert found(site, stored, query) == wanted


@clause("8.3.4.1.1-datetime")
def test_8_3_4_1_1_datetime_as_one_period(site: Site, stored: Corpus) -> None:
    """From 23:00 of one day to 11:00 of the next: 10:15 of the next is in it, though 10:15 is before 23:00."""
    assert found(site, stored, "StudyDate=20240304-20240305&StudyTime=230000-110000") == {"slices"}
    assert found(site, stored, "StudyDate=20240304-20240305&StudyTime=230000-100000") == set()


@clause("8.3.4.1.1-timezone")
def test_8_3_4_1_1_timezone_of_the_request(site: Site, stored: Corpus) -> None:
    """10:15 at +01:00 is 12:15 at +03:00."""
    at = f"StudyInstanceUID={stored.slices[0].ds.StudyInstanceUID}&StudyDate=20240305"
    for offset, time in (("+0100", "101530"), ("+0300", "121530"), ("-0500", "041530")):
        query = f"studies?{at}&TimezoneOffsetFromUTC={quote(offset)}&StudyTime="
        assert len(site.search(query + time)) == 1, offset
        assert site.search(query + "235959") == []
