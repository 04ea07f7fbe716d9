"""The index made anew from the object store: everything as it was, nothing that was deleted, nothing left unsaid."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import transaction
from pydicom.uid import generate_uid

from access.marking import restrict
from access.restriction_models import Mark, Restriction
from archive import patients
from archive.at_rest import transcode_for
from archive.delete import delete
from archive.locate import Address
from archive.models import DeletedObject, Instance, OutboxEntry, Patient, Representation, Series, Study
from archive.object_store import object_store
from archive.patient_facts import Identifier, Moment, PatientFacts
from archive.sweep import sweep_all
from archive.undelete import undelete
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.rebuild import ADD_MISSING, EMPTY, RESUME, NotEmpty, planned
from custody.facts.triggers import STUDY_FACTS
from custody.facts.writing import write_study
from pacs_project.config_s3 import S3Config
from tests.archive.test_at_rest import smooth
from tests.custody.archive_state import backup, differing, lose, rebuilt, run_tasks, seen, store_all, uids
from tests.dicomweb.conftest import Door, door_for
from tests.dicomweb.objects import make_object

__all__ = ["door_for"]

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def study(count: int = 3, **values: Any) -> str:
    """Stored instances of one new study."""
    values = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()} | values
    store_all(make_object(**values, InstanceNumber=number) for number in range(1, count + 1))
    return str(values["StudyInstanceUID"])


def delete_at(*at: str) -> None:
    delete(Study.objects.all(), Address(*at), deleted_by="somebody", record=lambda deleted: None)


def first_instance(uid: str) -> tuple[str, str]:
    found = Instance.objects.filter(series__study__study_instance_uid=uid).order_by("pk")
    return found.values_list("series__series_instance_uid", "sop_instance_uid")[0]


def told(name: str, value: str, minutes: int = 0) -> None:
    with transaction.atomic():
        facts = PatientFacts((Identifier(value),), name=name)
        patients.apply(facts, Moment(NOON.replace(minute=minutes), "ris", f"M{minutes}"))


def merged(prior: str, into: str) -> None:
    with transaction.atomic():
        patients.merge(Identifier(prior), PatientFacts((Identifier(into),)), Moment(NOON, "ris", "M9"))


def test_all_is_as_it_was(door_for: Callable[..., Door]) -> None:
    """Searches, metadata and bytes of a house with corrections, a merge, deletions, a mark and representations."""
    door = door_for("technologist")
    for number in range(12):
        study(PatientID=f"P{number % 5}", StudyDate="20240101", PatientName=f"N^{number}", Modality="MR")
    images = [generate_uid(), generate_uid()]
    store_all(
        make_object(
            StudyInstanceUID=images[0],
            SeriesInstanceUID=images[1],
            InstanceNumber=n,
            Rows=64,
            Columns=64,
            PixelData=smooth(n),
            PatientID="P1",
            PatientName=f"Later^{n}",
        )
        for n in range(4)
    )
    # The first object named the patient and the study, and is gone.
    first = study(1, StudyDescription="first", PatientID="P9", PatientName="First^Name")
    series = Series.objects.get(study__study_instance_uid=first).series_instance_uid
    store_all(
        [make_object(StudyInstanceUID=first, SeriesInstanceUID=series, StudyDescription="second", PatientID="P9")]
    )
    delete_at(first, *first_instance(first))
    told("TOLD^BY^FEED", "P1")
    merged("P2", "P3")
    transcode_for(Series.objects.get(series_instance_uid=images[1]).pk)
    assert Representation.objects.count() == 4
    gone, closed = study(PatientID="P4"), study(PatientID="P6")
    restrict(Study.objects.get(study_instance_uid=closed), Mark.VIP, "known to all")
    run_tasks()
    delete_at(gone)
    run_tasks()
    before, keys = seen(door), FactsDocument.objects.values_list("object_key", flat=True)
    assert len(uids()) == 15
    kept = set(keys)
    received = dict(Instance.objects.values_list("sop_instance_uid", "created_at"))
    lose()
    assert planned()["counts"]["instances"] == Instance.objects.count() + len(received)
    summary = rebuilt(EMPTY)
    assert differing(before, seen(door)) == []
    assert summary["problems"] == {}
    assert dict(Instance.objects.values_list("sop_instance_uid", "created_at")) == received
    assert gone not in uids()
    assert Restriction.objects.active().filter(study_instance_uid=closed, mark=Mark.VIP).count() == 1
    assert Representation.objects.count() == 4
    # What was written before is what would be written now.
    assert set(FactsDocument.objects.values_list("object_key", flat=True)) == kept
    # Nothing that is in use is taken for an orphan, and what was deleted can be brought back.
    assert sweep_all().noted == len(list(object_store().keys())) - _held()
    assert len(list(undelete(gone))) == 3
    with pytest.raises(NotEmpty):
        rebuilt(EMPTY)
    with pytest.raises(NotEmpty):
        rebuilt(RESUME)


def _held() -> int:
    """Objects that a row points at, or that are deleted."""
    from archive.sweep import HOLDERS

    known = set(DeletedObject.objects.exclude(deleted_by="orphan").values_list("object_key", flat=True))
    for holders in HOLDERS.values():
        for model, column in holders:
            known.update(model._default_manager.values_list(column, flat=True))
    return len(known & set(object_store().keys()))


def test_what_no_facts_name_is_found_as_well(door_for: Callable[..., Door]) -> None:
    """Stored just before the end; twice under one UID; broken; deleted long before."""
    door = door_for("technologist")
    known = study()
    run_tasks()
    before = study(2, PatientID="P7")
    OutboxEntry.objects.all().delete()
    told_before = seen(door)
    data = make_object(SOPInstanceUID=first_instance(before)[1])
    object_store().put("instances/2099/01/01/00-00/" + "f" * 32 + ".dcm", data)
    object_store().put("instances/2099/01/01/00-00/" + "e" * 32 + ".dcm", b"no object at all")
    lost = Instance.objects.filter(series__study__study_instance_uid=known).order_by("pk").last()
    assert lost is not None
    told_before["instances"] = [
        e for e in told_before["instances"] if e["00080018"]["Value"] != [lost.sop_instance_uid]
    ]
    lose()
    object_store().delete(lost.object_key)
    summary = rebuilt(EMPTY)
    assert summary["counts"]["without_facts"] == 2
    assert [len(summary["problems"][kind]) for kind in ("conflicts", "broken", "missing", "differences")] == [1] * 4
    assert "f" * 32 in summary["problems"]["conflicts"][0]
    assert lost.object_key in summary["problems"]["missing"][0]
    assert [e["00080018"] for e in seen(door)["instances"]] == [e["00080018"] for e in told_before["instances"]]


def test_after_a_backup_was_restored_what_came_later_is_added_and_what_went_is_deleted(
    door_for: Callable[..., Door],
) -> None:
    door = door_for("technologist")
    stays, shrinks, goes, opens = study(), study(), study(), study(PatientID="P5")
    restrict(Study.objects.get(study_instance_uid=opens), Mark.VIP, "for a while")
    run_tasks()
    with backup() as restore:
        series, uid = first_instance(shrinks)
        delete_at(shrinks, series, uid)
        delete_at(goes)
        later = study(PatientID="P8")
        store_all([make_object(StudyInstanceUID=stays, SeriesInstanceUID=generate_uid())])
        restrict(Study.objects.get(study_instance_uid=later), Mark.RESTRICTED, "later")
        told("LATER^NAME", "P1", minutes=5)
        Restriction.objects.filter(study_instance_uid=opens).update(ended_at=NOON)
        run_tasks()
        DeletedObject.objects.filter(study_instance_uid=goes).update(sweep_after=NOON)
        sweep_all()
        run_tasks()
        after = seen(door)
        restore()
        assert goes in uids()
        assert later not in uids()
        # The store knows more: nothing is written over it.
        OutboxEntry.objects.all().delete()
        Study.objects.filter(study_instance_uid=shrinks).update(study_id="changed")
        write = OutboxEntry.objects.get(kind=STUDY_FACTS)
        from archive import outbox
        from archive.tasks import TASKS

        outbox.run(write.pk, TASKS)
        assert OutboxEntry.objects.get(pk=write.pk).last_error == "ArchiveUnavailable"
        summary = rebuilt(ADD_MISSING)
    assert uids() == {stays, shrinks, opens, later}
    assert summary["counts"]["removed"] == 4
    assert differing(after, seen(door)) == []
    assert [r.study_instance_uid for r in Restriction.objects.active()] == [later]
    assert not Rebuild.objects.filter(finished_at=None).exists()
    again = rebuilt(ADD_MISSING)
    assert not again["counts"].get("instances")
    assert not again["counts"].get("removed")


def test_facts_are_written_once_a_change_and_say_when_all_is_gone() -> None:
    uid = study()
    assert OutboxEntry.objects.filter(kind=STUDY_FACTS, subject=uid).count() == 1
    run_tasks()
    [first] = FactsDocument.objects.filter(kind=STUDY_FACTS)
    write_study(uid)
    assert FactsDocument.objects.get(pk=first.pk).object_key == first.object_key
    delete_at(uid)
    run_tasks()
    DeletedObject.objects.update(sweep_after=NOON)
    sweep_all()
    run_tasks()
    row = FactsDocument.objects.get(pk=first.pk)
    assert row.object_key is not None
    content = orjson.loads(gzip.decompress(b"".join(object_store().open_range(row.object_key))))
    assert (content["study"], content["instances"], content["deleted"]) == (None, None, None)
    assert b"Doe" not in gzip.decompress(b"".join(object_store().open_range(row.object_key)))


def test_on_s3(settings: Any, s3_settings: dict[str, str], door_for: Callable[..., Door]) -> None:
    s3 = S3Config(**s3_settings, prefix=uuid4().hex)  # type: ignore[arg-type]
    settings.PACS = settings.PACS.model_copy(update={"object_store": "s3", "s3": s3})
    door = door_for("technologist")
    kept, gone = study(20), study(2)
    run_tasks()
    delete_at(gone)
    run_tasks()
    before = seen(door)
    lose()
    summary = rebuilt(EMPTY)
    assert (summary["counts"]["instances"], summary["problems"]) == (20, {})
    assert differing(before, seen(door)) == []
    assert uids() == {kept}


def test_an_empty_index_on_a_full_store_takes_nothing_for_an_orphan() -> None:
    study()
    run_tasks()
    lose()
    assert sweep_all().noted == 0
    rebuilt(EMPTY)
    assert Patient.objects.count() == 1
