"""Extended query tags against the real index and object store: the walk, deletions, and writers that meet them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.uid import generate_uid

from archive import extended_reindex, extended_tags, metadata, outbox
from archive.delete import Deleted, delete
from archive.errors import ArchiveUnavailable
from archive.extended_datetime import in_utc
from archive.extended_declaration import ExtendedAttribute, checked
from archive.extended_extraction import Unsearchable, values_of
from archive.intake import Stored
from archive.locate import Address
from archive.models import (
    ExtendedTag,
    ExtendedTagError,
    ExtendedValue,
    Instance,
    OutboxEntry,
    Reindex,
    Series,
    SeriesDocument,
    Study,
)
from archive.object_store import object_store
from archive.store import Batching, store
from archive.tasks import TASKS
from archive.undelete import undelete
from audit import kinds
from audit.record import NewAccessEvent, record
from tests.dicomweb.objects import make_object

pytestmark = pytest.mark.django_db(transaction=True)

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)
KVP, INSTITUTION = "00180060", "00080080"


@pytest.fixture(autouse=True)
def _empty_object_store(settings: Any, tmp_path: Path) -> None:
    settings.PACS = settings.PACS.model_copy(update={"data": tmp_path})


def store_all(objects: Iterable[bytes], batching: Batching = BATCHING) -> list[Stored]:
    def write_down(batch: Sequence[Stored]) -> None:
        record([NewAccessEvent(kind=kinds.STORE, principal_kind="system", instance_count=len(batch))])

    return list(store([iter([data]) for data in objects], batching=batching, record=write_down))


def nothing() -> None:
    pass


def write_down_delete(deleted: Deleted) -> None:
    record([NewAccessEvent(kind=kinds.DELETE, principal_kind="system", instance_count=deleted.instances)])


def delete_at(*uids: str) -> Deleted:
    return delete(Study.objects.all(), Address(*uids), deleted_by="somebody", record=write_down_delete)


def declare(*wanted: tuple[str, str]) -> str:
    attributes = [checked(path, "", level, "") for path, level in wanted]
    return extended_tags.declare(attributes, nothing).hex


def work() -> None:
    for _ in range(3):
        for pk in OutboxEntry.objects.filter(kind__startswith="extended").values_list("pk", flat=True):
            outbox.run(pk, TASKS)


def values(path: str) -> list[str]:
    rows = ExtendedValue.objects.filter(tag__path=path)
    return sorted(rows.values_list("value", flat=True))


def in_two_series(study: str) -> list[bytes]:
    """Two series of two instances each."""
    return [
        make_object(StudyInstanceUID=study, SeriesInstanceUID=series, KVP=kvp, InstitutionName=f"I{kvp}")
        for series, kvps in ((generate_uid(), (1, 2)), (generate_uid(), (3, 3)))
        for kvp in kvps
    ]


# --- the walk


def test_the_walk_goes_on_where_it_stopped() -> None:
    """One series a step, as if the worker had died after each; and again from the start, without effect."""
    store_all(make_object(KVP=n) for n in range(5))
    walk = declare((KVP, "Instance"))
    done = []
    while extended_reindex._step(Reindex.objects.get().pk):
        done.append(Reindex.objects.get().done)
        assert len(values(KVP)) == done[-1]
    assert done == [1, 2, 3, 4, 5]
    assert extended_tags.declared_at(KVP).status == "ready"
    ExtendedTag.objects.update(status="adding")
    Reindex.objects.update(finished=False, last_series=0, done=0)
    extended_reindex.reindex(walk)
    assert (len(values(KVP)), Reindex.objects.get().done) == (5, 5)


def test_a_worker_that_dies_within_a_step_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    store_all(make_object(KVP=n) for n in range(3))
    walk = declare((KVP, "Instance"))
    [entry] = OutboxEntry.objects.filter(kind=outbox.EXTENDED_REINDEX).values_list("pk", flat=True)
    write = extended_reindex._write

    def die(*arguments: Any) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(extended_reindex, "_write", die)
    with pytest.raises(KeyboardInterrupt):
        outbox.run(entry, TASKS)
    assert (values(KVP), Reindex.objects.get().last_series) == ([], 0)
    monkeypatch.setattr(extended_reindex, "_write", write)
    outbox.run(entry, TASKS)
    assert (len(values(KVP)), Reindex.objects.get(pk=walk).finished) == (3, True)
    assert not OutboxEntry.objects.filter(pk=entry).exists()


def test_a_long_walk_is_cut_into_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outbox would send a task again, and at last give it up, that runs for longer than it waits."""
    store_all(make_object(KVP=n) for n in range(3))
    declare((KVP, "Instance"))
    monkeypatch.setattr(extended_reindex, "SLICE_SECONDS", 0.0)
    for done in (1, 2, 3):
        entry = OutboxEntry.objects.get(kind=outbox.EXTENDED_REINDEX)
        outbox.run(entry.pk, TASKS)
        assert Reindex.objects.get().done == done
        assert OutboxEntry.objects.get(pk=entry.pk).attempts == 0
    work()
    assert Reindex.objects.get().finished


