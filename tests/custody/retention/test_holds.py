"""Legal holds against the real index and object store: nothing that is held is removed, whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from access.acting import Acting
from archive import holds
from archive.errors import Held, NotFound
from archive.holds import refuse_held
from archive.models import DeletedObject, DroppedOriginal, Instance, LegalHold, Patient, Study
from archive.object_store import object_store
from archive.patient_facts import Identifier, Moment, PatientFacts
from archive.patient_rows import move_studies
from archive.patients import merge, restore_identifier
from archive.sweep import sweep_all, sweep_recent
from archive.undelete import undelete
from audit.models import AccessEvent
from custody.retention import bringing_back
from custody.retention.holding import place, release
from tests.custody.retention.conftest import days_pass, delete_at, study

pytestmark = pytest.mark.django_db(transaction=True)


def patient_of(held: Study) -> Patient:
    return Patient.objects.get(pk=held.patient_id)


def stored_instances() -> set[str]:
    return set(object_store().keys("instances/"))


@pytest.mark.parametrize("whole", [True, False])
def test_a_held_study_is_not_deleted(whole: bool) -> None:
    held = study("1.2.1", instances=2)
    placed = place("1.2.1" if whole else patient_of(held), "case 7")
    assert (placed.studies, placed.deleted_instances) == (1, 0)
    instance = Instance.objects.first()
    assert instance is not None
    for address in (("1.2.1",), ("1.2.1", "1.2.1.1"), ("1.2.1", "1.2.1.1", instance.sop_instance_uid)):
        with pytest.raises(Held, match="under a legal hold") as refusal:
            delete_at(*address)
        assert "case 7" not in str(refusal.value)
    assert Instance.objects.count() == 2
    assert release(placed.hold, "settled")
    assert not release(placed.hold, "again")
    assert delete_at("1.2.1").study_gone
    kinds = [event.kind for event in AccessEvent.objects.order_by("sequence")]
    assert kinds == ["store", "restricted", "unrestricted", "delete"]
    assert AccessEvent.objects.get(kind="restricted").purpose == "case 7"


def test_each_hold_counts_for_itself_and_may_end_by_itself() -> None:
    study("1.2.1")
    first, second = place("1.2.1", "one"), place("1.2.1", "two")
    release(first.hold, "done")
    with pytest.raises(Held):
        delete_at("1.2.1")
    LegalHold.objects.filter(pk=second.hold.pk).update(until=timezone.now() - timedelta(seconds=1))
    assert delete_at("1.2.1").study_gone


def test_what_outsiders_ask_for_is_not_there_whether_held_or_not() -> None:
    from archive.delete import delete
    from archive.locate import Address

    study("1.2.1")
    place("1.2.1", "case 7")
    with pytest.raises(NotFound):
        delete(Study.objects.filter(pk=0), Address("1.2.1"), deleted_by="x", record=lambda deleted: None)


@pytest.mark.parametrize("of_patient", [True, False])
def test_no_sweep_removes_what_was_deleted_before_the_hold(of_patient: bool) -> None:
    held = study("1.2.1", instances=2)
    patient = patient_of(held)
    other = study("1.2.2", PatientID="P2")
    delete_at("1.2.1")
    delete_at("1.2.2")
    assert other.pk
    placed = place(patient if of_patient else "1.2.1", "case 7")
    assert placed.deleted_instances == 2
    days_pass(8)
    sweep_recent("")
    assert set(DeletedObject.objects.exclude(sop_instance_uid="").values_list("study_instance_uid", flat=True)) == {
        "1.2.1"
    }
    assert len(stored_instances()) == 2
    assert sweep_all(dry_run=True).removed == 0
    DeletedObject.objects.update(sweep_after=timezone.now() + timedelta(days=1))
    assert all(each.failure_reason is None for each in undelete("1.2.1"))
    with pytest.raises(Held):
        delete_at("1.2.1")


def test_what_is_released_is_swept() -> None:
    study("1.2.1")
    delete_at("1.2.1")
    days_pass(8)
    placed = place("1.2.1", "case 7")
    assert sweep_all().removed == 0
    release(placed.hold, "settled")
    assert sweep_all().removed == 1
    assert stored_instances() == set()


def test_an_original_that_was_replaced_stays() -> None:
    held = study("1.2.1")
    instance = Instance.objects.get()
    DroppedOriginal.objects.create(
        sop_instance_uid=instance.sop_instance_uid,
        study_instance_uid=held.study_instance_uid,
        transfer_syntax_uid="1",
        object_key="instances/2020/01/01/00-00/a.dcm",
        object_size=1,
        object_sha256=b"a",
        stored_transfer_syntax_uid="2",
        stored_sha256=b"b",
        number_of_frames=1,
        verified_at=timezone.now(),
    )
    DeletedObject.objects.create(
        object_key="instances/2020/01/01/00-00/a.dcm",
        size=1,
        sweep_after=timezone.now() - timedelta(days=1),
        deleted_by=holds.REPLACED,
    )
    placed = place(patient_of(held), "case 7")
    assert sweep_all().removed == 0
    release(placed.hold, "settled")
    assert sweep_all().removed == 1


def test_holds_follow_merges_and_what_is_taken_back() -> None:
    moment = Moment(timezone.now())
    mine = study("1.2.1", PatientID="A")
    study("1.2.2", PatientID="B")
    placed = place(patient_of(mine), "case 7")
    with transaction.atomic():
        merge(Identifier("A"), PatientFacts((Identifier("B"),)), moment)
    for uid in ("1.2.1", "1.2.2"):
        with pytest.raises(Held):
            delete_at(uid)
    with transaction.atomic():
        restore_identifier(Identifier("A"), moment)
    with pytest.raises(Held):
        delete_at("1.2.1")
    assert delete_at("1.2.2").study_gone
    study("1.2.3", PatientID="A")
    with pytest.raises(Held):
        delete_at("1.2.3")
    release(placed.hold, "settled")
    assert delete_at("1.2.1").study_gone


def test_what_was_deleted_stays_held_when_a_merge_is_taken_back() -> None:
    moment = Moment(timezone.now())
    mine = study("1.2.1", PatientID="A")
    gone = patient_of(mine)
    study("1.2.2", PatientID="B")
    with transaction.atomic():
        merge(Identifier("A"), PatientFacts((Identifier("B"),)), moment)
    delete_at("1.2.1")
    assert place(gone, "case 7").deleted_instances == 1
    with transaction.atomic():
        restore_identifier(Identifier("A"), moment)
    days_pass(8)
    assert sweep_all().removed == 0


def test_what_went_of_a_held_study_stays_though_it_was_another_patients_then() -> None:
    kept = study("1.2.1", instances=2, PatientID="A")
    uid = Instance.objects.values_list("sop_instance_uid", flat=True)[0]
    delete_at("1.2.1", "1.2.1.1", uid)
    other = patient_of(study("1.2.2", PatientID="B"))
    with transaction.atomic():
        move_studies([kept.pk], other)
    place(other, "case 7")
    days_pass(8)
    assert sweep_all().removed == 0


def test_what_a_hold_keeps_beyond_its_grace_period_can_be_brought_back(manager: Acting) -> None:
    study("1.2.1", instances=2)
    delete_at("1.2.1")
    days_pass(8)
    assert bringing_back.in_window(limit=10) == []
    placed = place("1.2.1", "case 7")
    assert [row.held for row in bringing_back.in_window(limit=10)] == [True]
    bringing_back.ask("1.2.1", by=manager)
    bringing_back.bring_back("1.2.1")
    assert Instance.objects.count() == 2
    release(placed.hold, "settled")


def test_asking_for_holds_reads_no_list_of_all_patients() -> None:
    held = study("1.2.1")
    place(patient_of(held), "case 7")
    Patient.objects.bulk_create(Patient(patient_id=f"X{n}") for n in range(5000))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE archive_patient, archive_legalhold, archive_study")
    for asked in (holds.held_studies().filter(pk=held.pk), DeletedObject.objects.filter(holds.held_objects())):
        assert "Seq Scan on archive_patient" not in asked.explain()


def test_a_hold_on_what_was_merged_away_holds_the_person() -> None:
    mine = study("1.2.1", PatientID="A")
    gone = patient_of(mine)
    study("1.2.2", PatientID="B")
    with transaction.atomic():
        merge(Identifier("A"), PatientFacts((Identifier("B"),)), Moment(timezone.now()))
    assert place(gone, "case 7").studies == 2
    with pytest.raises(Held):
        delete_at("1.2.2")


def test_a_hold_placed_while_a_deletion_runs_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from archive import delete as deleting

    study("1.2.1")
    asked, go_on = Event(), Event()
    ask = refuse_held

    def slowly(pk: int) -> None:
        ask(pk)
        asked.set()
        assert go_on.wait(30)

    monkeypatch.setattr(deleting, "refuse_held", slowly)
    with ThreadPoolExecutor(2) as threads:
        deletion = threads.submit(_closing, delete_at, "1.2.1")
        assert asked.wait(30)
        hold = threads.submit(_closing, place, "1.2.1", "case 7")
        go_on.set()
        assert deletion.result(30).study_gone
        placed = hold.result(30)
    # It waited: what the deletion took is held from now on.
    assert (placed.studies, placed.deleted_instances) == (0, 1)
    days_pass(8)
    assert sweep_all().removed == 0


def test_a_deletion_that_meets_a_hold_being_placed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from custody.retention import holding

    study("1.2.1")
    placing, go_on = Event(), Event()
    locked = holding._locked

    def slowly(target: Any) -> Any:
        found = locked(target)
        placing.set()
        assert go_on.wait(30)
        return found

    monkeypatch.setattr(holding, "_locked", slowly)
    with ThreadPoolExecutor(2) as threads:
        hold = threads.submit(_closing, place, "1.2.1", "case 7")
        assert placing.wait(30)
        deletion = threads.submit(_closing, delete_at, "1.2.1")
        go_on.set()
        assert hold.result(30).studies == 1
        with pytest.raises(Held):
            deletion.result(30)
    assert Instance.objects.count() == 1


def _closing(call: Any, *given: Any) -> Any:
    try:
        return call(*given)
    finally:
        connection.close()
