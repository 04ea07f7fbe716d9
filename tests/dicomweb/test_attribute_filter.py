"""Roles that are not shown all attributes: no answer has them, and no search tells them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage

from access.attribute_groups import Group, keywords, tags
from access.models import CustomRole, Grant, User, UserRole
from access.roles import ROLES
from archive.models import Study
from audit.models import AccessEvent
from dicomweb.attribute_filter import without
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.dicomweb.reading import parts_of, problem_of

pytestmark = pytest.mark.django_db
DoorFor = Callable[..., Door]

MARKS = (
    "ZZQXNAME",
    "19310203",
    "ZZQXSTREET",
    "ZZQXREFERRER",
    "ZZQXOPERATOR",
    "ZZQXOTHERID",
    "ZZQXNESTED",
    "ZZQXPERSON",
)
IDENTITY = tags(frozenset({Group.IDENTITY}))


def marked(**more: Any) -> Dataset:
    nested = Dataset()
    nested.PatientName = "ZZQXNESTED^X"
    nested.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    nested.PersonName = "ZZQXPERSON"
    return make_data_set(
        PatientName="ZZQXNAME^X",
        PatientBirthDate="19310203",
        PatientAddress="ZZQXSTREET 1",
        ReferringPhysicianName="ZZQXREFERRER",
        OperatorsName="ZZQXOPERATOR",
        OtherPatientIDs="ZZQXOTHERID",
        ReferencedStudySequence=Sequence([nested]),
        InstitutionalDepartmentName="Ward 3",
        **more,
    )


@pytest.fixture
def study(technologist: Door) -> Dataset:
    found = marked()
    assert technologist.store([to_bytes(found)]).status_code == 200
    return found


@pytest.fixture
def vendor(study: Dataset, door_for: DoorFor) -> Door:
    """Somebody to whom all groups are withheld."""
    door = door_for("ai_vendor")
    Grant.objects.create(study=Study.objects.get(), user=User.objects.latest("pk"))
    return door


def paths(study: Dataset) -> dict[str, str]:
    of_study = f"studies/{study.StudyInstanceUID}"
    of_series = f"{of_study}/series/{study.SeriesInstanceUID}"
    return {"study": of_study, "series": of_series, "instance": f"{of_series}/instances/{study.SOPInstanceUID}"}


def answers(study: Dataset) -> list[str]:
    """Everything that answers with attributes."""
    of = paths(study)
    return [
        "studies",
        "series",
        "instances",
        "studies?includefield=all",
        "series?includefield=all",
        "instances?includefield=all",
        "instances?includefield=PatientAddress,OperatorsName,ReferencedStudySequence",
        f"{of['study']}/series?includefield=PatientName",
        f"{of['series']}/instances?includefield=00100010,00100030",
        "changefeed?includemetadata=true",
        "changefeed/latest?includemetadata=true",
        *(f"{path}/metadata" for path in of.values()),
    ]


def found_in(text: str) -> set[str]:
    return {mark for mark in MARKS if mark in text}


@pytest.mark.parametrize("accept", ["application/dicom+json", 'multipart/related; type="application/dicom+xml"'])
def test_no_answer_has_what_is_withheld(study: Dataset, vendor: Door, technologist: Door, accept: str) -> None:
    seen: set[str] = set()
    for path in answers(study):
        if "changefeed" in path and "xml" in accept:
            continue
        wanted = None if "changefeed" in path else accept
        plain, filtered = technologist.get(path, wanted), vendor.get(path, wanted)
        assert (plain.status_code, filtered.status_code) == (200, 200), path
        seen |= found_in(body_of(plain).decode())
        text = body_of(filtered).decode()
        assert found_in(text) == set(), path
        assert str(study.StudyInstanceUID) in text, path
    assert seen == set(MARKS), "the marks are there for who may see them"


def test_what_is_left_is_whole(study: Dataset, vendor: Door, technologist: Door) -> None:
    path = f"{paths(study)['instance']}/metadata"
    [plain], [filtered] = technologist.get(path).json(), vendor.get(path).json()
    gone = plain.keys() - filtered.keys()
    hidden = "PatientName PatientBirthDate PatientAddress ReferringPhysicianName OperatorsName OtherPatientIDs"
    assert gone == {f"{tag_for_keyword(keyword):08X}" for keyword in hidden.split()}
    [item] = filtered["00081110"]["Value"]
    assert item.keys() == {"00081150"}
    assert filtered["00100020"] == plain["00100020"], "results are filed by the Patient ID"
    kept = {tag: attribute for tag, attribute in filtered.items() if tag != "00081110"}
    assert kept == {tag: plain[tag] for tag in kept}


def test_entity_tags_are_kept_apart(study: Dataset, vendor: Door, technologist: Door) -> None:
    path = f"{paths(study)['study']}/metadata"
    plain, filtered = technologist.get(path), vendor.get(path)
    assert plain["ETag"] != filtered["ETag"]
    assert vendor.get(path, **{"if-none-match": filtered["ETag"]}).status_code == 304
    assert vendor.get(path, **{"if-none-match": plain["ETag"]}).status_code == 200
    zipped = vendor.get(path, **{"accept-encoding": "gzip"})
    assert found_in(gzip.decompress(body_of(zipped)).decode()) == set()


@pytest.mark.parametrize(
    "query",
    [
        "PatientName=ZZQX*",
        "00100010=ZZQXNAME*&fuzzymatching=true",
        "PatientBirthDate=19310203",
        "ReferringPhysicianName=*",
        "orderby=PatientName",
        "orderby=StudyDate,-PatientBirthDate",
        'PatientName=""&emptyvaluematching=true',
    ],
)
@pytest.mark.parametrize("level", ["studies", "series", "instances"])
def test_searching_by_what_is_withheld_is_refused(vendor: Door, technologist: Door, level: str, query: str) -> None:
    problem = problem_of(vendor.get(f"{level}?{query}"), 403)
    assert "ZZQX" not in str(problem)
    assert technologist.get(f"{level}?{query}").status_code == 200
    assert AccessEvent.objects.filter(kind="refused", rule="right:search").count() == 1


def test_an_includefield_in_vain_is_told(vendor: Door) -> None:
    below = f"studies/{Study.objects.get().study_instance_uid}/series?includefield=PatientName"
    for query in ("instances?includefield=OperatorsName", below):
        assert "not shown" in vendor.get(query)["Warning"], query
    for query in ("studies", "instances?includefield=StudyDescription"):
        assert "Warning" not in vendor.get(query), query


def test_declared_attributes_do_not_tell_either(study: Dataset, vendor: Door, door_for: DoorFor) -> None:
    admin = door_for("administrator")
    body = [{"path": tag, "vr": "PN", "level": "Instance"} for tag in ("00081070",)]
    declared = admin.http.post(
        "/dicom-web/extendedquerytags",
        data=orjson.dumps(body),
        content_type="application/json",
        headers={"origin": "http://testserver"},
    )
    assert declared.status_code in (200, 201, 202), declared.content
    assert vendor.get("instances?OperatorsName=ZZQX*").status_code == 403
    assert vendor.get("instances?includefield=OperatorsName").status_code == 200
    assert found_in(body_of(vendor.get("instances?includefield=OperatorsName")).decode()) == set()


def test_whole_objects_stay_closed_and_frames_open(study: Dataset, vendor: Door) -> None:
    of = paths(study)
    for path in of.values():
        problem_of(vendor.get(path), 403)
        problem_of(vendor.get(path, "application/zip"), 403)
    uids = f"studyUID={study.StudyInstanceUID}&seriesUID={study.SeriesInstanceUID}&objectUID={study.SOPInstanceUID}"
    problem_of(vendor.get(f"wado?requestType=WADO&{uids}&contentType=application/dicom"), 403)
    for path in (f"wado?requestType=WADO&{uids}", f"{of['instance']}/frames/1", f"{of['instance']}/rendered"):
        assert vendor.get(path).status_code == 200, path


def test_bulk_values_of_what_is_withheld(technologist: Door, door_for: DoorFor) -> None:
    pdf = make_data_set(SOPClassUID=EncapsulatedPDFStorage, PixelData=None, EncapsulatedDocument=b"%PDF ZZQXNAME" * 99)
    pdf.MIMETypeOfEncapsulatedDocument = "application/pdf"
    assert technologist.store([to_bytes(pdf)]).status_code == 200
    door = door_for("ai_vendor")
    Grant.objects.create(study=Study.objects.get(), user=User.objects.latest("pk"))
    instance = paths(pdf)["instance"]
    assert technologist.get(f"{instance}/bulkdata/00420011").status_code == 200
    assert len(parts_of(technologist.get(f"{instance}/bulkdata"))) == 1
    problem_of(door.get(f"{instance}/bulkdata/00420011"), 404)
    problem_of(door.get(f"{instance}/bulkdata"), 404)
    [metadata] = door.get(f"{instance}/metadata").json()
    assert "00420011" not in metadata


def test_a_nurse_reads_names_and_no_addresses(study: Dataset, door_for: DoorFor) -> None:
    nurse = door_for("nurse")
    UserRole.objects.filter(role="nurse").update(limit_kind="department", limit_values=["Ward 3"])
    text = body_of(nurse.get(f"{paths(study)['study']}/metadata")).decode()
    assert found_in(text) == set(MARKS) - {"ZZQXSTREET"}
    assert nurse.get("studies?PatientName=ZZQXNAME*").status_code == 200
    assert nurse.get(paths(study)["study"]).status_code == 403


def test_what_one_role_shows_is_shown(study: Dataset, door_for: DoorFor) -> None:
    """A second role that may see it; one without the right in question doesn't count."""
    CustomRole.objects.create(name="counting", title="Counting", rights={"search": "ALL"}, withheld=["identity"])
    counting, both = door_for("counting", "auditor", "device"), door_for("counting", "radiologist")
    assert found_in(body_of(counting.get("studies")).decode()) == {"ZZQXREFERRER"}
    assert "ZZQXNAME" in body_of(both.get("studies")).decode()
    page = counting.http.get("/", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "Zzqxname" not in page.content.decode()
    assert "ZZQXNAME" not in page.content.decode()
    assert "ZZQXNAME" in both.http.get("/", headers={"accept": "text/html"}).content.decode()


def test_stored_attributes_are_those_of_the_right_to_retrieve(study: Dataset, door_for: DoorFor) -> None:
    """A role that searches and shows all doesn't show what only another role may retrieve."""
    both = door_for("administrator", "nurse")
    UserRole.objects.filter(role="nurse").update(limit_kind="department", limit_values=["Ward 3"])
    for path in ("instances?includefield=PatientAddress,OperatorsName", "instances?includefield=all"):
        response = both.get(path)
        text = body_of(response).decode()
        assert "ZZQXOPERATOR" in text, path
        assert "ZZQXSTREET" not in text, path
        assert "ZZQXNAME" in body_of(both.get("studies")).decode(), path


def test_an_emergency_shows_no_more_of_a_patient(study: Dataset, door_for: DoorFor) -> None:
    """The page of emergencies, and the list of studies that shows them, keep to what the role is shown."""
    rights = {"search": "ALL", "retrieve": "ALL", "break_glass": "ALL"}
    CustomRole.objects.create(name="counting", title="Counting", rights=rights, withheld=["identity"])
    counting = door_for("counting")
    wish = {"patient_id": study.PatientID, "reason": "unconscious after an accident, images wanted"}
    begun = counting.http.post(
        "/api/emergency-access", wish, content_type="application/json", headers={"origin": "http://testserver"}
    )
    assert begun.status_code == 201, begun.content
    for path in ("/", "/emergency/"):
        page = counting.http.get(path, headers={"accept": "text/html"})
        assert page.status_code == 200
        assert str(study.PatientID) in page.content.decode(), path
        assert "ZZQXNAME" not in page.content.decode().upper(), path
        assert "1931" not in page.content.decode(), path


def test_the_groups_are_attributes() -> None:
    for group in Group:
        listed = {f"{tag_for_keyword(keyword):08X}" for keyword in keywords(group) if tag_for_keyword(keyword)}
        assert listed == tags(frozenset({group}))
    assert "00100020" not in tags(frozenset(Group))
    assert "0020000D" not in tags(frozenset(Group))


def test_without_takes_nothing_for_nobody() -> None:
    text = b'{"00100010":{"vr":"PN","Value":[{"Alphabetic":"X"}]}}'
    assert without(text, frozenset()) is text
    assert without(text, IDENTITY) == b"{}"
    assert orjson.loads(without(b'{"00081110":{"vr":"SQ","Value":[{},null]}}', IDENTITY)) == {
        "00081110": {"vr": "SQ", "Value": [{}, None]}
    }


def test_who_withholds_what() -> None:
    assert {name: role.withheld for name, role in ROLES.items() if role.withheld} == {
        "nurse": frozenset({Group.CONTACT}),
        "ai_vendor": frozenset(Group),
    }