def test_two_workers_at_once_count_each_instance_once() -> None:
    store_all(make_object(KVP=n) for n in range(12))
    walk = declare((KVP, "Instance"))
    start = Barrier(2)

    def run(_: int) -> None:
        try:
            start.wait(30)
            extended_reindex.reindex(walk)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(run, range(2)))
    row = Reindex.objects.get()
    assert (row.done, row.finished, sorted(values(KVP), key=int)) == (12, True, [str(n) for n in range(12)])


def test_a_damaged_object_is_an_error_and_no_end() -> None:
    series = str(generate_uid())
    study = str(generate_uid())
    store_all([make_object(StudyInstanceUID=study, SeriesInstanceUID=series, KVP=n) for n in (1, 2)])
    store_all([make_object(KVP=3)])
    for row in Series.objects.all():
        metadata.prepare(str(row.pk))
    lost = Instance.objects.order_by("pk").first()
    assert lost is not None
    object_store().delete(SeriesDocument.objects.get(series=lost.series_id).object_key)
    object_store().delete(lost.object_key)
    declare((KVP, "Instance"))
    work()
    assert len(values(KVP)) == 2
    assert "3" in values(KVP)
    assert extended_tags.declared_at(KVP).status == "ready"
    [error] = ExtendedTagError.objects.all()
    assert (error.sop_instance_uid, error.reason) == (lost.sop_instance_uid, extended_reindex.UNREADABLE)


def test_a_store_that_is_away_is_waited_for(settings: Any, tmp_path: Path) -> None:
    store_all([make_object(KVP=1)])
    metadata.prepare(str(Series.objects.get().pk))
    walk = declare((KVP, "Instance"))
    away = tmp_path / "store"
    away.rename(tmp_path / "away")
    with pytest.raises(ArchiveUnavailable):
        extended_reindex.reindex(walk)
    (tmp_path / "away").rename(away)
    work()
    assert (values(KVP), ExtendedTagError.objects.count()) == (["1"], 0)


# --- writers that meet


def test_what_is_being_stored_while_a_tag_is_declared_has_its_values() -> None:
    """The declaration waits for the transaction that doesn't know it; the next one writes the values itself."""
    entered, go_on = Event(), Event()

    def slow(batch: Sequence[Stored]) -> None:
        entered.set()
        assert go_on.wait(30)

    def store_slowly() -> None:
        try:
            list(store([iter([make_object(KVP=1)])], batching=BATCHING, record=slow))
        finally:
            connection.close()

    def declare_meanwhile() -> None:
        try:
            declare((KVP, "Instance"))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as others:
        storing = others.submit(store_slowly)
        assert entered.wait(30)
        declaring = others.submit(declare_meanwhile)
        with pytest.raises(TimeoutError):
            declaring.result(0.5)
        go_on.set()
        storing.result(30)
        declaring.result(30)
    store_all([make_object(KVP=2)])
    assert values(KVP) == ["2"]
    work()
    assert sorted(values(KVP)) == ["1", "2"]


def test_storing_deleting_and_walking_at_once_agree_in_the_end() -> None:
    studies = [str(generate_uid()) for _ in range(6)]
    for study in studies[:3]:
        store_all(in_two_series(study))
    walk = declare((KVP, "Series"), (INSTITUTION, "Study"), ("EchoTime", "Instance"))
    start = Barrier(3)

    def together(do: Any) -> None:
        try:
            start.wait(30)
            do()
        finally:
            connection.close()

    def storing() -> None:
        for study in studies[3:]:
            store_all(in_two_series(study), Batching(1, 1 << 28, 1 << 28))

    with ThreadPoolExecutor(3) as others:
        jobs = [lambda: extended_reindex.reindex(walk), storing, lambda: [delete_at(study) for study in studies[:2]]]
        list(others.map(together, jobs))
    work()
    assert Study.objects.count() == 4
    assert values(INSTITUTION) == sorted(["I1", "I2", "I3"] * 4)
    assert values(KVP) == sorted(["1", "2", "3"] * 4)


