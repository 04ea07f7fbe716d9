"""Acceptance 3 of transcoding at rest: workers that are killed every half second lose nothing and break nothing.

``PACS_TRANSCODE_KILL_SECONDS=60 PACS_TRANSCODE_STUDIES=40`` is the long form.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy
import psycopg
import pytest
from pydicom.uid import generate_uid

from standalone.programs import Relay, Worker
from standalone.services.service import Service
from tests.dicomweb.objects import make_data_set, to_bytes
from tests.live.server import LivePacs

SECONDS = float(os.environ.get("PACS_TRANSCODE_KILL_SECONDS", "10"))
STUDIES = int(os.environ.get("PACS_TRANSCODE_STUDIES", "8"))
SLICES = int(os.environ.get("PACS_TRANSCODE_SLICES", "6"))
EDGE = int(os.environ.get("PACS_TRANSCODE_EDGE", "384"))
# Every so many kills the whole worker goes, otherwise one of the processes that work for it.
WHOLE = 12
PATIENCE = 300.0
LONG = SECONDS >= 60


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LivePacs]:
    installation = LivePacs()
    # At once, and at the priority of everybody else: other tests may want the processor as well.
    installation.environment |= {"PACS_AT_REST__DELAY_SECONDS": "0", "PACS_AT_REST__NICENESS": "0"}
    try:
        installation.install()
        for study in range(STUDIES):
            write_study(tmp_path, study)
        installation.manage("import_dicom", str(tmp_path))
        yield installation
    finally:
        installation.stop()


def write_study(folder: Path, number: int) -> None:
    uid, series, chance = generate_uid(), generate_uid(), numpy.random.default_rng(number)
    y, x = numpy.mgrid[0:EDGE, 0:EDGE]
    for instance in range(SLICES):
        picture = 1000 + 500 * numpy.sin(x / 40 + instance) * numpy.cos(y / 30) + chance.integers(0, 32, (EDGE, EDGE))
        ds = make_data_set(
            StudyInstanceUID=uid,
            SeriesInstanceUID=series,
            InstanceNumber=instance + 1,
            PatientID=f"K{number}",
            Rows=EDGE,
            Columns=EDGE,
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


def test_nothing_is_lost_and_all_is_done_afterwards(live: LivePacs) -> None:
    before = originals(live)
    assert len(before) == STUDIES * SLICES
    live.services = [
        Worker(live.home / "worker.log", live.environment),
        Relay(live.home / "relay.log", live.environment),
    ]
    for service in live.services:
        service.start()
    eventually(live, 1)
    killed = kill_for(live, SECONDS)
    assert sum(killed.values()) > SECONDS / 4, killed
    print(f"{killed} killed in {SECONDS:g} s; {whole(live)} of {len(before)} representations made meanwhile")
    began = time.monotonic()
    if not LONG:
        a_minute_passes(live)
    eventually(live, len(before))
    print(f"all done {time.monotonic() - began:.0f} s after the last kill")
    assert whole(live) == len(before), state(live)
    assert originals(live) == before
    assert all(digest(live, key) == sha256 for key, sha256 in before.items())
    assert live.query("SELECT count(*) FROM archive_transcodingattempt") == [(0,)]
    assert live.query("SELECT count(*) FROM archive_outboxentry WHERE dead") == [(0,)]
    assert f"{len(before)} representations are sound, 0 are not" in live.manage("transcode", "--verify", "--all")
