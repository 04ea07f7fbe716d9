"""Delete against the real index and object store: counts, grace, sweep, undelete, and writers that meet it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid

from archive import metadata, outbox, thumbnail_task
from archive.delete import Deleted, delete
from archive.errors import NotFound
from archive.index_rows import execute
from archive.intake import DUPLICATE_SOP_INSTANCE, Stored
from archive.locate import Address, locate_series
from archive.models import (
    ChangeFeedEntry,
    DeletedObject,
    Instance,
    MetadataFragment,
    OutboxEntry,
    Patient,
    Series,
    SeriesDocument,
    Study,
    ThumbnailPack,
)
from archive.object_store import object_store
from archive.store import Batching, store
from archive.sweep import Swept, sweep_all, sweep_recent
from archive.undelete import undelete
from audit import kinds
from audit.models import AccessEvent
from audit.record import NewAccessEvent, record
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db(transaction=True)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def store_all(objects: Iterable[bytes]) -> list[Stored]:
    def write_down(batch: Sequence[Stored]) -> None:
        record([NewAccessEvent(kind=kinds.STORE, principal_kind="system", instance_count=len(batch))])

    return list(store([iter([data]) for data in objects], batching=BATCHING, record=write_down))


def write_down_delete(deleted: Deleted) -> None:
    kind = kinds.DELETE if deleted.study_gone else kinds.DELETE_INSTANCES
    record([NewAccessEvent(kind=kind, principal_kind="system", instance_count=deleted.instances)])


def delete_at(*uids: str) -> Deleted:
    return delete(Study.objects.all(), Address(*uids), deleted_by="somebody", record=write_down_delete)


def stored_keys() -> set[str]:
    return set(object_store().keys())


def run_tasks() -> None:
    """Everything that the outbox holds for soon, now: what is transcoded at rest has tests of its own."""
    tasks = {
        outbox.SERIES_METADATA: metadata.prepare,
        outbox.SERIES_THUMBNAIL: thumbnail_task.prepare_thumbnails,
    }
    for entry in OutboxEntry.objects.filter(kind__in=tasks).order_by("pk"):
        outbox.run(entry.pk, tasks)


def time_passes(days: float) -> None:
    """What was deleted lies further back by so many days."""
    execute(
        "UPDATE archive_deletedobject SET sweep_after = sweep_after - d * interval '1 day', "
        "deleted_at = deleted_at - d * interval '1 day' FROM {rows} AS k (d)",
        ["float8"],
        [[days]],
    )


def the_counts_are_right() -> bool:
    for series in Series.objects.all():
        assert series.number_of_series_related_instances == series.instances.count() > 0
        assert f'"00201209":{{"vr":"IS","Value":[{series.instances.count()}]}}' in series.answer
    for study in Study.objects.all():
        modalities = sorted(set(study.series.exclude(modality="").values_list("modality", flat=True)))
        instances = Instance.objects.filter(series__study=study).count()
        assert study.modalities_in_study == modalities
        assert study.number_of_study_related_series == study.series.count() > 0
        assert study.number_of_study_related_instances == instances
        assert f'"00201206":{{"vr":"IS","Value":[{study.series.count()}]}}' in study.answer
        assert f'"00201208":{{"vr":"IS","Value":[{instances}]}}' in study.answer
        for modality in ("CT", "SR", "MR"):
            assert (f'"{modality}"' in study.answer) == (modality in modalities)
    rows = {i.object_key: bytes(i.object_sha256) for i in Instance.objects.all()}
    for key, sha256 in rows.items():
        assert hashlib.sha256(b"".join(object_store().open_range(key))).digest() == sha256
    return True


class Case:
    """A study of a CT series of three slices and an SR series of one, beside another study of the same patient."""

    def __init__(self) -> None:
        self.study, self.other = generate_uid(), generate_uid()
        self.ct, self.sr = generate_uid(), generate_uid()
        self.slices = [generate_uid() for _ in range(3)]
        self.report = generate_uid()
        self.objects = {
            uid: make_object(
                StudyInstanceUID=self.study, SeriesInstanceUID=self.ct, SOPInstanceUID=uid, InstanceNumber=n
            )
            for n, uid in enumerate(self.slices, 1)
        }
        self.objects[self.report] = make_object(
            StudyInstanceUID=self.study,
            SeriesInstanceUID=self.sr,
            SOPInstanceUID=self.report,
            Modality="SR",
            SeriesNumber=2,
        )
        assert all(
            s.failure_reason is None
            for s in store_all([*self.objects.values(), make_object(StudyInstanceUID=self.other)])
        )


@pytest.fixture
def case() -> Case:
    return Case()


def test_an_instance_goes_and_everything_follows(case: Case) -> None:
    run_tasks()
    pack = ThumbnailPack.objects.get(series__series_instance_uid=case.ct).object_key
    assert pack in stored_keys()
    deleted = delete_at(case.study, case.ct, case.slices[1])
    assert (deleted.instances, deleted.bytes, deleted.study_gone) == (1, len(case.objects[case.slices[1]]), False)
    assert the_counts_are_right()
    series = Series.objects.get(series_instance_uid=case.ct)
    assert (series.number_of_series_related_instances, series.thumbnail_instance) == (2, None)
    others = (outbox.AT_REST, outbox.RECONCILE, "study_facts")
    wishes = set(OutboxEntry.objects.exclude(kind__in=others).values_list("kind", "subject"))
    assert wishes == {(outbox.SERIES_METADATA, str(series.pk)), (outbox.SERIES_THUMBNAIL, str(series.pk))}
    [[found]] = [locate_series(Study.objects.all(), Address(case.study, case.ct))]
    text = metadata.series_document(found, "http://root").text().decode()
    assert [uid in text for uid in case.slices] == [True, False, True]
    run_tasks()
    left = series.instances.values_list("pk", flat=True)
    assert Series.objects.get(pk=series.pk).thumbnail_instance in left
    again = ThumbnailPack.objects.get(series=series)
    assert again.object_key != pack
    assert again.instance_ids == sorted(left)
    assert DeletedObject.objects.get(object_key=pack).deleted_by == "derived"
    [kept] = DeletedObject.objects.exclude(sop_instance_uid="")
    assert (kept.study_instance_uid, kept.series_instance_uid, kept.sop_instance_uid, kept.deleted_by) == (
        case.study,
        case.ct,
        case.slices[1],
        "somebody",
    )
    assert bytes(kept.sha256) == hashlib.sha256(case.objects[case.slices[1]]).digest()
    assert kept.size == len(case.objects[case.slices[1]])
    assert kept.sweep_after - kept.deleted_at == timedelta(days=7)
    assert kept.object_key in stored_keys()


def test_metadata_of_what_is_left_is_not_parsed_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tasks()
    delete_at(case.study, case.ct, case.slices[0])

    def never(*_: Any) -> None:
        raise AssertionError("a stored object was opened for metadata")

    monkeypatch.setattr(metadata, "parse", never)
    [series] = locate_series(Study.objects.all(), Address(case.study, case.ct))
    text = metadata.series_document(series, "http://root").text().decode()
    assert [uid in text for uid in case.slices] == [False, True, True]


def test_a_modality_goes_with_its_last_series(case: Case) -> None:
    assert Study.objects.get(study_instance_uid=case.study).modalities_in_study == ["CT", "SR"]
    deleted = delete_at(case.study, case.sr)
    assert (deleted.instances, deleted.study_gone) == (1, False)
    assert Study.objects.get(study_instance_uid=case.study).modalities_in_study == ["CT"]
    assert the_counts_are_right()


def test_the_last_instance_takes_series_and_study_with_it(case: Case) -> None:
    for uid in case.slices:
        assert not delete_at(case.study, case.ct, uid).study_gone
    assert not Series.objects.filter(series_instance_uid=case.ct).exists()
    assert delete_at(case.study, case.sr, case.report).study_gone
    assert list(Study.objects.values_list("study_instance_uid", flat=True)) == [case.other]
    assert Patient.objects.count() == 1
    assert the_counts_are_right()
    assert [e.kind for e in AccessEvent.objects.order_by("sequence")][1:] == ["delete_instances"] * 3 + ["delete"]


def test_a_study_goes_at_once_in_one_transaction(case: Case) -> None:
    run_tasks()
    derived = set(
        SeriesDocument.objects.filter(series__study__study_instance_uid=case.study).values_list("object_key", flat=True)
    )
    assert len(derived) == 2
    before = stored_keys()
    ids = list(Series.objects.filter(study__study_instance_uid=case.study).values_list("pk", flat=True))
    deleted = delete_at(case.study)
    assert (deleted.instances, deleted.study_gone) == (4, True)
    assert stored_keys() == before
    assert not Instance.objects.filter(sop_instance_uid__in=case.objects).exists()
    assert not MetadataFragment.objects.filter(series__in=ids).exists()
    assert derived <= set(DeletedObject.objects.filter(sop_instance_uid="").values_list("object_key", flat=True))
    news = (
        ChangeFeedEntry.objects.filter(action="delete").order_by("sequence").values_list("sop_instance_uid", flat=True)
    )
    assert list(news) in ([*case.slices, case.report], [case.report, *case.slices])
    assert the_counts_are_right()


def test_nothing_happens_when_the_record_fails(case: Case) -> None:
    def fail(_: Deleted) -> None:
        raise RuntimeError("no trail")

    with pytest.raises(RuntimeError):
        delete(Study.objects.all(), Address(case.study), deleted_by="x", record=fail)
    assert Instance.objects.count() == 5
    assert not DeletedObject.objects.exists()
    assert not ChangeFeedEntry.objects.filter(action="delete").exists()
    assert the_counts_are_right()


def test_again_is_fine_while_it_is_remembered(case: Case) -> None:
    addresses = [(case.study, case.ct, case.slices[0]), (case.study, case.ct), (case.study,)]
    for address in addresses:
        assert delete_at(*address).instances > 0
    for address in addresses:
        assert delete_at(*address).instances == 0
    assert ChangeFeedEntry.objects.filter(action="delete").count() == 4
    for unknown in [(generate_uid(),), (case.other, generate_uid()), (case.study, case.sr, case.slices[0])]:
        with pytest.raises(NotFound):
            delete_at(*unknown)
    time_passes(8)
    sweep_all()
    for address in addresses:
        with pytest.raises(NotFound):
            delete_at(*address)


def test_a_limited_scope_neither_deletes_nor_learns(case: Case) -> None:
    limited = Study.objects.filter(study_instance_uid=case.other)
    with pytest.raises(NotFound):
        delete(limited, Address(case.study), deleted_by="x", record=write_down_delete)
    assert Instance.objects.count() == 5
    delete_at(case.study)
    with pytest.raises(NotFound):
        delete(limited, Address(case.study), deleted_by="x", record=write_down_delete)
    assert delete(limited, Address(case.other), deleted_by="x", record=write_down_delete).study_gone


def test_queries_do_not_grow_with_instances_or_series() -> None:
    def queries(series: int, instances: int) -> int:
        study, uids = generate_uid(), [generate_uid() for _ in range(series)]
        store_all(
            [
                make_object(StudyInstanceUID=study, SeriesInstanceUID=uid, InstanceNumber=n)
                for uid in uids
                for n in range(instances)
            ]
        )
        with CaptureQueriesContext(
            connection,
        ) as captured:
            delete_at(study)
        return len(captured)

    assert queries(1, 1) == queries(12, 5)


def test_the_sweep_removes_what_is_due_and_nothing_else(case: Case) -> None:
    run_tasks()
    delete_at(case.study, case.ct)
    gone = set(DeletedObject.objects.exclude(sop_instance_uid="").values_list("object_key", flat=True))
    live = set(Instance.objects.values_list("object_key", flat=True))
    assert len(gone) == 3
    time_passes(6.9)
    assert sweep_all() == Swept(removed=2)  # the series' document and picture
    assert gone <= stored_keys()
    time_passes(0.2)
    size = sum(len(case.objects[uid]) for uid in case.slices)
    assert sweep_all(dry_run=True) == Swept(removed=3, bytes=size)
    assert gone <= stored_keys()
    assert sweep_all() == Swept(removed=3, bytes=size)
    assert not gone & stored_keys()
    assert live <= stored_keys()
    assert not DeletedObject.objects.exists()
    purge = AccessEvent.objects.latest("sequence")
    assert (purge.kind, purge.action, purge.principal_name) == ("delete", "D", "sweep")
    assert (purge.study_uids, purge.instance_count, purge.bytes) == ([case.study], 3, size)
    assert sweep_all() == Swept()
    assert the_counts_are_right()


def test_an_orphan_is_noted_first_and_removed_a_day_later(case: Case) -> None:
    orphans = ["instances/2020/01/02/03-04/00ff.dcm", "derived/thumbnails/2020/01/02/00ff.jpg"]
    for key in orphans:
        object_store().put(key, b"left behind")
    object_store().put("backups/2020/01/02/a.tar", b"not ours to judge")
    before = stored_keys()
    assert sweep_all(dry_run=True) == Swept(noted=2)
    assert not DeletedObject.objects.exists()
    assert sweep_all() == Swept(noted=2)
    assert sweep_all() == Swept()
    time_passes(0.99)
    assert sweep_all() == Swept()
    assert stored_keys() == before
    time_passes(0.02)
    assert sweep_all().removed == 2
    assert stored_keys() == before - set(orphans)
    assert the_counts_are_right()


def test_an_object_that_is_just_being_stored_survives_every_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep sees the object before its row is committed, notes it, and finds it held when its day has come."""
    data, published, may_commit = make_object(), Event(), Event()

    def pause(batch: Sequence[Stored]) -> None:
        published.set()
        assert may_commit.wait(60)

    def write() -> list[Stored]:
        try:
            return list(store([iter([data])], batching=BATCHING, record=pause))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        assert published.wait(60)
        assert sweep_all() == Swept(noted=1)
        may_commit.set()
        assert writing.result(60)[0].failure_reason is None
    time_passes(2)
    assert sweep_all() == Swept()
    assert the_counts_are_right()
    # Noted, then stored, then deleted: the whole grace period counts.
    DeletedObject.objects.create(object_key=Instance.objects.get().object_key, sweep_after=Now(), deleted_by="orphan")
    delete_at(Study.objects.get().study_instance_uid)
    assert sweep_all().removed == 0
    assert len(stored_keys()) == 1


