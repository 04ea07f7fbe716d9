"""Frames read in a window: one event at once, one with the exact sum afterwards, whatever happens in between."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from audit import frame_reads
from audit.frame_reads import fold, record_frames
from audit.kinds import RETRIEVE
from audit.models import AccessEvent, FrameRead
from audit.record import AuditUnavailable, NewAccessEvent
from audit.sealing import seal
from tests.audit.logs import rows

pytestmark = pytest.mark.django_db(transaction=True)
READERS, READS = 8, 60


def a_read(**fields: Any) -> NewAccessEvent:
    read = NewAccessEvent(
        kind=RETRIEVE,
        principal_kind="person",
        principal_id="p1",
        principal_name="dr.example",
        token_id="ab12",
        roles=["radiologist"],
        source_ip="192.0.2.17",
        request_id="r1",
        path="/dicom-web/studies/<study>/frames",
        rule="grant:7",
        study_uids=["1.2.3"],
        series_uid="1.2.3.4",
        instance_uid="1.2.3.4.5",
        patient_ids=["PAT-1"],
        instance_count=1,
        bytes=100,
        query="frames=1",
    )
    return dataclasses.replace(read, **fields)


def answers() -> int:
    counted = FrameRead.objects.aggregate(n=Sum("answers"))["n"] or 0
    return counted + (AccessEvent.objects.aggregate(n=Sum("instance_count"))["n"] or 0)


def test_a_window_is_two_events_with_exact_sums() -> None:
    for number in range(10):
        record_frames(
            a_read(request_id=f"r{number}", bytes=100 + number, series_uid=f"1.2.3.{number % 3}"), frames=number + 1
        )
    [opened] = AccessEvent.objects.values()
    assert (opened["request_id"], opened["instance_count"], opened["query"]) == ("r0", 1, "frames=1")
    assert fold() == 0, "the window is still open"
    assert fold(after=0) == 1
    assert not FrameRead.objects.exists()
    [_, folded] = AccessEvent.objects.order_by("sequence").values()
    assert (folded["instance_count"], folded["bytes"]) == (9, sum(range(101, 110)))
    assert folded["query"].startswith("54 frames in 9 further answers until 20")
    assert folded["query"].endswith("; series 1.2.3.0: 21; series 1.2.3.1: 15; series 1.2.3.2: 18")
    own = {"sequence", "recorded_at", "series_uid", "instance_uid", "instance_count", "bytes", "query"}
    assert {name: value for name, value in folded.items() if name not in own} == {
        name: value for name, value in opened.items() if name not in own
    }
    assert (folded["series_uid"], folded["instance_uid"]) == ("", "")
    assert seal() == 2


def test_a_single_series_is_named() -> None:
    for _ in range(3):
        record_frames(a_read(), frames=1)
    fold(after=0)
    assert AccessEvent.objects.get(instance_count=2).series_uid == "1.2.3.4"


@pytest.mark.parametrize(
    "difference",
    [
        {"principal_id": "p2"},
        {"token_id": "cd34"},
        {"study_uids": ["1.2.4"]},
        {"rule": "grant:8"},
        {"source_ip": "192.0.2.18"},
        {"roles": ["radiologist", "administrator"]},
        {"purpose": "TREATMENT"},
        {"patient_ids": ["PAT-2"]},
    ],
    ids=lambda it: next(iter(it)),
)
def test_what_the_answers_do_not_share_opens_a_window(difference: dict[str, Any]) -> None:
    for read in (a_read(), a_read(**difference), a_read(), a_read(**difference)):
        record_frames(read, frames=1)
    assert AccessEvent.objects.count() == 2
    assert fold(after=0) == 2
    for read in (a_read(), a_read(**difference)):
        [name] = difference
        same = [row for row in AccessEvent.objects.all() if getattr(row, name) == getattr(read, name)]
        assert [row.instance_count for row in same] == [1, 1]


def test_a_process_that_dies_loses_no_count() -> None:
    for _ in range(5):
        record_frames(a_read(), frames=1)
    frame_reads.forget()  # what a process knows dies with it
    for _ in range(5):
        record_frames(a_read(), frames=1)
    assert AccessEvent.objects.count() == 2
    assert fold(after=0) == 2
    assert answers() == 10


def test_what_comes_after_the_fold_is_folded_later() -> None:
    for _ in range(3):
        record_frames(a_read(), frames=1)
        fold(after=0)
    assert [row.instance_count for row in AccessEvent.objects.order_by("sequence")] == [1, 1, 1]
    assert answers() == 3


def test_many_readers_while_others_fold() -> None:
    done = threading.Event()

    def read() -> None:
        try:
            for _ in range(READS):
                record_frames(a_read(), frames=2)
        finally:
            connection.close()

    def keep_folding() -> None:
        try:
            while not done.is_set():
                fold(after=0)
        finally:
            connection.close()

    folders = [threading.Thread(target=keep_folding) for _ in range(2)]
    for folder in folders:
        folder.start()
    with ThreadPoolExecutor(READERS) as pool:
        for reader in [pool.submit(read) for _ in range(READERS)]:
            reader.result()
    done.set()
    for folder in folders:
        folder.join()
    fold(after=0)
    assert not FrameRead.objects.exists()
    totals = AccessEvent.objects.aggregate(answers=Sum("instance_count"), bytes=Sum("bytes"))
    assert totals == {"answers": READERS * READS, "bytes": READERS * READS * 100}


def test_readers_at_once_have_rows_of_their_own() -> None:
    """Nobody waits for a count that is not committed yet."""
    record_frames(a_read(), frames=1)
    record_frames(a_read(), frames=1)
    with ThreadPoolExecutor(1) as pool:

        def read() -> None:
            record_frames(a_read(), frames=1)
            connection.close()

        with transaction.atomic():
            rows("SELECT * FROM audit_frameread FOR UPDATE")
            pool.submit(read).result()
    assert FrameRead.objects.count() == 2
    assert answers() == 3


@pytest.mark.parametrize("seconds", [0, 60])
def test_within_a_transaction_or_without_windows_each_is_an_event(
    seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings.PACS.audit, "frame_seconds", seconds)
    if seconds:
        with transaction.atomic():
            for _ in range(3):
                record_frames(a_read(), frames=1)
    else:
        for _ in range(3):
            record_frames(a_read(), frames=1)
    assert AccessEvent.objects.count() == 3
    assert not FrameRead.objects.exists()


def test_a_window_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 25))
    monkeypatch.setattr("audit.frame_reads.time.monotonic", lambda: next(clock))
    for _ in range(6):
        record_frames(a_read(), frames=1)
    assert AccessEvent.objects.count() > 1
    assert answers() == 6


@pytest.fixture
def plain_role() -> Iterator[str]:
    """Somebody who may do with the trail what an installation's own role may, and is no superuser."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE plain_reader; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain_reader")
        cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO plain_reader; SET ROLE plain_reader")
        yield "plain_reader"
        cursor.execute("RESET ROLE; DROP OWNED BY plain_reader; DROP ROLE plain_reader")


def test_a_trail_that_takes_nothing_takes_no_counts_either(plain_role: str) -> None:
    record_frames(a_read(), frames=1)
    record_frames(a_read(), frames=1)
    with connection.cursor() as cursor:
        cursor.execute(f"RESET ROLE; REVOKE INSERT ON audit_accessevent FROM {plain_role}; SET ROLE {plain_role}")
    with pytest.raises(AuditUnavailable):
        record_frames(a_read(), frames=1)
    assert answers() == 2


def test_without_a_trail_nothing_is_counted() -> None:
    record_frames(a_read(), frames=1)
    rename = "ALTER TABLE {} RENAME TO {}"
    with connection.cursor() as cursor:
        cursor.execute(rename.format("audit_accessevent", "elsewhere"))
        try:
            with pytest.raises(AuditUnavailable):
                record_frames(a_read(), frames=1)
        finally:
            cursor.execute(rename.format("elsewhere", "audit_accessevent"))
    record_frames(a_read(), frames=1)
    assert answers() == 2
