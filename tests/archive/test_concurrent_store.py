"""Writers that meet: the same instance, the same UID with other bytes, the same study, in threads of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from pydicom.uid import generate_uid

from archive import index
from archive.intake import DUPLICATE_SOP_INSTANCE, Stored
from archive.models import ChangeFeedEntry, Instance, OutboxEntry, Patient, Series, Study
from archive.object_store import object_store
from archive.outbox import Wish, wish
from archive.store import Batching, store
from audit import kinds
from audit.models import AccessEvent
from audit.record import NewAccessEvent, record
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db(transaction=True)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def write_down(batch: Sequence[Stored]) -> None:
    record([NewAccessEvent(kind=kinds.STORE, principal_kind="system", instance_count=len(batch))])


def store_all(objects: Iterable[bytes], batching: Batching = BATCHING) -> list[Stored]:
    return list(store([iter([data]) for data in objects], batching=batching, record=write_down))


def at_once(batches: Sequence[Sequence[bytes]], batching: Batching = BATCHING) -> list[list[Stored]]:
    """Each batch by a writer of its own, all starting together."""
    start = Barrier(len(batches))
    object_store()

    def write(batch: Sequence[bytes]) -> list[Stored]:
        try:
            start.wait(60)
            return store_all(batch, batching)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(batches)) as writers:
        return list(writers.map(write, batches))


def the_index_agrees_with_the_store() -> bool:
    """Every row's object is there with its bytes, no object is without a row, and the counts are right."""
    rows = {i.object_key: bytes(i.object_sha256) for i in Instance.objects.all()}
    keeper = object_store()
    found = {key: hashlib.sha256(b"".join(keeper.open_range(key))).digest() for key in keeper.keys("instances/")}
    assert found == rows
    for series in Series.objects.all():
        assert series.number_of_series_related_instances == series.instances.count()
    for study in Study.objects.all():
        assert study.number_of_study_related_series == study.series.count()
        assert study.number_of_study_related_instances == Instance.objects.filter(series__study=study).count()
    assert ChangeFeedEntry.objects.count() == len(rows)
    return True


def test_sixteen_writers_of_one_instance_make_one() -> None:
    data = make_object()
    results = [stored for [stored] in at_once([[data]] * 16)]
    assert [s.failure_reason for s in results] == [None] * 16
    assert sum(not s.duplicate for s in results) == 1
    assert Instance.objects.count() == Patient.objects.count() == 1
    assert AccessEvent.objects.count() == 16
    assert the_index_agrees_with_the_store()


def test_of_other_bytes_under_one_uid_one_wins() -> None:
    uid, study = generate_uid(), generate_uid()
    objects = [make_object(SOPInstanceUID=uid, StudyInstanceUID=study, InstanceNumber=n) for n in range(8)]
    results = [stored for [stored] in at_once([[data] for data in objects])]
    winners = [data for data, s in zip(objects, results, strict=True) if s.failure_reason is None]
    assert len(winners) == 1
    assert sorted(s.failure_reason for s in results if s.failure_reason) == [DUPLICATE_SOP_INSTANCE] * 7
    assert bytes(Instance.objects.get().object_sha256) == hashlib.sha256(winners[0]).digest()
    assert the_index_agrees_with_the_store()


def test_a_study_that_everybody_writes_into() -> None:
    study, series = generate_uid(), [generate_uid() for _ in range(3)]
    batches = [
        [
            make_object(StudyInstanceUID=study, SeriesInstanceUID=series[(writer + n) % 3], InstanceNumber=n)
            for n in range(12)
        ]
        for writer in range(8)
    ]
    results = at_once(batches, Batching(instances=3, total_bytes=1 << 28, object_bytes=1 << 28))
    assert [s.failure_reason for batch in results for s in batch] == [None] * 96
    assert Study.objects.get().number_of_study_related_instances == 96
    assert the_index_agrees_with_the_store()


