"""QIDO-RS: the further parameters of a search (PS3.18 8.3.4), and ours: order, count, going on behind a page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from archive.models import Series
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import problem_of, values

ACCESSION, SERIES_UID = "00080050", "0020000E"


def stored(door: Door, *objects: bytes) -> None:
    response = door.store(objects)
    assert response.status_code == 200, response.content


def next_path(response: Any) -> str | None:
    """What the Link header says comes next, as a path below the DICOMweb root."""
    if "Link" not in response:
        return None
    found = re.fullmatch(r'<http://testserver/dicom-web/([!-;=?-~]+)>; rel="next"', response["Link"])
    assert found, response["Link"]
    return found[1]


# --- Empty Value Matching


@pytest.fixture
def with_and_without(technologist: Door) -> Callable[..., set[str]]:
    """Studies told apart by StudyID: one has everything, one has empty values, one lacks the attributes."""
    asked = ("AccessionNumber", "StudyDate", "ReferringPhysicianName", "PatientSex", "StudyDescription")
    stored(
        technologist,
        make_object(StudyID="full", SeriesDescription="x"),
        make_object(StudyID="empty", **dict.fromkeys(asked, ""), Modality="", SeriesNumber=None, PatientID="P2"),
        make_object(StudyID="absent", **dict.fromkeys(asked), Modality=None, SeriesNumber=None, PatientID="P3"),
    )

    def find(path: str = "studies", **query: str) -> set[str]:
        return set(values(technologist.search(path, **query), "00200010"))

    return find


@pytest.mark.parametrize(
    "keyword",
    ["AccessionNumber", "StudyDate", "ReferringPhysicianName", "PatientSex", "StudyDescription", "ModalitiesInStudy"],
)
def test_ps3_18_8_3_4_5_two_quotation_marks_match_what_has_no_value(
    with_and_without: Callable[..., set[str]], keyword: str
) -> None:
    """PS3.4 C.2.2.2.7: the attribute is empty, or it isn't there."""
    assert with_and_without(**{keyword: '""'}, emptyvaluematching="true") == {"empty", "absent"}
    assert with_and_without(**{keyword: ' "" '}, emptyvaluematching="TRUE", fuzzymatching="true") == {"empty", "absent"}
    assert with_and_without(**{keyword: ""}, emptyvaluematching="true") == {"full", "empty", "absent"}


def test_ps3_18_8_3_4_5_numbers_and_further_keys(with_and_without: Callable[..., set[str]]) -> None:
    find = with_and_without
    assert find("series", SeriesNumber='""', emptyvaluematching="true") == {"empty", "absent"}
    assert find("series", Modality='""', emptyvaluematching="true") == {"empty", "absent"}
    assert find(StudyDate='""', StudyID="empty", emptyvaluematching="true") == {"empty"}
    assert find(StudyInstanceUID='""', emptyvaluematching="true") == set()


def test_ps3_18_8_3_4_5_without_the_parameter_quotation_marks_are_text(
    technologist: Door, with_and_without: Callable[..., set[str]]
) -> None:
    stored(technologist, make_object(StudyID="quoted", StudyDescription='""'))
    assert with_and_without(StudyDescription='""') == {"quoted"}
    assert with_and_without(StudyDescription='""', emptyvaluematching="false") == {"quoted"}
    problem_of(technologist.get("studies?StudyDate=%22%22"), 400)


# --- Multiple Value Matching


@pytest.fixture
def modalities(technologist: Door) -> Callable[..., set[str]]:
    """Studies told apart by AccessionNumber, which is also what modalities they have."""
    for name in ("CT", "CT PT", "CT MR PT", "MR"):
        study = generate_uid()
        stored(
            technologist,
            *(make_object(StudyInstanceUID=study, AccessionNumber=name, Modality=word) for word in name.split()),
        )

    def find(path: str = "studies", **query: str) -> set[str]:
        return set(values(technologist.search(path, **query), ACCESSION))

    return find


@pytest.mark.parametrize("asked", ["CT\\PT", "PT,CT", " PT , CT ,", "PT\\CT\\CT"])
def test_ps3_18_8_3_4_6_every_value_must_be_there(modalities: Callable[..., set[str]], asked: str) -> None:
    """PS3.4 C.2.2.2.8: a logical AND, in any order, and there may be more."""
    assert modalities(ModalitiesInStudy=asked, multiplevaluematching="true") == {"CT PT", "CT MR PT"}
    some = {"CT", "CT PT", "CT MR PT"}
    assert modalities(ModalitiesInStudy=asked, multiplevaluematching="false") == some
    assert modalities(ModalitiesInStudy=asked) == some, "clients without the parameter mean any of them"


