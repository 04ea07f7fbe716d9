"""STOW-RS (PS3.18 10.5): what is stored, what is refused and why, and what is visible afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from access.models import Grant, User
from archive.models import ChangeFeedEntry, Instance, MetadataFragment, OutboxEntry, Patient, Study
from archive.object_store import object_store
from audit.models import AccessEvent
from audit.record import AuditUnavailable
from tests.dicomweb.conftest import Door, body_of
from tests.dicomweb.objects import make_data_set, make_object, to_bytes

FAILED, REFERENCED, OTHER = "00081198", "00081199", "0008119A"
AS_STORED = "application/dicom; transfer-syntax=*"


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    """Each test looks at what it stored itself."""
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


@pytest.fixture
def limit(settings: Any) -> Callable[..., None]:
    """Sets fields of the limits of one request."""

    def set_limits(**fields: int) -> None:
        settings.PACS = settings.PACS.model_copy(update={"limits": settings.PACS.limits.model_copy(update=fields)})

    return set_limits


def uids(response: Any, tag: str) -> list[str]:
    """The SOP Instance UIDs of one of the response's sequences, in its order."""
    return [item["00081155"]["Value"][0] for item in response.json().get(tag, {}).get("Value", [])]


def reasons(response: Any, tag: str = FAILED) -> list[int]:
    return [item["00081197"]["Value"][0] for item in response.json().get(tag, {}).get("Value", [])]


def warning_reasons(response: Any) -> list[int | None]:
    items = response.json().get(REFERENCED, {}).get("Value", [])
    return [item.get("00081196", {"Value": [None]})["Value"][0] for item in items]


def retrieved(door: Door, ds: Dataset) -> bytes:
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    response = door.get(path, accept=AS_STORED)
    assert response.status_code == 200, response.content
    return body_of(response)


def stored_keys() -> set[str]:
    return set(object_store().keys("instances/"))


def test_an_instance_is_stored_found_and_retrieved_byte_for_byte(technologist: Door) -> None:
    ds = make_data_set()
    data = to_bytes(ds)
    response = technologist.store([data])
    assert response.status_code == 200, response.content
    reference = response.json()["00081199"]["Value"][0]
    assert reference["00081155"]["Value"] == [ds.SOPInstanceUID]
    assert response["Content-Type"] == "application/dicom+json"

    [study] = technologist.search("studies", PatientID="P1")
    assert study["0020000D"]["Value"] == [ds.StudyInstanceUID]
    assert study["00201208"]["Value"] == [1]

    url = reference["00081190"]["Value"][0]
    path = url.split("/dicom-web/")[1]
    got = technologist.get(path, accept="application/dicom; transfer-syntax=*")
    assert got.status_code == 200
    assert body_of(got) == data
    meta = technologist.get(f"{path}/metadata")
    assert meta.json()[0]["00080018"]["Value"] == [ds.SOPInstanceUID]
    frame = technologist.get(f"{path}/frames/1", accept="application/octet-stream")
    assert body_of(frame) == ds.PixelData
    rendered = technologist.get(f"{path}/rendered", accept="image/jpeg")
    assert body_of(rendered)[:2] == b"\xff\xd8"


def test_a_study_grows_and_its_counts_with_it(technologist: Door) -> None:
    study, first, second = generate_uid(), generate_uid(), generate_uid()

    def slices(series: str, modality: str, count: int) -> list[bytes]:
        return [
            make_object(StudyInstanceUID=study, SeriesInstanceUID=series, Modality=modality, InstanceNumber=n)
            for n in range(count)
        ]

    for objects in (slices(first, "CT", 3), slices(first, "CT", 1), slices(second, "SR", 2)):
        assert technologist.store(objects).status_code == 200
    [found] = technologist.search("studies", StudyInstanceUID=study)
    assert found["00201206"]["Value"] == [2]
    assert found["00201208"]["Value"] == [6]
    assert found["00080061"]["Value"] == ["CT", "SR"]
    counts = {e["0020000E"]["Value"][0]: e["00201209"]["Value"] for e in technologist.search(f"studies/{study}/series")}
    assert counts == {first: [4], second: [2]}
    assert len(technologist.search(f"studies/{study}/instances")) == 6
    assert len(technologist.get(f"studies/{study}/series/{first}/metadata").json()) == 4


