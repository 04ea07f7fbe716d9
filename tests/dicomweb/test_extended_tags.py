"""Extended query tags over HTTP: declared at run time, indexed in the background, searched like any other attribute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from archive import outbox
from archive.models import ExtendedTag, ExtendedValue, OutboxEntry
from archive.tasks import TASKS
from audit.models import AccessEvent
from tests.dicomweb.conftest import Door
from tests.dicomweb.objects import make_data_set, make_object, to_bytes
from tests.dicomweb.reading import problem_of, value, values

CREATOR = "LIGHTBOX TEST"


@pytest.fixture
def admin(door_for: Callable[..., Door]) -> Door:
    return door_for("administrator")


def stored(door: Door, *objects: bytes) -> None:
    response = door.store(objects)
    assert response.status_code == 200, response.content


def tag(path: str, vr: str = "", level: str = "Instance", creator: str = "") -> dict[str, str]:
    return {"path": path, "vr": vr, "level": level, "privateCreator": creator}


def send(door: Door, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return getattr(door.http, method)(
        f"/dicom-web/{path}", data=data, content_type=content_type, headers={"origin": "http://testserver"}
    )


def declare(door: Door, *tags: dict[str, str]) -> dict[str, Any]:
    response = send(door, "post", "extendedquerytags", tags)
    assert response.status_code == 202, response.content
    answer: dict[str, Any] = response.json()
    assert response["Location"] == answer["href"]
    return answer


def work() -> None:
    """What the workers would do."""
    for _ in range(3):
        for pk in OutboxEntry.objects.filter(kind__startswith="extended").values_list("pk", flat=True):
            outbox.run(pk, TASKS)
    assert not OutboxEntry.objects.filter(kind__startswith="extended").exists()


def state(door: Door, path: str) -> tuple[Any, ...]:
    answer = door.get(f"extendedquerytags/{path}").json()
    return answer["status"], answer["queryStatus"], answer["progress"]


def private(number: str, block: int = 0) -> Dataset:
    ds = make_data_set(AccessionNumber=number)
    if block:
        ds.private_block(0x0009, "SOMEBODY ELSE", create=True).add_new(0x0C, "LO", "other")
    ds.private_block(0x0009, CREATOR, create=True).add_new(0x0C, "LO", f"value {number}")
    return ds


# --- the resource


def test_a_tag_is_declared_indexed_searched_and_taken_back(admin: Door, technologist: Door) -> None:
    stored(technologist, *(make_object(AcquisitionDateTime=f"2024030{n}1015", StudyID=str(n)) for n in (1, 2)))
    query = "instances?AcquisitionDateTime=20240302"
    assert "The AcquisitionDateTime parameter is not supported." in technologist.get(query)["Warning"]

    answer = declare(admin, tag("AcquisitionDateTime", "dt"))
    assert [each["path"] for each in answer["tags"]] == ["0008002A"]
    assert state(admin, "0008002A") == ("Adding", "Enabled", {"done": 0, "total": 2, "errors": 0})
    response = technologist.get(query)
    assert (response.json(), response.status_code) == ([], 200)
    assert "0008002A AcquisitionDateTime is being indexed: 0 of 2 instances." in response["Warning"]
    operation = admin.get(f"operations/{answer['id']}").json()
    assert (operation["status"], operation["percentComplete"]) == ("NotStarted", 0)

    work()
    assert state(technologist, "acquisitionDateTime".replace("a", "A", 1)) == (
        "Ready",
        "Enabled",
        {"done": 2, "total": 2, "errors": 0},
    )
    operation = admin.get(f"operations/{answer['id']}").json()
    assert (operation["status"], operation["percentComplete"], operation["type"]) == ("Completed", 100, "Reindex")
    assert operation["resources"] == ["http://testserver/dicom-web/extendedquerytags/0008002A"]
    stored(technologist, make_object(AcquisitionDateTime="20240302", StudyID="3"))
    response = technologist.get(query)
    assert "Warning" not in response
    assert [a["0008002A"] for a in response.json()] == [
        {"vr": "DT", "Value": ["202403021015"]},
        {"vr": "DT", "Value": ["20240302"]},
    ]

    assert send(admin, "delete", "extendedquerytags/0008002A").status_code == 204
    assert "is not supported" in technologist.get(query)["Warning"]
    assert state(admin, "0008002A")[0] == "Deleting"
    again = declare(admin, tag("0008002A", "DT"))
    work()
    assert state(admin, "0008002A")[0] == "Ready"
    assert len(technologist.get(query).json()) == 2
    problem_of(admin.get(f"operations/{answer['id']}"), 404)
    assert admin.get(f"operations/{again['id']}").status_code == 200
    assert ExtendedTag.objects.count() == 1


def test_who_may_search_may_read_and_only_who_manages_may_change(
    admin: Door, technologist: Door, door_for: Callable[..., Door]
) -> None:
    declare(admin, tag("SliceThickness"))
    before = AccessEvent.objects.count()
    assert [t["path"] for t in technologist.get("extendedquerytags").json()] == ["00180050"]
    assert AccessEvent.objects.count() == before + 1
    problem_of(send(technologist, "post", "extendedquerytags", [tag("KVP")]), 403)
    problem_of(send(technologist, "patch", "extendedquerytags/00180050", {"queryStatus": "Disabled"}), 403)
    problem_of(send(technologist, "delete", "extendedquerytags/00180050"), 403)
    problem_of(technologist.get("extendedquerytags/00180050/errors"), 403)
    problem_of(door_for("device").get("extendedquerytags"), 403)
    recorded = AccessEvent.objects.filter(kind="configuration").values_list("query", flat=True)
    assert list(recorded) == ["declare extended query tags 00180050"]


def test_a_disabled_tag_is_kept_up_to_date(admin: Door, technologist: Door) -> None:
    declare(admin, tag("SliceThickness"))
    work()
    response = send(admin, "patch", "extendedquerytags/SliceThickness", {"QueryStatus": "disabled"})
    assert (response.status_code, response.json()["queryStatus"]) == (200, "Disabled")
    stored(technologist, make_object(SliceThickness="1.50"))
    assert "The SliceThickness parameter is not supported." in technologist.get("instances?SliceThickness=2")["Warning"]
    send(admin, "patch", "extendedquerytags/SliceThickness", {"queryStatus": "Enabled"})
    assert [a["00180050"] for a in technologist.search("instances", SliceThickness="1.5")] == [
        {"vr": "DS", "Value": [1.5]}
    ]


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        (tag("Nonsense"), 400, "path"),
        (tag("00180050.00180050"), 400, "no sequence"),
        (tag("99980010", "LO"), 400, "no attribute"),
        (tag("SliceThickness", "LO"), 400, "expected DS"),
        (tag("RequestAttributesSequence", "SQ"), 400, "can't be searched"),
        (tag("PixelData", "OW"), 400, "can't be searched"),
        (tag("SmallestImagePixelValue"), 400, "SS or US"),
        (tag("SliceThickness", "DS", "Patient"), 400, "level"),
        (tag("0009100C", "LO"), 400, "privateCreator"),
        (tag("0009000C", "LO", creator=CREATOR), 400, "private block"),
        (tag("0009100C", "", creator=CREATOR), 400, "vr"),
        (tag("0009100C", "LO", creator="a\x00b"), 400, "privateCreator"),
        (tag("SliceThickness", "DS", creator=CREATOR), 400, "odd group"),
        (tag("TransferSyntaxUID", "UI"), 400, "0008"),
        (tag("PatientID", "LO", "Study"), 409, "without a declaration"),
        (tag("ModalitiesInStudy", "CS", "Study"), 409, "without a declaration"),
        (tag("00400275.00400009", "SH", "Series"), 409, "without a declaration"),
        (tag("KVP", "DS"), 409, "declared already"),
        (tag("0019110C", "LO", creator=CREATOR), 409, "declared already, as 0019100C"),
        (tag("0019100D", "LO", creator="SOMEBODY ELSE"), 409, "another block"),
        ({"path": 3}, 400, "texts"),
        ("KVP", 400, "JSON object"),
    ],
)
def test_what_cannot_be_declared(admin: Door, wanted: Any, status: int, said: str) -> None:
    declare(admin, tag("KVP"), tag("0019100C", "LO", creator=CREATOR))
    problem = problem_of(send(admin, "post", "extendedquerytags", [tag("EchoTime"), wanted]), status)
    assert said in problem["detail"], problem
    assert ExtendedTag.objects.count() == 2, "all or none"


def test_bodies_and_addresses_that_are_none(admin: Door, settings: Any) -> None:
    problem_of(send(admin, "post", "extendedquerytags", b"{"), 400)
    problem_of(send(admin, "post", "extendedquerytags", []), 400)
    problem_of(send(admin, "post", "extendedquerytags", [tag("KVP")] * 2), 409)
    problem_of(send(admin, "post", "extendedquerytags", [tag("KVP")] * 129), 400)
    problem_of(send(admin, "post", "extendedquerytags", b"[]" + b" " * (1 << 18)), 413)
    problem_of(send(admin, "post", "extendedquerytags", b"x", "text/plain"), 415)
    for path in ("KVP", "00180060", "x", "%00", "00180060.x"):
        problem_of(admin.get(f"extendedquerytags/{path}"), 404)
        problem_of(admin.get(f"extendedquerytags/{path}/errors"), 404)
        problem_of(send(admin, "patch", f"extendedquerytags/{path}", {"queryStatus": "Enabled"}), 404)
        problem_of(send(admin, "delete", f"extendedquerytags/{path}"), 404)
        problem_of(admin.get(f"operations/{path}"), 404)
    declare(admin, tag("KVP"))
    bodies: tuple[Any, ...] = ({"queryStatus": "on"}, {}, [], {"queryStatus": 1})
    for body in bodies:
        problem_of(send(admin, "patch", "extendedquerytags/KVP", body), 400)
    for query in ("limit=0", "limit=x", "limit=1001", "offset=-1"):
        problem_of(admin.get(f"extendedquerytags/KVP/errors?{query}"), 400)


def test_there_is_a_most_of_tags(admin: Door) -> None:
    many = [tag(f"0009{n:04X}", "LO", creator=CREATOR) for n in range(0x1000, 0x1080)]
    assert len(declare(admin, *many)["tags"]) == 128
    problem_of(send(admin, "post", "extendedquerytags", [tag("KVP")]), 409)


# --- matching


def test_private_attributes_by_creator_in_whatever_block(admin: Door, technologist: Door) -> None:
    implicit = to_bytes(private("c"), ImplicitVRLittleEndian)
    stored(technologist, to_bytes(private("a")), to_bytes(private("b", block=1)), make_object())
    declare(admin, tag("0009100c", "LO", creator=CREATOR))
    work()
    stored(technologist, implicit)
    assert sorted(values(technologist.search("instances", **{"0009100C": "value*"}), "0009100C")) == [
        "value a",
        "value b",
        "value c",
    ]
    [found] = technologist.search("instances", **{"0009100C": "value b"})
    assert (found["0009100C"], found["00090010"]) == (
        {"vr": "LO", "Value": ["value b"]},
        {"vr": "LO", "Value": [CREATOR]},
    )
    assert technologist.search("instances", **{"0009100C": "other"}) == []


@pytest.mark.parametrize(
    ("keyword", "kept", "vr", "found", "not_found"),
    [
        ("Manufacturer", "ACME Ltd", "LO", ["ACME Ltd", "ACME*", "A?ME*", "*"], ["acme ltd", "ACME"]),
        ("OperatorsName", "Müller^Jörg", "PN", ["muller^jorg", "Mü*", "Müller^*"], ["Jörg"]),
        ("SliceThickness", "2.500", "DS", ["2.5", "2.50", "25e-1", "+2.5"], ["2", "25"]),
        ("EchoNumbers", "7", "IS", ["7", "07", "+7"], ["70"]),
        ("DiffusionBValue", 0.1, "FD", ["0.1", "1e-1"], ["0.2"]),
        ("RecommendedDisplayFrameRateInFloat", 0.1, "FL", ["0.1", "0.10"], ["0.11"]),
        ("FrameOfReferenceUID", "1.2.3", "UI", ["1.2.3", "1.2.3,1.2.4"], ["1.2.4"]),
        ("AcquisitionDate", "20240305", "DA", ["20240305", "20240301-20240331", "-2024.03.06"], ["20240306-"]),
        ("AcquisitionTime", "101530.25", "TM", ["10", "1015-1016", "10:15:30"], ["11-"]),
        ("DateOfSecondaryCapture", "20240305", "DA", ["20240305"], ["20240304"]),
        ("FrameIncrementPointer", 0x00181063, "AT", ["00181063"], ["00181064"]),
    ],
)
def test_matching_by_vr(
    admin: Door, technologist: Door, keyword: str, kept: Any, vr: str, found: list[str], not_found: list[str]
) -> None:
    declare(admin, tag(keyword, vr))
    ready = make_data_set(SpecificCharacterSet="ISO_IR 192", **{keyword: kept})
    if keyword == "RecommendedDisplayFrameRateInFloat":
        ready.RecommendedDisplayFrameRateInFloat = kept
    stored(technologist, to_bytes(ready), make_object(StudyID="without"))
    work()
    for text in found:
        answers = technologist.search("instances", StudyID="S1", **{keyword: text})
        assert len(answers) == 1, text
        path = answers[0].keys() & {ExtendedTag.objects.get().path}
        assert (text == "*") or answers[0][path.pop()]["vr"] == vr
    for text in not_found:
        assert technologist.search("instances", StudyID="S1", **{keyword: text}) == [], text
    assert values(technologist.search("instances", emptyvaluematching="true", **{keyword: '""'}), "00200010") == [
        "without"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240305", {"plain", "west", "coarse"}),
        ("202403051000-202403051100", {"plain", "west"}),
        ("202403051000+0000-202403051100+0000", {"plain"}),
        ("202403051500+0000-202403051600+0000", {"west"}),
        ("202403051015-0500", {"west"}),
        ("20240306-", {"later"}),
        ("-2023", set()),
        ("2024-2024", {"plain", "west", "later", "coarse"}),
    ],
)
def test_ps3_4_c_2_2_2_5_dates_and_times_with_an_offset_from_utc(
    admin: Door, technologist: Door, text: str, expected: set[str]
) -> None:
    """A bound with an offset is a moment, one without is what the clock showed."""
    declare(admin, tag("AcquisitionDateTime"))
    kept = {"plain": "20240305101500", "west": "20240305101500-0500", "later": "20240307", "coarse": "20240305"}
    stored(technologist, *(make_object(StudyID=name, AcquisitionDateTime=moment) for name, moment in kept.items()))
    work()
    found = technologist.search("instances", AcquisitionDateTime=text)
    assert set(values(found, "00200010")) == expected


def test_a_timezone_of_the_data_set_counts(admin: Door, technologist: Door) -> None:
    declare(admin, tag("AcquisitionDateTime"))
    stored(technologist, make_object(TimezoneOffsetFromUTC="+0130", AcquisitionDateTime="2024030500"))
    assert len(technologist.search("instances", AcquisitionDateTime="202403042230+0000")) == 1


def test_several_values(admin: Door, technologist: Door) -> None:
    declare(admin, tag("ImageType", "CS"), tag("PixelSpacing"), tag("OperatorsName"))
    stored(
        technologist,
        make_object(StudyID="1", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], PixelSpacing=["0.5", "0.50"]),
        make_object(StudyID="2", ImageType=["DERIVED", "PRIMARY"], OperatorsName=["Doe^Jane", "Roe^Richard"]),
    )
    work()

    def find(**query: str) -> list[str]:
        return sorted(values(technologist.search("instances", **query), "00200010"))

    assert find(ImageType="PRIMARY") == ["1", "2"]
    assert find(ImageType="AXIAL\\PRIMARY", multiplevaluematching="true") == ["1"]
    assert find(ImageType="AXIAL,DERIVED", multiplevaluematching="true") == []
    assert find(OperatorsName="roe^*") == ["2"]
    assert find(OperatorsName="rich", fuzzymatching="true") == ["2"]
    assert find(OperatorsName="doe^jane\\roe^richard", multiplevaluematching="true") == ["2"]
    problem_of(technologist.get("instances?ImageType=A*,B&multiplevaluematching=true"), 400)
    [answer] = technologist.search("instances", PixelSpacing="0.5")
    assert answer["00280030"] == {"vr": "DS", "Value": [0.5, 0.5]}
    [answer] = technologist.search("instances", OperatorsName="doe*")
    assert answer["00081070"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}, {"Alphabetic": "Roe^Richard"}]}


def test_malformed_values_are_400(admin: Door, technologist: Door) -> None:
    declare(admin, tag("AcquisitionDateTime"), tag("SliceThickness"), tag("EchoNumbers"), tag("FrameOfReferenceUID"))
    for query in (
        *("AcquisitionDateTime=yesterday", "AcquisitionDateTime=-", "SliceThickness=x", "SliceThickness=1-2"),
        *("EchoNumbers=1.5", "FrameOfReferenceUID=x", "SliceThickness=1&00180050=1", 'SliceThickness=""'),
    ):
        assert problem_of(technologist.get(f"instances?{query}"), 400)["code"] == "invalid-query"


def test_sequences_by_dotted_path(admin: Door, technologist: Door) -> None:
    def with_codes(*meanings: str) -> bytes:
        ds = make_data_set()
        ds.ProcedureCodeSequence = [Dataset() for _ in meanings]
        for item, meaning in zip(ds.ProcedureCodeSequence, meanings, strict=True):
            item.CodeMeaning = meaning
        return to_bytes(ds)

    stored(technologist, with_codes("Chest", "Head"), with_codes("Knee"))
    declare(admin, tag("ProcedureCodeSequence.CodeMeaning", "LO", "Study"))
    work()
    for name in ("ProcedureCodeSequence.CodeMeaning", "00081032.00080104"):
        [found] = technologist.search("studies", **{name: "Head"})
        assert found["00081032"] == {
            "vr": "SQ",
            "Value": [
                {"00080104": {"vr": "LO", "Value": ["Chest"]}},
                {"00080104": {"vr": "LO", "Value": ["Head"]}},
            ],
        }
    assert len(technologist.search("instances", **{"00081032.00080104": "Knee"})) == 1
    assert technologist.get("extendedquerytags/00081032.00080104").json()["level"] == "Study"


# --- levels, answers, warnings


def test_levels_and_what_is_answered(admin: Door, technologist: Door) -> None:
    study, series = str(generate_uid()), str(generate_uid())
    stored(
        technologist,
        *(
            make_object(StudyInstanceUID=study, SeriesInstanceUID=series, InstitutionName="A", KVP=n, EchoTime=n)
            for n in (1, 2)
        ),
        make_object(InstitutionName="B", KVP=3),
    )
    declare(admin, tag("InstitutionName", level="Study"), tag("KVP", level="Series"), tag("EchoTime"))
    work()
    [found] = technologist.search("studies", InstitutionName="A", includefield="StudyDescription")
    assert (value(found, "0020000D"), found["00080080"]) == (study, {"vr": "LO", "Value": ["A"]})
    assert value(found, "00081190") == f"http://testserver/dicom-web/studies/{study}"
    assert len(technologist.search("instances", InstitutionName="A")) == 2
    [found] = technologist.search("series", KVP="2")
    assert found["00180060"] == {"vr": "DS", "Value": [1, 2]}, "what its instances say"
    assert value(found, "00081190") == f"http://testserver/dicom-web/studies/{study}/series/{series}"
    assert technologist.search("studies")[0].keys().isdisjoint({"00080080", "00180060"})
    for answer in technologist.search("studies", includefield="all"):
        assert "00080080" in answer
        assert "00180060" not in answer
    assert set(values(technologist.search("studies", includefield="InstitutionName"), "00080080")) == {"A", "B"}
    for path, name in (("studies", "KVP"), ("studies", "EchoTime"), ("series", "EchoTime")):
        assert f"The {name} parameter is not supported." in technologist.get(f"{path}?{name}=1")["Warning"]
        assert f"includefield={name} parameter" in technologist.get(f"{path}?includefield={name}")["Warning"]
    assert "orderby=KVP parameter is not supported" in technologist.get("series?orderby=KVP")["Warning"]


def test_errors_are_told_without_values(admin: Door, technologist: Door) -> None:
    bad = make_data_set()
    bad.add_new(0x00180050, "LO", "secret")
    stored(technologist, to_bytes(bad), make_object(SliceThickness="1"), make_object(ImageComments="x" * 70_000))
    declare(admin, tag("SliceThickness"), tag("ImageComments", "LT"))
    work()
    [error] = admin.get("extendedquerytags/SliceThickness/errors").json()
    assert error["sopInstanceUid"] == bad.SOPInstanceUID
    assert error["errorMessage"] == "a value of it is no number"
    assert "bulk data" in admin.get("extendedquerytags/ImageComments/errors").json()[0]["errorMessage"]
    shown = admin.get("extendedquerytags/SliceThickness").json()
    assert shown["errors"] == {
        "count": 1,
        "href": "http://testserver/dicom-web/extendedquerytags/00180050/errors",
    }
    response = technologist.get("instances?SliceThickness=1")
    assert len(response.json()) == 1
    assert "00180050 SliceThickness could not be indexed for 1 instances." in response["Warning"]
    assert admin.get("extendedquerytags/SliceThickness/errors?offset=1").json() == []


def test_scope_holds(admin: Door, technologist: Door, door_for: Callable[..., Door]) -> None:
    stored(technologist, make_object(InstitutionName="A"))
    declare(admin, tag("InstitutionName", level="Study"))
    work()
    assert door_for("referring_physician").search("studies", InstitutionName="A") == []


def test_the_number_of_queries_does_not_grow_with_rows(admin: Door, technologist: Door) -> None:
    declare(admin, tag("InstitutionName", level="Study"), tag("KVP", level="Series"), tag("EchoTime"))
    work()
    technologist.get("series?limit=1")  # what a process asks once
    searches, stores = [], []
    for batch in (1, 12):
        objects = [make_object(InstitutionName="A", KVP=n, EchoTime=n) for n in range(batch)]
        with CaptureQueriesContext(connection) as queries:
            stored(technologist, *objects)
        stores.append(sum("extended" in query["sql"] for query in queries))
        with CaptureQueriesContext(connection) as queries:
            response = technologist.get("series?InstitutionName=A&includefield=KVP&count=true")
        searches.append((len(queries), response["X-Total-Count"]))
    assert searches[0][0] == searches[1][0]
    assert [total for _, total in searches] == ["1", "13"]
    assert stores == [3, 3]
    assert ExtendedValue.objects.count() == 39


def test_ps3_18_8_3_4_4_the_number_of_further_results_is_told_where_it_is_known(
    technologist: Door, settings: Any
) -> None:
    stored(technologist, *(make_object() for _ in range(3)))
    limits = settings.PACS.limits.model_copy(update={"search_limit": 1, "search_default_limit": 1})
    settings.PACS = settings.PACS.model_copy(update={"limits": limits})
    warning = technologist.get("studies?count=true")["Warning"]
    assert warning == '299 Lightbox: "There are 2 additional results that can be requested"'
    assert "There are 1 additional" in technologist.get("studies?count=true&offset=1")["Warning"]
    assert "exceeds the limit of 1" in technologist.get("studies")["Warning"]