def test_ps3_18_8_3_4_6_one_value_is_as_ever_and_several_have_no_wild_cards(
    technologist: Door, modalities: Callable[..., set[str]]
) -> None:
    assert modalities(ModalitiesInStudy="M?", multiplevaluematching="true") == {"CT MR PT", "MR"}
    assert modalities("series", ModalitiesInStudy="CT,MR", multiplevaluematching="true") == {"CT MR PT"}
    problem_of(technologist.get("studies?multiplevaluematching=true&ModalitiesInStudy=C*,PT"), 400)


def test_ps3_4_c_2_2_2_8_attributes_of_one_value_are_not_split(technologist: Door) -> None:
    """It is for attributes that may have several values; a name or a description with a comma is one."""
    stored(
        technologist,
        make_object(PatientName="Doe, Jane", StudyDescription="a,b"),
        make_object(PatientID="P2", StudyDescription="a"),
    )
    for query in ({"PatientName": "Doe, Jane"}, {"StudyDescription": "a,b"}):
        assert len(technologist.search("studies", multiplevaluematching="true", **query)) == 1


# --- combined date and time


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20060705-20060707", "1000-1800", {"first day late", "between early", "between", "last day early"}),
        ("20060705-20060705", "1000-1800", set()),
        ("20060705-20060705", "1000-2300", {"first day late"}),
        ("20060706-", "0900-", {"last day", "last day early", "last day late"}),
        ("-20060706", "-0700", {"first day early", "first day late", "between early", "first day"}),
        ("20060705-20060707", "0900-", {"first day late", "last day late"}),
        ("20060705", "1000-2300", {"first day late"}),
        ("20060705-20060707", "2200", {"first day late", "last day late"}),
    ],
)
def test_ps3_18_8_3_4_1_1_ranges_of_date_and_time_are_one_period(
    technologist: Door, date: str, time: str, expected: set[str]
) -> None:
    """PS3.4 C.2.2.2.5.4, for ranges of the same form; others each by itself."""
    moments = {
        "first day early": ("20060705", "08"),
        "first day late": ("20060705", "220000"),
        "first day": ("20060705", ""),
        "between early": ("20060706", "03"),
        "between": ("20060706", ""),
        "last day early": ("20060707", "03"),
        "last day late": ("20060707", "220000"),
        "last day": ("20060707", ""),
        "never": ("", "12"),
    }
    stored(
        technologist,
        *(make_object(StudyDescription=name, StudyDate=day, StudyTime=at) for name, (day, at) in moments.items()),
    )
    found = technologist.search("studies", StudyDate=date, StudyTime=time)
    assert set(values(found, "00081030")) == expected
    assert set(values(technologist.search("instances", StudyTime=time, StudyDate=date), "00081030")) == expected


# --- orderby


@pytest.fixture
def sorted_by(technologist: Door) -> Callable[..., list[str]]:
    """Studies told apart by AccessionNumber; searching gives the accession numbers in the order of the answer."""
    described = [
        ("a", "Zoe", "20240101", "1"),
        ("b", "ábel", "20240301", ""),
        ("c", "Berta", "", "1"),
        ("d", "Abel", "20240201", "2"),
        ("e", "", "20240201", "1"),
    ]
    stored(
        technologist,
        *(
            make_object(
                SpecificCharacterSet="ISO_IR 192",
                AccessionNumber=number,
                PatientID=f"P{number}",
                PatientName=name,
                StudyDate=date,
                StudyID=study_id,
                SeriesNumber=10 - index if index else None,
            )
            for index, (number, name, date, study_id) in enumerate(described)
        ),
    )

    def find(orderby: str, path: str = "studies", **query: str) -> list[str]:
        return values(technologist.search(path, orderby=orderby, **query), ACCESSION)

    return find