def test_the_study_of_the_url_takes_only_its_own(technologist: Door) -> None:
    study = generate_uid()
    own, foreign = make_data_set(StudyInstanceUID=study), make_data_set()
    response = technologist.store([to_bytes(foreign), to_bytes(own)], study=study)
    assert response.status_code == 202
    assert uids(response, FAILED) == [foreign.SOPInstanceUID]
    assert reasons(response) == [0xA900]
    assert uids(response, REFERENCED) == [own.SOPInstanceUID]
    assert response.json()["00081190"]["Value"] == [f"http://testserver/dicom-web/studies/{study}"]
    assert technologist.search("studies", StudyInstanceUID=foreign.StudyInstanceUID) == []


def test_good_and_bad_parts_are_told_apart_in_the_order_of_the_parts(technologist: Door) -> None:
    good = [make_data_set() for _ in range(3)]
    clash = make_data_set(SOPInstanceUID=good[0].SOPInstanceUID)
    objects = [b"no DICOM", *map(to_bytes, good), to_bytes(good[1])[:900], to_bytes(clash)]
    response = technologist.store(objects)
    assert response.status_code == 202
    assert uids(response, REFERENCED) == [ds.SOPInstanceUID for ds in good]
    assert uids(response, FAILED) == [good[0].SOPInstanceUID]
    assert reasons(response) == [0x0111]
    assert reasons(response, OTHER) == [0xC000, 0xC000]
    assert all(item["00741048"]["Value"][0]["00000902"]["Value"][0] for item in response.json()[OTHER]["Value"])
    assert retrieved(technologist, good[0]) == to_bytes(good[0])


def test_nothing_but_bad_parts(technologist: Door) -> None:
    response = technologist.store([b"", b"\0" * 200, b"DICM" * 100])
    assert response.status_code == 409
    assert set(response.json()) == {"00081190", OTHER}
    assert "Value" not in response.json()["00081190"], "of type 2 (PS3.18 table I.1-1)"
    assert len(reasons(response, OTHER)) == 3
    assert technologist.search("studies") == []
    assert not stored_keys()


def test_the_same_bytes_again_change_nothing(technologist: Door) -> None:
    ds = make_data_set()
    data = to_bytes(ds)
    assert technologist.store([data]).status_code == 200
    before = stored_keys(), ChangeFeedEntry.objects.count(), Study.objects.values().get()
    for objects in ([data], [data, data]):
        response = technologist.store(objects)
        assert response.status_code == 200
        assert uids(response, REFERENCED) == [ds.SOPInstanceUID] * len(objects)
    assert (stored_keys(), ChangeFeedEntry.objects.count(), Study.objects.values().get()) == before


def test_a_known_uid_is_never_overwritten(technologist: Door) -> None:
    ds = make_data_set()
    data = to_bytes(ds)
    technologist.store([data])
    keys = stored_keys()
    for other in (
        make_data_set(SOPInstanceUID=ds.SOPInstanceUID),
        make_data_set(
            SOPInstanceUID=ds.SOPInstanceUID,
            StudyInstanceUID=ds.StudyInstanceUID,
            SeriesInstanceUID=ds.SeriesInstanceUID,
            PatientName="Roe^Richard",
        ),
    ):
        response = technologist.store([to_bytes(other)])
        assert response.status_code == 409
        assert reasons(response) == [0x0111]
    assert stored_keys() == keys
    assert Study.objects.count() == 1
    assert retrieved(technologist, ds) == data
    [found] = technologist.search("studies", PatientID="P1")
    assert found["00201208"]["Value"] == [1]


def test_one_uid_twice_in_a_request_is_one_instance(technologist: Door) -> None:
    ds = make_data_set()
    data, other = to_bytes(ds), make_object(SOPInstanceUID=ds.SOPInstanceUID)
    response = technologist.store([data, other, data])
    assert response.status_code == 202
    assert uids(response, REFERENCED) == [ds.SOPInstanceUID] * 2
    assert reasons(response) == [0x0111]
    assert len(stored_keys()) == 1
    assert retrieved(technologist, ds) == data