def test_writers_that_meet_in_every_order_wait_for_each_other() -> None:
    """Each writer names the patients, studies, series and instances in an order of its own."""
    identities = [(generate_uid(), generate_uid(), generate_uid(), f"P{n}") for n in range(6)]
    objects = [
        make_object(StudyInstanceUID=study, SeriesInstanceUID=series, SOPInstanceUID=uid, PatientID=patient)
        for study, series, uid, patient in identities
    ]
    turned = [objects[turn:] + objects[:turn] for turn in range(6)]
    results = at_once([batch if number % 2 else batch[::-1] for number, batch in enumerate(turned)])
    assert all(s.failure_reason is None for batch in results for s in batch)
    assert sum(not s.duplicate for batch in results for s in batch) == 6
    assert the_index_agrees_with_the_store()


def test_a_deadlock_is_tried_again() -> None:
    """Two transactions that surely wait for each other: ours is ended by PostgreSQL, and comes again."""
    first, second = make_object(), make_object()
    store_all([first])
    [series] = Series.objects.values_list("pk", flat=True)
    in_the_way, released = Barrier(2), Barrier(2)

    def obstruct() -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # PostgreSQL ends whoever notices first: make sure that it isn't this one.
                cursor.execute("SET LOCAL deadlock_timeout = '30s'")
                wish([Wish("obstacle", "1")])
                in_the_way.wait(30)
                released.wait(30)
                cursor.execute("SELECT 1 FROM archive_series WHERE id = %s FOR UPDATE", [series])
        finally:
            connection.close()

    calls: list[int] = []

    def record_in_the_way(batch: Sequence[Stored]) -> None:
        calls.append(1)
        if len(calls) == 1:
            in_the_way.wait(30)
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM archive_series WHERE id = %s FOR UPDATE", [series])
            released.wait(30)
            wish([Wish("obstacle", "1")])

    with ThreadPoolExecutor(1) as other:
        obstacle = other.submit(obstruct)
        [stored] = store([iter([second])], batching=BATCHING, record=record_in_the_way)
        obstacle.result(60)
    assert stored.failure_reason is None
    assert len(calls) == 2
    assert OutboxEntry.objects.filter(kind="obstacle").count() == 1
    assert the_index_agrees_with_the_store()


def test_a_migration_between_two_batches_of_one_connection_stops_neither() -> None:
    """The type of a column that a plan returns has changed since: the batch comes again, with a new plan."""
    study = generate_uid()
    assert [stored.failure_reason for stored in store_all([make_object(StudyInstanceUID=study)])] == [None]
    info = connection.connection.info
    change = "ALTER TABLE archive_study ALTER number_of_study_related_series TYPE {}"
    with psycopg.connect(info.dsn, password=info.password, autocommit=True) as other:
        other.execute(change.format("bigint"))
        try:
            assert [stored.failure_reason for stored in store_all([make_object(StudyInstanceUID=study)])] == [None]
        finally:
            other.execute(change.format("integer"))
    assert the_index_agrees_with_the_store()


def test_whoever_made_a_study_does_not_wait_for_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two missing studies one is made by somebody else at that moment, who holds it on. The made one is given back
    before the other is waited for: its holder may be waiting for it."""
    first, second = sorted(generate_uid() for _ in range(2))
    mine = [make_object(StudyInstanceUID=uid) for uid in (first, second)]
    theirs = make_object(StudyInstanceUID=first)
    insert = index._insert_parents
    held: list[psycopg.Connection[Any]] = []

    def store_theirs() -> None:
        store_all([theirs])
        connection.close()

    def overtaken_once(*words: Any) -> list[int]:
        monkeypatch.setattr(index, "_insert_parents", insert)
        with ThreadPoolExecutor(1) as other:
            other.submit(store_theirs).result(60)
        holder = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor})
        held.append(holder)
        holder.execute("SELECT FROM archive_study WHERE study_instance_uid = %s FOR UPDATE", [first])
        return insert(*words)

    def let_go(seconds: float) -> None:
        # Between two attempts nothing is held: the holder of the first study can have the second one.
        assert not Study.objects.filter(study_instance_uid=second).exists()
        held[0].execute("SET lock_timeout = '1s'")
        held[0].execute("SELECT FROM archive_patient FOR UPDATE")
        held[0].close()

    monkeypatch.setattr(index, "_insert_parents", overtaken_once)
    monkeypatch.setattr("archive.store.time.sleep", let_go)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
    try:
        assert all(stored.failure_reason is None for stored in store_all(mine))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert held
    assert held[0].closed
    assert the_index_agrees_with_the_store()