@pytest.mark.parametrize(
    ("orderby", "expected"),
    [
        ("AccessionNumber", "abcde"),
        ("-00080050", "edcba"),
        ("StudyDate,AccessionNumber", "adebc"),
        ("-StudyDate,AccessionNumber", "bdeac"),
        ("StudyID,-AccessionNumber", "ecadb"),
        (" -StudyID , AccessionNumber ", "daceb"),
        ("PatientName,-AccessionNumber", "dbcae"),
        ("-PatientName,AccessionNumber", "acbde"),
    ],
)
def test_orderby_sorts_and_what_has_no_value_is_last(
    sorted_by: Callable[..., list[str]], orderby: str, expected: str
) -> None:
    assert "".join(sorted_by(orderby)) == expected
    paged = [sorted_by(orderby, limit="1", offset=str(n))[0] for n in range(5)]
    assert "".join(paged) == expected


def test_orderby_reaches_upper_levels_and_numbers(sorted_by: Callable[..., list[str]]) -> None:
    assert "".join(sorted_by("SeriesNumber", "series")) == "edcba"
    assert "".join(sorted_by("-SeriesNumber", "instances")) == "bcdea"
    assert "".join(sorted_by("-StudyDate,AccessionNumber", "instances")) == "bdeac"


def test_orderby_is_total_where_values_are_equal(technologist: Door) -> None:
    stored(technologist, *(make_object(PatientID=f"P{n}") for n in range(7)))
    whole = values(technologist.search("studies", orderby="StudyDescription"), "0020000D")
    pages = [technologist.search("studies", orderby="StudyDescription", limit="2", offset=str(n)) for n in (0, 2, 4, 6)]
    assert [uid for page in pages for uid in values(page, "0020000D")] == whole
    assert len(set(whole)) == 7


def test_orderby_names_what_it_cannot_sort_by(technologist: Door, sorted_by: Callable[..., list[str]]) -> None:
    response = technologist.get("studies?orderby=-Modality,SliceThickness,-AccessionNumber")
    assert "The orderby=-Modality parameter is not supported." in response["Warning"]
    assert "The orderby=SliceThickness parameter is not supported." in response["Warning"]
    assert values(response.json(), ACCESSION) == list("edcba")


# --- count


def test_count_is_told_only_when_asked_for(technologist: Door, sorted_by: Callable[..., list[str]]) -> None:
    assert "X-Total-Count" not in technologist.get("studies")
    assert "X-Total-Count" not in technologist.get("studies?count=false")
    for query, number in (
        ("", 5),
        ("&limit=2&offset=1", 5),
        ("&limit=0", 5),
        ("&StudyID=1", 3),
        ("&StudyID=1&orderby=PatientName", 3),
        ("&StudyID=none", 0),
    ):
        assert technologist.get(f"studies?count=true{query}")["X-Total-Count"] == str(number), query
    assert technologist.get("instances?count=true&SeriesNumber=9")["X-Total-Count"] == "1"


def test_count_has_the_scope_of_the_search(technologist: Door, door_for: Callable[..., Door]) -> None:
    stored(technologist, make_object())
    response = door_for("referring_physician").get("studies?count=true")
    assert (response.json(), response["X-Total-Count"]) == ([], "0")