def test_the_task_sweeps_the_last_days(case: Case) -> None:
    key = Instance.objects.order_by("pk").values_list("object_key", flat=True)[0]
    recent, old = key.rpartition("/")[0] + "/00ff.dcm", "instances/2020/01/02/03-04/00ff.dcm"
    for orphan in (recent, old):
        object_store().put(orphan, b"left behind")
    sweep_recent("all")
    assert set(DeletedObject.objects.values_list("object_key", flat=True)) == {recent}
    time_passes(1.1)
    sweep_recent("all")
    assert recent not in stored_keys()
    assert old in stored_keys()
    assert the_counts_are_right()


def test_undelete_brings_back_every_byte(case: Case) -> None:
    delete_at(case.study, case.ct, case.slices[0])
    delete_at(case.study)
    assert not Instance.objects.filter(sop_instance_uid__in=case.objects).exists()
    assert all(s.failure_reason is None for s in undelete(case.study))
    for uid, data in case.objects.items():
        row = Instance.objects.get(sop_instance_uid=uid)
        assert b"".join(object_store().open_range(row.object_key)) == data
    assert the_counts_are_right()
    event = AccessEvent.objects.latest("sequence")
    assert (event.kind, event.principal_kind, event.study_uids, event.instance_count) == (
        "store",
        "system",
        [case.study],
        4,
    )
    assert event.outcome_description == "brought back after a deletion"
    with pytest.raises(NotFound):
        list(undelete(case.study))
    time_passes(8)
    sweep_all()
    assert the_counts_are_right()
    assert len([k for k in stored_keys() if k.startswith("instances/")]) == 5