def test_patients_are_told_apart_by_issuer(technologist: Door) -> None:
    for issuer in ("Hospital A", "Hospital B", "Hospital A"):
        assert technologist.store([make_object(PatientID="77", IssuerOfPatientID=issuer)]).status_code == 200
    found = Patient.objects.values_list("patient_id", "issuer_of_patient_id", "studies__patient_id")
    assert sorted((p, i) for p, i, _ in found) == [("77", "Hospital A"), ("77", "Hospital A"), ("77", "Hospital B")]
    assert Patient.objects.count() == 2


@pytest.mark.parametrize("patient_id", ["", "  ", None])
def test_studies_without_patient_id_are_never_merged(technologist: Door, patient_id: str | None) -> None:
    studies = [generate_uid() for _ in range(2)]
    for study in (*studies, studies[0]):
        data = make_object(StudyInstanceUID=study, PatientID=patient_id, IssuerOfPatientID="Hospital A")
        response = technologist.store([data])
        assert response.status_code in (200, 202), response.content
        assert FAILED not in response.json()
    assert Patient.objects.count() == 2
    assert len(set(Study.objects.values_list("patient", flat=True))) == 2


def test_a_study_stays_with_its_first_patient(technologist: Door) -> None:
    study = generate_uid()
    assert technologist.store([make_object(StudyInstanceUID=study, PatientID="P1")]).status_code == 200
    stray = make_data_set(StudyInstanceUID=study, PatientID="P2", PatientName="Roe^Richard")
    response = technologist.store([to_bytes(stray)])
    assert response.status_code == 202
    assert warning_reasons(response) == [0xB000]
    assert "Roe" not in response.content.decode()
    assert "P2" not in response.content.decode()
    assert Instance.objects.get(sop_instance_uid=stray.SOPInstanceUID).patient_mismatch
    [found] = technologist.search("studies", StudyInstanceUID=study)
    assert found["00100020"]["Value"] == ["P1"]
    assert found["00201208"]["Value"] == [2]
    assert retrieved(technologist, stray) == to_bytes(stray)


def test_the_first_part_decides_whose_study_it_is(technologist: Door) -> None:
    study = generate_uid()
    objects = [
        make_object(StudyInstanceUID=study, PatientID="P1", SOPInstanceUID="2.25.9"),
        make_object(StudyInstanceUID=study, PatientID="P2", SOPInstanceUID="2.25.1"),
    ]
    response = technologist.store(objects)
    assert warning_reasons(response) == [None, 0xB000]
    assert Study.objects.get().patient.patient_id == "P1"


@pytest.mark.parametrize("role", ["referring_physician", "auditor"])
def test_who_may_not_store(door_for: Callable[..., Door], role: str) -> None:
    response = door_for(role).store([make_object()])
    assert response.status_code == 403
    assert response["Content-Type"] == "application/problem+json"
    assert Study.objects.count() == 0
    assert AccessEvent.objects.get(kind="refused").decision == "deny"


def test_an_ai_vendor_stores_into_granted_studies_only(door_for: Callable[..., Door], technologist: Door) -> None:
    ours, theirs = generate_uid(), generate_uid()
    technologist.store([make_object(StudyInstanceUID=ours), make_object(StudyInstanceUID=theirs)])
    vendor = door_for("ai_vendor")
    Grant.objects.create(study=Study.objects.get(study_instance_uid=ours), user=User.objects.latest("pk"))
    results = [make_data_set(StudyInstanceUID=study) for study in (theirs, ours, generate_uid())]
    response = vendor.store(map(to_bytes, results))
    assert response.status_code == 202
    assert uids(response, REFERENCED) == [results[1].SOPInstanceUID]
    assert reasons(response) == [0x0124, 0x0124]
    assert set(Study.objects.values_list("study_instance_uid", flat=True)) == {ours, theirs}