def test_count_and_link_are_readable_across_origins(technologist: Door, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://viewer.example"]
    exposed = technologist.get("studies", origin="https://viewer.example")["Access-Control-Expose-Headers"]
    assert {"X-Total-Count", "Link"} <= set(exposed.split(", "))


# --- sequence paths


def request_item(accession: str | None, procedure: str | None, step: str | None) -> Dataset:
    item = Dataset()
    named = {"AccessionNumber": accession, "RequestedProcedureID": procedure, "ScheduledProcedureStepID": step}
    for keyword, text in named.items():
        if text is not None:
            setattr(item, keyword, text)
    return item


@pytest.fixture
def requested(technologist: Door) -> Callable[..., set[str]]:
    """Series told apart by SeriesDescription; the last has no request attributes."""
    described = {
        "one": [request_item("A1", "R1", "S1")],
        "two": [request_item("A2", "R2", "S1"), request_item("A3", "R1", "100%_")],
        "bare": [request_item("A4", "", None)],
        "none": None,
    }
    for name, items in described.items():
        ds = make_data_set(SeriesDescription=name)
        if items is not None:
            ds.RequestAttributesSequence = items
        stored(technologist, to_bytes(ds))

    def find(*pairs: tuple[str, str], path: str = "series") -> set[str]:
        response = technologist.http.get(f"/dicom-web/{path}", dict(pairs))
        assert response.status_code == 200, response.content
        assert "Warning" not in response, response["Warning"]
        return set(values(response.json(), "0008103E"))

    return find


IN_ACCESSION = "RequestAttributesSequence.AccessionNumber"
IN_PROCEDURE = "RequestAttributesSequence.RequestedProcedureID"
IN_STEP = "RequestAttributesSequence.ScheduledProcedureStepID"


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(IN_ACCESSION, "A1")], {"one"}),
        ([(IN_ACCESSION, " A3 ")], {"two"}),
        ([("00400275.00080050", "A2")], {"two"}),
        ([("00400275.00400009", "S1")], {"one", "two"}),
        ([("RequestAttributesSequence.00401001", "R1")], {"one", "two"}),
        ([(IN_ACCESSION, "A?")], {"one", "two", "bare"}),
        ([(IN_STEP, "100*")], {"two"}),
        ([(IN_STEP, "100%_")], {"two"}),
        ([(IN_STEP, "S_")], set()),
        ([(IN_STEP, "s1")], set()),
        ([(IN_STEP, '"]}; --')], set()),
        ([(IN_STEP, "*")], {"one", "two", "bare", "none"}),
        ([(IN_STEP, "")], {"one", "two", "bare", "none"}),
        ([(IN_ACCESSION, "A3"), (IN_PROCEDURE, "R1")], {"two"}),
        ([(IN_ACCESSION, "A2"), (IN_PROCEDURE, "R1")], set()),
        ([(IN_PROCEDURE, "R1"), ("Modality", "CT"), ("SeriesDescription", "o*")], {"one"}),
        ([(IN_STEP, '""'), ("emptyvaluematching", "true")], {"bare", "none"}),
        ([(IN_PROCEDURE, '""'), ("emptyvaluematching", "true")], {"bare", "none"}),
        ([(IN_PROCEDURE, '""'), (IN_ACCESSION, "A*"), ("emptyvaluematching", "true")], {"bare"}),
        ([(IN_PROCEDURE, '""')], set()),
    ],
)
@pytest.mark.parametrize("path", ["series", "instances"])
def test_ps3_4_c_2_2_2_6_all_keys_match_in_one_item(
    requested: Callable[..., set[str]], pairs: list[tuple[str, str]], expected: set[str], path: str
) -> None:
    assert requested(*pairs, path=path) == expected


def test_ps3_18_8_3_4_1_other_paths_are_named(technologist: Door, requested: Callable[..., set[str]]) -> None:
    for path, name in (
        ("studies", IN_ACCESSION),
        ("series", "RequestAttributesSequence.StudyInstanceUID"),
        ("series", "ReferencedStudySequence.AccessionNumber"),
        ("series", f"{IN_ACCESSION}.AccessionNumber"),
        ("series", "00400275."),
        ("series", "00400275"),
    ):
        assert f"The {name} parameter is not supported." in technologist.get(f"{path}?{name}=A1")["Warning"]
    problem_of(technologist.get(f"series?{IN_ACCESSION}=A1&00400275.00080050=A2"), 400)


def test_hostile_text_in_a_stored_sequence_breaks_no_search(technologist: Door) -> None:
    ds = make_data_set(SpecificCharacterSet="ISO_IR 192")
    ds.RequestAttributesSequence = [request_item("A\x00B", 'x"\\u0000\x01', "\ufffe")]
    stored(technologist, to_bytes(ds))
    assert Series.objects.get().request_attributes
    assert technologist.search("series", **{IN_ACCESSION: "nothing"}) == []
    assert len(technologist.search("series", **{IN_PROCEDURE: "x*"})) == 1


# --- going on behind a page