# --- deletions


def test_a_deletion_takes_the_values_along_and_undelete_brings_them_back() -> None:
    declare((KVP, "Series"), (INSTITUTION, "Study"), ("EchoTime", "Instance"), ("ImageComments", "Instance"))
    work()
    study = str(generate_uid())
    objects = [
        make_object(StudyInstanceUID=study, KVP=n, InstitutionName="A", EchoTime=n, ImageComments="x" * 70_000)
        for n in (1, 2)
    ]
    store_all(objects)
    assert (ExtendedValue.objects.count(), ExtendedTagError.objects.count()) == (5, 2)
    delete_at(study)
    assert (ExtendedValue.objects.count(), ExtendedTagError.objects.count()) == (0, 0)
    assert len(list(undelete(study))) == 2
    assert (ExtendedValue.objects.count(), ExtendedTagError.objects.count()) == (5, 2)


def test_after_the_deletion_of_a_part_the_rest_says_what_it_says() -> None:
    declare((KVP, "Series"), (INSTITUTION, "Study"))
    work()
    study = str(generate_uid())
    stored = store_all(in_two_series(study))
    assert (values(KVP), values(INSTITUTION)) == (["1", "2", "3"], ["I1", "I2", "I3"])
    gone = Instance.objects.select_related("series").get(sop_instance_uid=stored[0].sop_instance_uid)
    delete_at(study, gone.series.series_instance_uid, gone.sop_instance_uid)
    work()
    assert (values(KVP), values(INSTITUTION)) == (["2", "3"], ["I2", "I3"])
    delete_at(study, gone.series.series_instance_uid)
    assert values(KVP) == ["3"], "gone with its series"
    work()
    assert (values(KVP), values(INSTITUTION)) == (["3"], ["I3"])
    assert not OutboxEntry.objects.filter(kind__startswith="extended").exists()


def test_a_deletion_needs_no_more_queries_for_more_instances() -> None:
    declare((KVP, "Series"), ("EchoTime", "Instance"))
    work()
    counts = []
    for many in (1, 8):
        study = str(generate_uid())
        store_all(make_object(StudyInstanceUID=study, KVP=n, EchoTime=n) for n in range(many))
        with CaptureQueriesContext(connection) as queries:
            delete_at(study)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert not ExtendedValue.objects.exists()


def test_a_tag_that_is_taken_back_goes_with_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extended_tags, "_REMOVED_AT_ONCE", 2)
    store_all(make_object(KVP=n, EchoTime=n) for n in range(5))
    declare((KVP, "Instance"), ("EchoTime", "Instance"))
    work()
    extended_tags.remove(KVP, nothing)
    store_all([make_object(KVP=9, EchoTime=9)])
    assert "9" not in values(KVP)
    work()
    assert not ExtendedTag.objects.filter(path=KVP).exists()
    assert (len(values("00180081")), ExtendedValue.objects.count()) == (6, 6)


def test_a_tag_that_is_taken_back_while_it_is_indexed_gets_no_more_values() -> None:
    store_all(make_object(KVP=n) for n in range(3))
    walk = declare((KVP, "Instance"))
    assert extended_reindex._step(Reindex.objects.get().pk)
    extended_tags.remove(KVP, nothing)
    extended_reindex.reindex(walk)
    assert len(values(KVP)) == 1
    work()
    assert (ExtendedTag.objects.count(), ExtendedValue.objects.count(), Reindex.objects.count()) == (0, 0, 0)


def test_a_batch_costs_no_query_more_while_nothing_is_declared() -> None:
    """The statement that locks the studies of a batch asks for the tags as well."""
    with CaptureQueriesContext(connection) as without:
        store_all([make_object(KVP=1)])
    about_tags = [q["sql"] for q in without if "extended" in q["sql"]]
    assert about_tags
    assert all("FROM archive_study" in sql for sql in about_tags)


