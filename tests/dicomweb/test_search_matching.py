"""QIDO-RS: which studies match (PS3.4 C.2.2.2), and what is malformed (PS3.18 8.3.4)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydicom import dcmread
from pydicom.data import get_charset_files
from pydicom.uid import generate_uid

from archive.models import Study
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_object, to_bytes
from tests.dicomweb.reading import problem_of, value, values


def stored(door: Door, *objects: bytes) -> None:
    response = door.store(objects)
    assert response.status_code == 200, response.content


@pytest.fixture
def library(technologist: Door) -> Callable[..., set[str]]:
    """A few studies told apart by AccessionNumber; searching gives the accession numbers found."""
    described = {
        "A1": {"StudyDate": "20240101", "StudyTime": "080000", "StudyDescription": "Head 100%", "StudyID": "7"},
        "A2": {"StudyDate": "20240131", "StudyTime": "101530.5", "StudyDescription": "Head_CT", "StudyID": "7A"},
        "A3": {"StudyDate": "20240201", "StudyTime": "10", "StudyDescription": "back\\slash", "StudyID": ""},
        "A4": {"StudyDate": "", "StudyTime": "", "StudyDescription": "HeadXCT", "PatientSex": "M", "PatientID": "P4"},
        "a5": {"StudyDate": "20231231", "StudyTime": "235959", "StudyDescription": "", "PatientID": "a*b?c"},
    }
    stored(technologist, *(make_object(AccessionNumber=number, **fields) for number, fields in described.items()))

    def find(**query: str) -> set[str]:
        return set(values(technologist.search("studies", **query), "00080050"))

    return find


EVERY = {"A1", "A2", "A3", "A4", "a5"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"AccessionNumber": "A1"}, {"A1"}),
        ({"00080050": "A1"}, {"A1"}),
        ({"AccessionNumber": " A1 "}, {"A1"}),
        ({"AccessionNumber": "a1"}, set()),
        ({"AccessionNumber": "A?"}, {"A1", "A2", "A3", "A4"}),
        ({"AccessionNumber": "?5"}, {"a5"}),
        ({"AccessionNumber": ""}, EVERY),
        ({"AccessionNumber": "*"}, EVERY),
        ({"AccessionNumber": "*" * 500}, EVERY),
        ({"AccessionNumber": "A" + "*" * 500 + "1"}, {"A1"}),
        ({"StudyID": "7*"}, {"A1", "A2"}),
        ({"StudyID": "7"}, {"A1"}),
        ({"StudyDescription": "Head 100%"}, {"A1"}),
        ({"StudyDescription": "*%"}, {"A1"}),
        ({"StudyDescription": "*_*"}, {"A2"}),
        ({"StudyDescription": "Head_CT"}, {"A2"}),
        ({"StudyDescription": "Head?CT"}, {"A2", "A4"}),
        ({"StudyDescription": "*\\*"}, {"A3"}),
        ({"StudyDescription": "*'; DROP TABLE archive_study; --*"}, set()),
        ({"PatientID": "a*b?c"}, {"a5"}),
        ({"PatientSex": "M"}, {"A4"}),
        ({"StudyDate": "20240131"}, {"A2"}),
        ({"StudyDate": "2024.01.31"}, {"A2"}),
        ({"StudyDate": "20240101-20240131"}, {"A1", "A2"}),
        ({"StudyDate": "20240131-"}, {"A2", "A3"}),
        ({"StudyDate": "-20240101"}, {"A1", "a5"}),
        ({"StudyDate": "20250101-20240101"}, set()),
        ({"StudyTime": "10"}, {"A2", "A3"}),
        ({"StudyTime": "101530.500"}, {"A2"}),
        ({"StudyTime": "080000.000"}, {"A1"}),
        ({"StudyTime": "10:15:30-"}, {"A2", "a5"}),
        ({"StudyTime": "-10"}, {"A1", "A2", "A3"}),
        ({"StudyTime": "0800-0900"}, {"A1"}),
        ({"StudyDate": "20240101-20240131", "StudyID": "7A"}, {"A2"}),
        ({"PatientBirthDate": "19700102"}, EVERY),
        ({"ModalitiesInStudy": "CT"}, EVERY),
        ({"ModalitiesInStudy": "MR"}, set()),
        ({"ModalitiesInStudy": "MR\\CT"}, EVERY),
        ({"ModalitiesInStudy": "MR,CT"}, EVERY),
        ({"ModalitiesInStudy": "C*"}, EVERY),
        ({"ModalitiesInStudy": "?R"}, set()),
        ({"ModalitiesInStudy": "*"}, EVERY),
    ],
)
def test_matching_of_ps3_4_c_2_2_2(library: Callable[..., set[str]], query: dict[str, str], expected: set[str]) -> None:
    assert library(**query) == expected


def test_uids_match_as_a_list_by_comma_or_backslash(technologist: Door) -> None:
    """PS3.4 C.2.2.2.2 and PS3.18 8.3.4.1; trap 8."""
    uids = [generate_uid() for _ in range(3)]
    stored(technologist, *(make_object(StudyInstanceUID=uid) for uid in uids))
    for text in (f"{uids[0]},{uids[1]}", f"{uids[0]}\\{uids[1]}", f" {uids[0]} , {uids[1]},"):
        assert set(values(technologist.search("studies", StudyInstanceUID=text), "0020000D")) == set(uids[:2])
    assert technologist.search("studies", StudyInstanceUID=uids[0][:-1]) == []
    [series] = technologist.search("series", StudyInstanceUID=uids[2])
    assert value(series, "0020000D") == uids[2]


def test_a_comma_splits_nothing_but_uids(technologist: Door) -> None:
    stored(technologist, make_object(PatientName="Doe, Jane^", StudyDescription="a,b"))
    assert len(technologist.search("studies", PatientName="Doe, Jane")) == 1
    assert len(technologist.search("studies", StudyDescription="a,b")) == 1
    assert technologist.search("studies", StudyDescription="a") == []


NAMES = {
    "doe": "Doe^Jane",
    "muller": "Müller^Jürgen",
    "lukasz": "Łukasz^Ødegård",
    "oneill": "O'Neill-Smith^Mary Ann",
    "yamada": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "hong": "Hong^Gildong=洪^吉洞=홍^길동",
    "only": "Prince",
    "odd": "100%_^x.y",
}


@pytest.fixture
def people(technologist: Door) -> Callable[..., set[str]]:
    stored(
        technologist,
        *(
            make_object(SpecificCharacterSet="ISO_IR 192", PatientID=number, PatientName=name)
            for number, name in NAMES.items()
        ),
    )

    def find(name: str, **query: str) -> set[str]:
        return set(values(technologist.search("studies", PatientName=name, **query), "00100020"))

    return find


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("doe^jane", {"doe"}),
        ("DOE^JANE^^^", {"doe"}),
        ("Doe", set()),
        ("doe*", {"doe"}),
        ("*JANE*", {"doe"}),
        ("Doe^*", {"doe"}),
        ("Prince^*", {"only"}),
        ("prince^^", {"only"}),
        ("D?e^Jane", {"doe"}),
        ("muller^jurgen", {"muller"}),
        ("MÜLLER*", {"muller"}),
        ("lukasz^odegard", {"lukasz"}),
        ("山田^太郎", {"yamada"}),
        ("山田*", {"yamada"}),
        ("やまだ^たろう", {"yamada"}),
        ("=山田^太郎", {"yamada"}),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", {"yamada"}),
        ("Yamada^Tarou==やまだ^たろう", {"yamada"}),
        ("Yamada^Tarou=洪^吉洞", set()),
        ("홍^길동", {"hong"}),
        ("洪*", {"hong"}),
        ("100%*", {"odd"}),
        ("*_^*", {"odd"}),
        ("%", set()),
        ("_oe^Jane", set()),
        ("***", set(NAMES)),
        ("", set(NAMES)),
    ],
)
def test_person_names_match_whatever_case_accent_or_group(
    people: Callable[..., set[str]], name: str, expected: set[str]
) -> None:
    """PS3.4 C.2.2.2.1: person names may be matched case- and accent-insensitively."""
    assert people(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jane doe", {"doe"}),
        ("jan", {"doe"}),
        ("ane", set()),
        ("Smith Ann", {"oneill"}),
        ("o'neill", {"oneill"}),
        ("山", {"yamada"}),
        ("たろ", {"yamada"}),
        ("길동", {"hong"}),
        ("jurg*", {"muller"}),
        ("100%", {"odd"}),
        (".*", set(NAMES)),
        ("(d|m)", set()),
        ("[a-z]+", set()),
        ("\\d", {"doe"}),
        ("^^", set(NAMES)),
    ],
)
def test_fuzzy_names_match_by_the_beginning_of_each_word(
    people: Callable[..., set[str]], name: str, expected: set[str]
) -> None:
    assert people(name, fuzzymatching="true") == expected


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("chrH31.dcm", "山田^太郎"),
        ("chrH32.dcm", "やまだ^たろう"),
        ("chrI2.dcm", "홍^길동"),
        ("chrRuss.dcm", "люкceмбypг"),
        ("chrGreek.dcm", "διονυσιος"),
        ("chrGerm.dcm", "Aneas^Rudiger"),
        ("chrX1.dcm", "王^小東"),
        ("chrX2.dcm", "王^小东"),
    ],
)
def test_names_of_other_character_sets_are_found(technologist: Door, file: str, name: str) -> None:
    [path] = get_charset_files(file)
    ds = dcmread(path)
    stored(technologist, to_bytes(ds, ds.file_meta.TransferSyntaxUID))
    [answer] = technologist.search("studies", PatientName=name)
    assert value(answer, "00080005") == "ISO_IR 192"


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=2024",
        "StudyDate=20241301",
        "StudyDate=20240100",
        "StudyDate=tomorrow",
        "StudyDate=-",
        "StudyDate=20240101-20240201-20240301",
        "StudyTime=2500",
        "StudyTime=1",
        "StudyInstanceUID=1.2.x",
        "StudyInstanceUID=1.2.*",
        f"StudyInstanceUID={'1' * 65}",
        "limit=-1",
        "limit=1e9x",
        "limit=",
        "limit=%C2%B2",
        "limit=%D9%A3",
        "limit=99999999999",
        "offset=-1",
        "offset=1.5",
        "fuzzymatching=maybe",
        "PatientName=a%00b",
        "%00=1",
        "PatientName=%",
        "PatientName=%zz",
        "PatientName=%ff",
        "PatientName=%ed%a0%80",
        "PatientID=a&PatientID=b",
        f"PatientName={'a' * 4097}",
        "fuzzymatching=true&PatientName=" + "+".join("abcdefghijklmnopqrstuvwxyz"),
        "StudyInstanceUID=" + ",".join(f"1.2.840.{n}" for n in range(1500)),
        "&".join("a=1" for _ in range(600)),
    ],
)
def test_what_is_malformed_is_400(technologist: Door, query: str) -> None:
    problem = problem_of(technologist.get(f"studies?{query}"), 400)
    assert problem["code"] in ("invalid-query", "bad-request")


@pytest.mark.parametrize("query", ["SeriesNumber=1.5", "SeriesNumber=x", "SeriesNumber=1_0", "SeriesNumber=%D9%A3"])
def test_a_number_is_a_number(technologist: Door, query: str) -> None:
    problem_of(technologist.get(f"series?{query}"), 400)


@pytest.mark.parametrize(
    "name",
    ["a" * 4096, "*a" * 2000, "?" * 2000 + "x" * 2000, "a*" * 30 + "b", "(((((" * 50, "'; SELECT pg_sleep(9); --"],
)
@pytest.mark.parametrize("fuzzy", ["true", "false"])
def test_hostile_names_are_data(technologist: Door, name: str, fuzzy: str) -> None:
    stored(technologist, make_object())
    assert technologist.get("studies", fuzzymatching=fuzzy).status_code == 200
    assert technologist.search("studies", PatientName=name, fuzzymatching=fuzzy) == []
    assert Study.objects.count() == 1


def test_raw_utf8_in_the_query_string_is_read(technologist: Door) -> None:
    stored(technologist, make_object(SpecificCharacterSet="ISO_IR 192", PatientName="Müller"))
    response = technologist.http.generic(
        "GET", "/dicom-web/studies", QUERY_STRING="PatientName=Müller&limit=5".encode().decode("latin-1")
    )
    assert len(response.json()) == 1
