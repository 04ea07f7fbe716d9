"""F8: the worker is killed in the middle of transcoding at rest.

Procedure: studies are imported and wait to be transcoded; every half second one of the worker's processes gets SIGKILL,
every twelfth time all of them. 40 studies and 60 s (short form: 8 studies, 10 s).

Pass: each original is what it was (SHA-256); each representation decodes to the same pixels (``transcode --verify``);
all is done within 5 minutes after the last kill, and no task is dead.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy
import psycopg
import pytest
from pydicom.uid import generate_uid

from standalone.programs import Relay, Worker
from standalone.services.service import Service
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.live.server import LivePacs

SLICES = 6
# Every so many kills the whole worker goes, otherwise one of the processes that work for it.
WHOLE = 12
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    seconds: float
    studies: int
    edge: int


SHORT, LONG = Size(10, 8, 384), Size(60, 40, 512)


@pytest.fixture
def size(long_form: bool) -> Size:
    return LONG if long_form else SHORT


@pytest.fixture
def live(tmp_path: Path, size: Size) -> Iterator[LivePacs]:
    installation = LivePacs()
    # At once, and at the priority of everybody else: other tests may want the processor as well.
    installation.environment |= {"PACS_AT_REST__DELAY_SECONDS": "0", "PACS_AT_REST__NICENESS": "0"}
    try:
        installation.install()
        for study in range(size.studies):
            write_study(tmp_path, study, size.edge)
        installation.manage("import_dicom", str(tmp_path))
        yield installation
    finally:
        installation.stop()


def write_study(folder: Path, number: int, edge: int) -> None:
    uid, series, chance = generate_uid(), generate_uid(), numpy.random.default_rng(number)
    y, x = numpy.mgrid[0:edge, 0:edge]
    for instance in range(SLICES):
        picture = 1000 + 500 * numpy.sin(x / 40 + instance) * numpy.cos(y / 30) + chance.integers(0, 32, (edge, edge))
        ds = make_data_set(
            StudyInstanceUID=uid,
            SeriesInstanceUID=series,
            InstanceNumber=instance + 1,
            PatientID=f"K{number}",
            Rows=edge,
            Columns=edge,
            PixelData=picture.astype("<u2").tobytes(),
        )
        (folder / f"{number}-{instance}.dcm").write_bytes(to_bytes(ds))


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def kill_for(live: LivePacs, seconds: float) -> dict[str, int]:
    """Every half second one of the worker's processes gets SIGKILL; now and then all of them, and another starts."""
    chance, killed = random.Random(5), {"children": 0, "workers": 0}
    until, next_kill = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < until:
        [worker] = [service for service in live.services if service.name == "worker"]
        children = descendants(worker.pid or 0)
        if (sum(killed.values()) + 1) % WHOLE == 0 or gone(worker):
            live.kill("worker")
            for child in children:  # those that have a session of their own
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            live.serve_worker()
            killed["workers"] += 1
        elif children:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(children), signal.SIGKILL)
            killed["children"] += 1
        next_kill = max(next_kill + 0.5, time.monotonic())
        time.sleep(max(0.0, next_kill - time.monotonic()))
    return killed


def gone(worker: Service) -> bool:
    return worker.process is None or worker.process.poll() is not None


def state(live: LivePacs) -> str:
    tasks = live.query("SELECT subject, attempts, dead, last_error, not_before FROM archive_outboxentry")
    tries = live.query("SELECT instance_id, tries, outcome, reason FROM archive_transcodingattempt")
    return "\n".join([str(tasks), str(tries), *(service.tail() for service in live.services)])


def originals(live: LivePacs) -> dict[str, bytes]:
    rows = live.query("SELECT object_key, object_sha256 FROM archive_instance")
    return {key: bytes(sha256) for key, sha256 in rows}


def digest(live: LivePacs, key: str) -> bytes:
    [path] = live.home.rglob(f"objects/{key}")
    return hashlib.sha256(path.read_bytes()).digest()


def made(live: LivePacs) -> int:
    [[count]] = live.query("SELECT count(*) FROM archive_representation")
    return int(count)


def eventually(live: LivePacs, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while made(live) < count and time.monotonic() < until:
        # One whose processes are killed while they start ends by itself; `./pacs up` starts another.
        if any(gone(service) for service in live.services if service.name == "worker"):
            live.kill("worker")
            live.serve_worker()
        time.sleep(0.5)
    assert made(live) >= count, state(live)


def a_minute_passes(live: LivePacs) -> None:
    """For all that was begun and never ended, which is otherwise left alone so long."""
    with psycopg.connect(live.environment["PACS_DATABASE_URL"], autocommit=True) as connection:
        connection.execute("UPDATE archive_outboxentry SET not_before = statement_timestamp()")
        connection.execute("UPDATE archive_transcodingattempt SET updated_at = updated_at - interval '1 minute'")


def whole(live: LivePacs) -> int:
    """How many representations there are; each has the bytes that its row says."""
    rows = live.query("SELECT object_key, object_sha256 FROM archive_representation")
    assert all(digest(live, key) == bytes(sha256) for key, sha256 in rows)
    return len(rows)


def test_nothing_is_lost_and_all_is_done_afterwards(live: LivePacs, size: Size, figure: Figure) -> None:
    before = originals(live)
    assert len(before) == size.studies * SLICES
    live.services = [
        Worker(live.home / "worker.log", live.environment),
        Relay(live.home / "relay.log", live.environment),
    ]
    for service in live.services:
        service.start()
    eventually(live, 1)
    killed = kill_for(live, size.seconds)
    assert sum(killed.values()) > size.seconds / 4, killed
    whole(live)
    began = time.monotonic()
    if size is SHORT:
        a_minute_passes(live)
    eventually(live, len(before))
    took = time.monotonic() - began
    assert whole(live) == len(before), state(live)
    assert originals(live) == before
    unchanged = sum(digest(live, key) == sha256 for key, sha256 in before.items())
    assert unchanged == len(before)
    assert live.query("SELECT count(*) FROM archive_transcodingattempt") == [(0,)]
    assert live.query("SELECT count(*) FROM archive_outboxentry WHERE dead") == [(0,)]
    assert f"{len(before)} representations are sound, 0 are not" in live.manage("transcode", "--verify", "--all")
    figure("F8", "kills of worker processes", sum(killed.values()), "one each half second")
    figure("F8", "originals unchanged", f"{unchanged} of {len(before)}", "all")
    figure("F8", "representations that decode to other pixels", 0, "0")
    figure("F8", "all done after the last kill", f"{took:.0f} s", "300 s")