def test_storing_leaves_news_tasks_and_a_record(technologist: Door) -> None:
    data_sets = [make_data_set(InstanceNumber=n) for n in range(3)]
    technologist.store(map(to_bytes, data_sets))
    news = ChangeFeedEntry.objects.order_by("sequence").values_list("action", "sop_instance_uid")
    assert list(news) == [("create", ds.SOPInstanceUID) for ds in data_sets]
    wishes = sorted(OutboxEntry.objects.values_list("kind", flat=True))
    kinds = ("at_rest", "reconcile", "series_metadata", "series_thumbnail", "study_facts")
    assert wishes == [kind for kind in kinds for _ in data_sets]
    event = AccessEvent.objects.get(kind="store")
    assert set(event.study_uids) == {ds.StudyInstanceUID for ds in data_sets}
    assert (event.instance_count, event.outcome, event.decision) == (3, 0, "allow")
    assert event.bytes == sum(len(to_bytes(ds)) for ds in data_sets)


def test_a_refusal_is_recorded_with_its_reason(technologist: Door) -> None:
    technologist.store([make_object(), b"no DICOM", b"neither"])
    event = AccessEvent.objects.get(kind="store")
    assert (event.instance_count, event.outcome, event.outcome_description) == (1, 4, "2 x C000")


def test_without_a_record_nothing_is_stored(technologist: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(events: Any) -> None:
        raise AuditUnavailable("the access trail can't be written")

    with monkeypatch.context() as patch:
        patch.setattr("dicomweb.view.record", broken)
        response = technologist.store([make_object()])
    assert response.status_code == 503
    assert response["Retry-After"]
    assert response.json()["code"] == "audit-unavailable"
    for model in (Patient, Study, Instance, ChangeFeedEntry, OutboxEntry, MetadataFragment):
        assert model._default_manager.count() == 0
    assert not stored_keys(), "objects that nobody can see, and that nobody wrote down"


def test_too_large_an_object_is_refused_alone(technologist: Door, limit: Callable[..., None]) -> None:
    limit(store_part_bytes=4000)
    small = make_data_set(), make_data_set()
    large = make_object(Rows=60, Columns=100, PixelData=os.urandom(12_000))
    response = technologist.store([to_bytes(small[0]), large, to_bytes(small[1])])
    assert response.status_code == 202
    assert uids(response, REFERENCED) == [ds.SOPInstanceUID for ds in small]
    assert reasons(response, OTHER) == [0xA700]


def test_a_batch_is_not_the_request(technologist: Door, limit: Callable[..., None]) -> None:
    limit(store_batch_instances=3)
    study = generate_uid()
    data_sets = [make_data_set(StudyInstanceUID=study, InstanceNumber=n) for n in range(8)]
    objects = [*map(to_bytes, data_sets[:4]), b"no DICOM", *map(to_bytes, data_sets[4:]), to_bytes(data_sets[0])]
    response = technologist.store(objects)
    assert response.status_code == 202
    assert uids(response, REFERENCED) == [ds.SOPInstanceUID for ds in (*data_sets, data_sets[0])]
    assert Study.objects.get().number_of_study_related_instances == 8
    assert sum(AccessEvent.objects.filter(kind="store").values_list("instance_count", flat=True)) == 9


def queries_to_store(door: Door, count: int, study: str) -> int:
    objects = [make_object(StudyInstanceUID=study, SeriesInstanceUID=f"{study[:50]}.1") for _ in range(count)]
    with CaptureQueriesContext(connection) as context:
        assert door.store(objects).status_code == 200
    return len(context)


def test_queries_do_not_grow_with_the_instances(technologist: Door) -> None:
    _, one, forty = [queries_to_store(technologist, count, "2.25.17") for count in (1, 1, 40)]
    assert one == forty


def test_queries_do_not_grow_with_the_instances_of_a_granted_study(
    door_for: Callable[..., Door], technologist: Door
) -> None:
    technologist.store([make_object(StudyInstanceUID="2.25.17")])
    vendor = door_for("ai_vendor")
    Grant.objects.create(study=Study.objects.get(), user=User.objects.latest("pk"))
    _, one, forty = [queries_to_store(vendor, count, "2.25.17") for count in (1, 1, 40)]
    assert one == forty