def test_undelete_tells_what_it_can_not_bring_back(case: Case) -> None:
    delete_at(case.study)
    [replaced, damaged, lost] = case.slices
    store_all(
        [
            make_object(
                StudyInstanceUID=case.study, SeriesInstanceUID=case.ct, SOPInstanceUID=replaced, InstanceNumber=99
            )
        ]
    )
    keys = dict(DeletedObject.objects.values_list("sop_instance_uid", "object_key"))
    object_store().delete(keys[lost])
    object_store().delete(keys[damaged])
    object_store().put(keys[damaged], case.objects[damaged][:-2] + b"!!")
    out = io.StringIO()
    call_command("undelete", case.study, stdout=out)
    assert "1 instances brought back, 3 not" in out.getvalue()
    assert f"({DUPLICATE_SOP_INSTANCE:04X})" in out.getvalue()
    assert damaged in out.getvalue()
    assert lost in out.getvalue()
    assert set(
        Instance.objects.filter(series__study__study_instance_uid=case.study).values_list("sop_instance_uid", flat=True)
    ) == {
        replaced,
        case.report,
    }
    assert the_counts_are_right()
    with pytest.raises(CommandError, match="nothing of this study"):
        call_command("undelete", generate_uid())


def test_the_sweep_command_counts(case: Case) -> None:
    delete_at(case.study)
    time_passes(8)
    out = io.StringIO()
    call_command("sweep", "--dry-run", stdout=out)
    assert "4 objects would be removed" in out.getvalue()
    assert DeletedObject.objects.count() == 4
    call_command("sweep", stdout=out)
    assert "4 objects removed" in out.getvalue()
    assert not DeletedObject.objects.exists()


