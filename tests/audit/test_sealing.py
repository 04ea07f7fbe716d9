"""Positions without gaps, whoever commits when, however many seal."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

from audit import tree
from audit.merkle import Frontier, root_of
from audit.models import AccessEvent, SealedEvent, UnsealedEvent
from audit.record import record
from audit.sealing import seal, seal_batch
from tests.audit.logs import COPY_OF_THE_FIRST, Log, an_event, rows

pytestmark = pytest.mark.django_db(transaction=True)
WRITERS, EVENTS = 16, 100


@pytest.fixture
def slow_writer() -> Iterator[psycopg.Connection]:
    with psycopg.connect(**connection.get_connection_params()) as own:
        yield own
        own.rollback()


def positions() -> list[tuple[int, int]]:
    return list(SealedEvent.objects.order_by("position").values_list("position", "sequence"))


def test_who_commits_late_is_not_skipped(slow_writer: psycopg.Connection) -> None:
    record([an_event()])
    slow_writer.execute(COPY_OF_THE_FIRST)
    record([an_event(), an_event()])
    assert seal() == 3
    slow_writer.commit()
    record([an_event()])
    assert seal() == 2
    first = rows("SELECT min(sequence) FROM audit_accessevent")[0][0]
    assert positions() == [(1, first), (2, first + 2), (3, first + 3), (4, first + 1), (5, first + 4)]
    assert not UnsealedEvent.objects.exists()


def test_what_is_rolled_back_leaves_no_gap(slow_writer: psycopg.Connection) -> None:
    record([an_event()])
    slow_writer.execute(COPY_OF_THE_FIRST)
    slow_writer.rollback()
    with transaction.atomic():
        record([an_event()])
        transaction.set_rollback(True)
    record([an_event()])
    assert seal() == 2
    assert [position for position, _ in positions()] == [1, 2]


def test_batches_make_the_tree_that_one_would_make() -> None:
    record([an_event(request_id=str(number)) for number in range(600)])
    while seal_batch(limit=170):
        pass
    leaves = [bytes(leaf) for leaf in SealedEvent.objects.order_by("position").values_list("leaf_hash", flat=True)]
    assert len(leaves) == 600
    for size in (0, 1, 255, 256, 257, 511, 600):
        assert tree.frontier(size).root() == root_of(leaves[:size])
    whole = Frontier()
    for leaf in leaves:
        whole.append(leaf)
    assert rows("SELECT level::int, index, hash FROM audit_treenode ORDER BY 1, 2") == whole.kept


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize(("table", "column"), [("audit_sealedevent", "position"), ("audit_treenode", "index")])
@pytest.mark.parametrize("replication", ["origin", "replica"])
def test_the_log_is_append_only_too(
    slow_writer: psycopg.Connection, statement: str, table: str, column: str, replication: str
) -> None:
    record([an_event() for _ in range(256)])
    seal()
    slow_writer.execute(f"SET session_replication_role = {replication}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        slow_writer.execute(statement.format(table, column, column))


def test_sixteen_writers_and_two_sealers(tmp_path: Path) -> None:
    """Drill A6: positions 1 to n without a gap, and the trail verifies."""
    done = threading.Event()

    def write(writer: int) -> list[float]:
        took = []
        try:
            for number in range(EVENTS):
                began = time.monotonic()
                record([an_event(request_id=f"{writer}-{number}")])
                took.append(time.monotonic() - began)
        finally:
            connection.close()
        return took

    def keep_sealing() -> None:
        try:
            while not done.is_set():
                seal()
                time.sleep(0.05)
        finally:
            connection.close()

    sealers = [threading.Thread(target=keep_sealing) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    with ThreadPoolExecutor(WRITERS) as pool:
        took = sorted(second for each in pool.map(write, range(WRITERS)) for second in each)
    done.set()
    for sealer in sealers:
        sealer.join()
    log = Log(tmp_path)
    log.grow(1)
    assert [position for position, _ in positions()] == list(range(1, WRITERS * EVENTS + 2))
    assert {sequence for _, sequence in positions()} == set(AccessEvent.objects.values_list("sequence", flat=True))
    report = log.verify()
    assert (report.findings, report.events, report.waiting) == ([], WRITERS * EVENTS + 1, 0)
    print(f"{len(took)} events by {WRITERS} writers: median {took[len(took) // 2] * 1e3:.1f} ms")
