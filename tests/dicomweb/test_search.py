"""QIDO-RS (PS3.18 10.6): paths and levels, matching, returned attributes, paging."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import problem_of, value, values

# PS3.18 tables 10.6.3-3, 10.6.3-4, 10.6.3-5
OF_STUDY = [
    "00080005",
    "00080020",
    "00080030",
    "00080050",
    "00080056",
    "00080061",
    "00080090",
    "00080201",
    "00081190",
    "00100010",
    "00100020",
    "00100030",
    "00100040",
    "0020000D",
    "00200010",
    "00201206",
    "00201208",
]
OF_SERIES = ["00080005", "00080060", "0008103E", "00081190", "0020000E", "00200011", "00201209", "00400244", "00400245"]
OF_INSTANCE = [
    "00080005",
    "00080016",
    "00080018",
    "00080056",
    "00081190",
    "00200013",
    "00280010",
    "00280011",
    "00280100",
]


def stored(door: Door, *objects: bytes) -> None:
    response = door.store(objects)
    assert response.status_code == 200, response.content


@pytest.fixture
def two_series(technologist: Door) -> dict[str, Any]:
    """One study: a CT series of two slices and an SR series of one document."""
    study, ct, sr = generate_uid(), generate_uid(), generate_uid()
    slices = [
        make_data_set(StudyInstanceUID=study, SeriesInstanceUID=ct, SeriesNumber=1, InstanceNumber=n) for n in (2, 1)
    ]
    report = make_data_set(
        StudyInstanceUID=study,
        SeriesInstanceUID=sr,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11",
        Modality="SR",
        SeriesNumber=2,
        **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "WindowCenter", "WindowWidth")),
    )
    stored(technologist, *(to_bytes(ds) for ds in [*slices, report]))
    return {
        "study": study,
        "ct": ct,
        "sr": sr,
        "slices": [ds.SOPInstanceUID for ds in reversed(slices)],
        "report": report.SOPInstanceUID,
    }


def test_every_path_finds_its_level_table_10_6_1_2(technologist: Door, two_series: dict[str, Any]) -> None:
    stored(technologist, make_object(PatientID="OTHER"))
    study, ct = two_series["study"], two_series["ct"]
    series, instances = [ct, two_series["sr"]], [*two_series["slices"], two_series["report"]]
    found = technologist.search
    assert values(found("studies", PatientID="P1"), "0020000D") == [study]
    assert values(found("series", PatientID="P1"), "0020000E") == series
    assert sorted(values(found("instances", PatientID="P1"), "00080018")) == sorted(instances)
    assert values(found(f"studies/{study}/series"), "0020000E") == series
    assert sorted(values(found(f"studies/{study}/instances"), "00080018")) == sorted(instances)
    assert values(found(f"studies/{study}/series/{ct}/instances"), "00080018") == two_series["slices"]
    assert found(f"studies/{ct}/series") == []
    assert found(f"studies/{study}/series/{study}/instances") == []
    assert len(found("studies")) == 2
    assert len(found("instances")) == 4


def test_required_attributes_are_returned_tables_10_6_3_3_to_5(technologist: Door, two_series: dict[str, Any]) -> None:
    study, ct, sr = two_series["study"], two_series["ct"], two_series["sr"]
    [answer] = technologist.search("studies", PatientID="P1")
    assert set(OF_STUDY) <= set(answer)
    assert answer["00080061"] == {"vr": "CS", "Value": ["CT", "SR"]}
    assert (value(answer, "00201206"), value(answer, "00201208")) == (2, 3)
    assert answer["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    assert answer["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{study}"]
    assert answer["00080056"]["Value"] == ["ONLINE"]

    first, second = technologist.search(f"studies/{study}/series")
    assert set(OF_SERIES) <= set(first)
    assert first["0020000D"]["Value"] == [study], "trap 9"
    assert (value(first, "00201209"), value(second, "00201209")) == (2, 1)
    assert first["00200011"] == {"vr": "IS", "Value": [1]}
    assert first["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{study}/series/{ct}"]
    assert not set(first) & {"00100010", "00100020", "00080020"}, "the study is named by the path"

    image = technologist.search(f"studies/{study}/series/{ct}/instances")[0]
    assert set(OF_INSTANCE) <= set(image)
    assert (image["0020000D"]["Value"], image["0020000E"]["Value"]) == ([study], [ct])
    assert image["00280010"] == {"vr": "US", "Value": [12]}
    [report] = technologist.search(f"studies/{study}/series/{sr}/instances")
    assert not set(report) & {"00280010", "00280011", "00280100", "00280008"}


def test_relational_searches_return_the_attributes_of_unnamed_parents(
    technologist: Door, two_series: dict[str, Any]
) -> None:
    """PS3.18 10.6.3.3: a level that the path does not name comes with the answer."""
    series = technologist.search("series", PatientID="P1")[0]
    assert set(OF_STUDY) | set(OF_SERIES) <= set(series)
    url = f"http://testserver/dicom-web/studies/{two_series['study']}/series/{two_series['ct']}"
    assert value(series, "00081190") == url, "the own level's URL, not the study's"
    instance = technologist.search("instances", PatientID="P1", Modality="CT")[0]
    assert set(OF_STUDY) | set(OF_SERIES) | set(OF_INSTANCE) <= set(instance)
    below_study = technologist.search(f"studies/{two_series['study']}/instances", Modality="CT")[0]
    assert set(OF_SERIES) | set(OF_INSTANCE) <= set(below_study)
    assert "00100010" not in below_study


def test_counts_and_modalities_grow_with_the_study(technologist: Door) -> None:
    study = generate_uid()
    seen = []
    for modality in ("MR", "CT", "MR"):
        stored(technologist, make_object(StudyInstanceUID=study, Modality=modality))
        [answer] = technologist.search("studies", StudyInstanceUID=study)
        seen.append((answer["00080061"]["Value"], value(answer, "00201206"), value(answer, "00201208")))
    assert seen == [(["MR"], 1, 1), (["CT", "MR"], 2, 2), (["CT", "MR"], 3, 3)]


def test_storing_the_same_again_counts_nothing_twice(technologist: Door) -> None:
    data = make_object()
    stored(technologist, data)
    stored(technologist, data, make_object(PatientID="P2"))
    assert values(technologist.search("studies"), "00201208") == [1, 1]


def test_includefield_adds_what_is_asked_for(technologist: Door, two_series: dict[str, Any]) -> None:
    """PS3.18 8.3.4.3: comma list, repeated, keyword, tag, all."""
    study = two_series["study"]

    def series_tags(query: str) -> set[str]:
        response = technologist.get(f"studies/{study}/series{query}")
        assert response.status_code == 200
        return set(response.json()[0])

    plain = series_tags("")
    assert series_tags("?includefield=PatientName,00100020") == plain | {"00100010", "00100020"}
    assert series_tags("?includefield=PatientName&includefield=StudyDate") == plain | {"00100010", "00080020"}
    assert series_tags("?includefield=ModalitiesInStudy,00201208") == plain | {"00080061", "00201208"}
    assert series_tags("?includefield=") == plain
    assert plain | set(OF_STUDY) <= series_tags("?includefield=all")


def test_ohif_study_list_query_is_answered_whole_trap_7(technologist: Door, two_series: dict[str, Any]) -> None:
    response = technologist.get(
        "studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
        "&00100010=*doe*&PatientID=%2AP1%2A&ModalitiesInStudy=CT&StudyDate=20240101-20241231"
    )
    assert response.status_code == 200
    [answer] = response.json()
    assert {"00201206", "00201208", "00080061", "00080056", "00100020", "0020000D", "00081030"} <= set(answer)


def test_answers_are_dicom_json_with_ascending_tags(technologist: Door, two_series: dict[str, Any]) -> None:
    """PS3.18 F.2.2; every answer loads with pydicom."""
    for path in ("studies", "series", "instances", f"studies/{two_series['study']}/instances?includefield=all"):
        response = technologist.get(path)
        assert response["Content-Type"] == "application/dicom+json"
        for answer in response.json():
            assert list(answer) == sorted(answer)
            loaded = Dataset.from_json(json.dumps(answer))
            assert loaded.StudyInstanceUID == two_series["study"]


def test_a_value_that_looks_like_our_placeholder_stays(technologist: Door) -> None:
    text = 'lightbox:root","Value":["lightbox:root'
    stored(technologist, make_object(StudyDescription="lightbox:root/studies", StudyID="lightbox:root"))
    stored(technologist, make_object(StudyDescription=text))
    [answer] = technologist.search("studies", StudyDescription="lightbox:root/studies")
    assert (value(answer, "00081030"), value(answer, "00200010")) == ("lightbox:root/studies", "lightbox:root")
    [answer] = technologist.search("studies", StudyDescription=text)
    assert value(answer, "00081030") == text


def test_pages_cover_everything_once(technologist: Door) -> None:
    """Trap 11: a total order, offset honoured to the end."""
    dates = ["20240101", "20240101", "", "20240102", ""]
    stored(technologist, *(make_object(StudyDate=date, StudyTime="") for date in dates))
    pages: list[str] = []
    while page := values(technologist.search("studies", limit="2", offset=str(len(pages))), "0020000D"):
        pages += page
    assert len(pages) == len(set(pages)) == 5
    whole = technologist.search("studies")
    assert values(whole, "0020000D") == pages
    assert values(whole, "00080020") == ["20240102", "20240101", "20240101", None, None], "undated last (trap 27)"
    assert technologist.search("studies", limit="0") == []
    assert technologist.search("studies", offset="999999999") == []


def test_nothing_is_lost_between_pages_while_more_is_stored(technologist: Door) -> None:
    stored(technologist, *(make_object(StudyDate="20240101") for _ in range(6)))
    before = set(values(technologist.search("studies"), "0020000D"))
    seen: list[str] = []
    while page := values(technologist.search("studies", limit="2", offset=str(len(seen))), "0020000D"):
        seen += page
        if len(seen) < 8:
            stored(technologist, make_object(StudyDate="20230101"))
    assert before <= set(seen)
    assert len(seen) == len(set(seen)), "older studies come after those that were there, so none moved"


def test_series_and_instances_page_in_their_own_order(technologist: Door) -> None:
    study, series = generate_uid(), generate_uid()
    numbers = [3, 10, 1, 2]
    stored(
        technologist,
        *(make_object(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n) for n in numbers),
        make_object(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=None),
    )
    found: list[int] = []
    for offset in range(5):
        path = f"studies/{study}/series/{series}/instances"
        found += values(technologist.search(path, limit="1", offset=str(offset)), "00200013")
    assert found == [1, 2, 3, 10, None]


def test_a_warning_names_what_is_not_supported(technologist: Door, two_series: dict[str, Any]) -> None:
    """PS3.18 8.3.4: Warning 299 for parameters that are not supported, and only then."""
    response = technologist.get(
        "studies?SliceThickness=2&Modality=CT&nonsense=1&includefield=SliceThickness&orderby=Rows,-StudyDate"
    )
    assert response.status_code == 200
    assert len(response.json()) == 1
    warning = response["Warning"]
    assert warning.startswith('299 Lightbox: "')
    for name in ("SliceThickness", "Modality", "nonsense", "includefield=SliceThickness", "orderby=Rows"):
        assert f"The {name} parameter is not supported." in warning
    assert "Warning" not in technologist.get("studies?PatientID=P1&limit=10&includefield=PatientName")
    hostile = technologist.get("studies?%22%0d%0aSet-Cookie:x=1&%C3%BC=1")
    assert hostile.status_code == 200
    assert "\n" not in hostile["Warning"]


def test_a_limit_of_the_server_is_told(technologist: Door, settings: Any) -> None:
    stored(technologist, *(make_object() for _ in range(3)))
    settings.PACS = settings.PACS.model_copy(
        update={"limits": settings.PACS.limits.model_copy(update={"search_limit": 2, "search_default_limit": 2})}
    )
    for query in ("", "?limit=3"):
        response = technologist.get(f"studies{query}")
        assert len(response.json()) == 2
        assert "exceeds the limit of 2" in response["Warning"]
    assert "Warning" not in technologist.get("studies?limit=2")
    assert "Warning" not in technologist.get("studies?limit=2&offset=1")


def test_numbers_match_at_their_level(technologist: Door, two_series: dict[str, Any]) -> None:
    found = technologist.search
    assert values(found("series", SeriesNumber="2"), "0020000E") == [two_series["sr"]]
    assert values(found("instances", InstanceNumber="+2"), "00080018") == [two_series["slices"][1]]
    assert found("instances", Rows="12", Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2") != []
    assert found("instances", Rows="99999999999") == []
    assert found("series", Modality="M*") == []


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/dicom+json, */*;q=0.1"])
def test_json_is_json(technologist: Door, accept: str) -> None:
    assert technologist.get("studies", accept=accept)["Content-Type"] == "application/dicom+json"


def test_what_there_is_not_is_406(technologist: Door) -> None:
    problem = problem_of(technologist.get("studies", accept='multipart/related; type="text/csv"'), 406)
    assert "application/dicom+json" in problem["detail"]


def test_the_number_of_queries_does_not_grow_with_rows(technologist: Door) -> None:
    study = generate_uid()
    counts = []
    for batch in (1, 19):
        stored(technologist, *(make_object(StudyInstanceUID=study) for _ in range(batch)))
        for path in ("studies", "series", "instances", f"studies/{study}/instances"):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                technologist.search(path)
            counts.append(len(queries))
    assert counts[:4] == counts[4:]
    assert max(counts) <= 5, "session, user, search, and the event"


def test_head_and_options_answer(technologist: Door, two_series: dict[str, Any]) -> None:
    head = technologist.http.head("/dicom-web/studies")
    assert (head.status_code, body_of(head)) == (200, b"")
    assert technologist.http.options("/dicom-web/studies").status_code == 200
    assert technologist.http.delete("/dicom-web/series", headers={"origin": "http://testserver"}).status_code == 405