def test_a_deleted_instance_can_be_stored_again_as_a_new_object(case: Case) -> None:
    uid = case.slices[0]
    first = Instance.objects.get(sop_instance_uid=uid).object_key
    delete_at(case.study, case.ct, uid)
    other = make_object(StudyInstanceUID=case.study, SeriesInstanceUID=case.ct, SOPInstanceUID=uid, InstanceNumber=7)
    [stored] = store_all([other])
    assert (stored.failure_reason, stored.duplicate) == (None, False)
    row = Instance.objects.get(sop_instance_uid=uid)
    assert row.object_key != first
    assert b"".join(object_store().open_range(row.object_key)) == other
    [series] = locate_series(Study.objects.all(), Address(case.study, case.ct))
    text = metadata.series_document(series, "http://root").text()
    assert text.count(b'"00080018":') == 3
    time_passes(8)
    sweep_all()
    assert the_counts_are_right()


def test_a_store_that_waits_for_a_delete_makes_the_study_anew(case: Case) -> None:
    """The study's row is there when the writer looks, and gone when it may lock it."""
    deleted, may_commit = Event(), Event()

    def hold(what: Deleted) -> None:
        write_down_delete(what)
        deleted.set()
        assert may_commit.wait(60)

    def erase() -> Deleted:
        try:
            return delete(Study.objects.all(), Address(case.study), deleted_by="x", record=hold)
        finally:
            connection.close()

    new = make_object(StudyInstanceUID=case.study, SeriesInstanceUID=case.ct)

    def write() -> list[Stored]:
        try:
            return store_all([new])
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        with transaction.atomic():
            # Both wait here: the deletion first, then the writer, behind it.
            list(Study.objects.select_for_update().filter(study_instance_uid=case.study))
            erasing = threads.submit(erase)
            wait_for_locks(1)
            writing = threads.submit(write)
            wait_for_locks(2)
        assert deleted.wait(60)
        may_commit.set()
        assert erasing.result(60).study_gone
        assert writing.result(60)[0].failure_reason is None
    assert Study.objects.get(study_instance_uid=case.study).number_of_study_related_instances == 1
    assert the_counts_are_right()