def test_after_walks_every_level_to_its_end(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    stored(
        technologist,
        *(make_object(StudyDate=date, StudyTime=time) for date in ("20240101", "") for time in ("10", "", "10")),
        *(make_object(StudyInstanceUID=study, SeriesNumber=n) for n in (2, None, 1, None, 1)),
        *(
            make_object(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n)
            for n in (3, None, 1, None, 1)
        ),
    )
    for path, tag in (
        ("studies", "0020000D"),
        (f"studies/{study}/series", SERIES_UID),
        ("series", SERIES_UID),
        (f"studies/{study}/series/{series}/instances", "00080018"),
        ("instances?PatientID=P1&includefield=PatientName,StudyDate&PatientName=*", "00080018"),
    ):
        whole = values(technologist.get(path).json(), tag)
        assert len(whole) >= 5
        for limit in (1, 2, 3):
            found: list[str] = []
            following: str | None = f"{path}{'&' if '?' in path else '?'}limit={limit}&offset=0"
            while following:
                response = technologist.get(following)
                found += values(response.json(), tag)
                following = next_path(response)
            assert found == whole, (path, limit)


def test_after_loses_and_repeats_nothing_while_data_arrive(technologist: Door) -> None:
    """With ``offset`` a study that comes in at the head of the list would show the last one of each page again."""
    stored(technologist, *(make_object(StudyDate="20240101") for _ in range(6)))
    before = values(technologist.search("studies"), "0020000D")
    seen: list[str] = []
    following: str | None = "studies?limit=2&count=true"
    counts = []
    while following:
        response = technologist.get(following)
        seen += values(response.json(), "0020000D")
        counts.append(response["X-Total-Count"])
        following = next_path(response)
        stored(technologist, make_object(StudyDate="20250101"))
    assert seen == before
    assert counts == ["6", "7", "8"], "all that match, not only what is behind the token"


def test_a_link_is_given_only_where_something_follows(technologist: Door) -> None:
    stored(technologist, *(make_object(StudyDescription="Ü &%") for _ in range(3)))
    for query in ("", "limit=3", "limit=0", "limit=1&offset=2", "limit=1&orderby=StudyDate"):
        assert next_path(technologist.get(f"studies?{query}")) is None, query
    path = next_path(technologist.get(f"studies?limit=1&offset=1&StudyDescription={quote('Ü &%')}"))
    assert path is not None
    assert "offset" not in path
    assert len(technologist.get(path).json()) == 1


def test_a_link_keeps_no_one_out_of_scope_in(technologist: Door, door_for: Callable[..., Door]) -> None:
    stored(technologist, make_object(), make_object())
    path = next_path(technologist.get("studies?limit=1"))
    assert path is not None
    assert door_for("referring_physician").get(path).json() == []


def token(*values: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "query",
    [
        "emptyvaluematching=maybe",
        "emptyvaluematching=",
        "multiplevaluematching=1",
        "count=yes",
        "orderby=",
        "orderby=StudyDate,",
        "orderby=--StudyDate",
        "orderby=-",
        "orderby=StudyDate,-StudyDate",
        "orderby=StudyDate&orderby=00080020",
        "orderby="
        + ",".join(["PatientID", "PatientSex", "StudyDate", "StudyTime", "StudyID"])
        + ",AccessionNumber,PatientName,StudyDescription,StudyInstanceUID",
        "after=",
        "after=x",
        "after=%C3%BC",
        "after=" + "A" * 3000,
        f"after={token()}",
        f"after={token('study')}",
        f"after={token('series', 1, 1, 1)}",
        f"after={token('study', '20240101', '10', None)}",
        f"after={token('study', '20240101', '10', True)}",
        f"after={token('study', '20240101', '10', 1.5)}",
        f"after={token('study', '20240101', '10', 2**63)}",
        f"after={token('study', '20240101', '10', 1, 1)}",
        f"after={token('study', 20240101, '10', 1)}",
        f"after={token('study', chr(0), '10', 1)}",
        "after=" + base64.urlsafe_b64encode(b'["study","\\ud800","10",1]').decode().rstrip("="),
        f"after={token('study', '20240101', '10', 1)}&offset=1",
        f"after={token('study', '20240101', '10', 1)}&orderby=StudyDate",
    ],
)
def test_what_is_malformed_is_400(technologist: Door, query: str) -> None:
    problem = problem_of(technologist.get(f"studies?{query}"), 400)
    assert problem["code"] == "invalid-query"


def test_the_number_of_queries_does_not_grow_with_rows(technologist: Door) -> None:
    query = f"series?count=true&orderby=-PatientName,SeriesNumber&{IN_ACCESSION}=A1&ModalitiesInStudy=CT,CT"
    query += "&multiplevaluematching=true&emptyvaluematching=true"
    counts = []
    for batch in (1, 12):
        for _ in range(batch):
            ds = make_data_set()
            ds.RequestAttributesSequence = [request_item("A1", None, None)]
            stored(technologist, to_bytes(ds))
        with CaptureQueriesContext(connection) as queries:
            response = technologist.get(query)
        counts.append((len(queries), response["X-Total-Count"]))
    assert counts[0][0] == counts[1][0] <= 6, "one more than without the count"
    assert [total for _, total in counts] == ["1", "13"]