def test_values_are_found_by_an_index() -> None:
    """Enough values for the planner to prefer one."""
    declare((KVP, "Instance"), ("Manufacturer", "Instance"))
    of_kvp, of_maker = ExtendedTag.objects.order_by("-path").values_list("pk", flat=True)
    ExtendedValue.objects.bulk_create(
        ExtendedValue(tag_id=tag, owner_id=n, position=0, value=f"{prefix}{n}")
        for tag, prefix in ((of_kvp, ""), (of_maker, "maker "))
        for n in range(20_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE archive_extendedvalue")
        for tag, condition, text in ((of_kvp, "=", "77"), (of_maker, "LIKE", "%r 1777%")):
            sql = f"EXPLAIN SELECT owner_id FROM archive_extendedvalue WHERE tag_id = %s AND value {condition} %s"  # noqa: S608
            cursor.execute(sql, [tag, text])
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan, plan


# --- values


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("20240305101500.5+0130", "", "20240305084500.5"),
        ("20240305101500", "-0500", "20240305151500"),
        ("2024030500+0130", "", "202403042230"),
        ("2024030500+0100", "", "2024030423"),
        ("20240305+0100", "", "20240305"),
        ("2024", "", "2024"),
        ("20241231235960+0000", "", "20241231235960"),
        ("00010101000000+1400", "", "00010101000000"),
        ("20240231101500+0100", "", "20240231101500"),
        ("20240305101500", "nonsense", "20240305101500"),
    ],
)
def test_moments_in_utc(text: str, zone: str, expected: str) -> None:
    assert in_utc(text, zone) == expected


@pytest.mark.parametrize(
    ("vr", "element", "expected"),
    [
        ("LO", {"vr": "LO", "Value": ["a ", None, " b"]}, ["a", "b"]),
        ("LO", {"vr": "LO"}, []),
        ("LO", {"vr": "LO", "Value": ["x" * 300]}, ["x" * 256]),
        ("DS", {"vr": "DS", "Value": [1.50, 2, None, 1e300]}, ["1.5", "2", "1e+300"]),
        ("IS", {"vr": "LO", "Value": ["0012"]}, ["12"]),
        ("UV", {"vr": "UV", "Value": [2**64 - 1]}, [str(2**64 - 1)]),
        ("US", {"vr": "UN", "InlineBinary": "AQACAA=="}, ["1", "2"]),
        ("LO", {"vr": "UN", "InlineBinary": "YcO8IA=="}, ["aü"]),
        ("DA", {"vr": "DA", "Value": ["2024.03.05"]}, ["20240305"]),
        ("TM", {"vr": "TM", "Value": ["10:15:30"]}, ["101530"]),
        ("PN", {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Phonetic": "c"}]}, ["A^B==c"]),
        ("DS", {"vr": "DS", "Value": ["x"]}, Unsearchable),
        ("DS", {"vr": "DS", "Value": [True]}, Unsearchable),
        ("DS", {"vr": "LO", "Value": ["1e999"]}, Unsearchable),
        ("IS", {"vr": "LO", "Value": ["9" * 400]}, Unsearchable),
        ("DA", {"vr": "DA", "Value": ["yesterday"]}, Unsearchable),
        ("TM", {"vr": "TM", "Value": ["noon"]}, Unsearchable),
        ("DT", {"vr": "DT", "Value": ["20241301"]}, Unsearchable),
        ("LO", {"vr": "OB", "InlineBinary": "AQACAA=="}, Unsearchable),
        ("LO", {"vr": "UT", "BulkDataURI": "x"}, Unsearchable),
        ("LO", {"vr": "SQ", "Value": [{}]}, Unsearchable),
        ("IS", {"vr": "IS", "Value": list(range(1001))}, Unsearchable),
    ],
)
def test_what_becomes_of_values(vr: str, element: dict[str, Any], expected: Any) -> None:
    attribute = ExtendedAttribute("00091001", vr, "instance", "C")
    data_set = orjson.loads(orjson.dumps({"00090012": {"vr": "LO", "Value": ["C "]}, "00091201": element}))
    if expected is Unsearchable:
        with pytest.raises(Unsearchable) as refused:
            values_of(attribute, data_set)
        assert "yesterday" not in str(refused.value)
    else:
        assert [value.text for value in values_of(attribute, data_set)] == expected