def wait_for_locks(number: int) -> None:
    for _ in range(600):
        with connection.cursor() as cursor:
            # Within a transaction the view is read once only.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            [[waiting]] = cursor.fetchall()
        if waiting >= number:
            return
        Event().wait(0.05)
    raise AssertionError(f"never {number} waiting for a lock")


def test_writers_and_deleters_never_deadlock() -> None:
    """Stores and deletes of every level about the same studies, in orders of their own, for some rounds."""
    studies = [generate_uid() for _ in range(3)]
    series = {study: [generate_uid() for _ in range(2)] for study in studies}
    objects = [
        make_object(StudyInstanceUID=study, SeriesInstanceUID=uid, InstanceNumber=n)
        for study in studies
        for uid in series[study]
        for n in range(4)
    ]
    store_all(objects)
    deadlocks = deadlocks_so_far()
    start = Barrier(6)

    def write(seed: int) -> None:
        chance = random.Random(seed)
        try:
            start.wait(60)
            for _ in range(6):
                batch = chance.sample(objects, 8)
                assert all(s.failure_reason is None for s in store_all(batch))
        finally:
            connection.close()

    def erase(seed: int) -> None:
        chance = random.Random(seed)
        try:
            start.wait(60)
            for _ in range(12):
                study = chance.choice(studies)
                address = (study,) if chance.random() < 0.4 else (study, chance.choice(series[study]))
                with contextlib.suppress(NotFound):
                    delete_at(*address)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(write, n) for n in range(3)] + [threads.submit(erase, n) for n in range(3)]
        for one in running:
            one.result(120)
    assert deadlocks_so_far() == deadlocks
    assert the_counts_are_right()
    for uid in set(ChangeFeedEntry.objects.values_list("sop_instance_uid", flat=True)):
        actions = list(
            ChangeFeedEntry.objects.filter(sop_instance_uid=uid).order_by("sequence").values_list("action", flat=True)
        )
        assert actions == [("create", "delete")[n % 2] for n in range(len(actions))]
        assert (actions[-1] == "create") == Instance.objects.filter(sop_instance_uid=uid).exists()
    held = set(Instance.objects.values_list("object_key", flat=True))
    remembered = set(DeletedObject.objects.values_list("object_key", flat=True))
    assert held | remembered == {key for key in stored_keys() if key.startswith("instances/")}
    assert not held & remembered


def deadlocks_so_far() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        [[number]] = cursor.fetchall()
    return int(number)
