"""F2: the power goes in the middle of storing.

Procedure: PostgreSQL (with the trail) and the folder of objects lie on two loop-mounted ext4 file systems of their
own, so that no fsync of one carries the other's data along. Six writers store; at a random moment both file systems are
shut down without a flush of their journals, all processes get SIGKILL and the broker is emptied; the file systems are
mounted again (which replays their journals) and all is started. 12 cuts (short form: 1).

Simulated is the loss of everything that the kernel had not written through. Not simulated: a disk that loses what it
said it had flushed, and blocks torn in the middle (PostgreSQL's full-page writes are for these).

Pass: nothing acknowledged is lost, nothing is there in part, what was not acknowledged can be sent again and is there
once; the chain of the trail verifies. A second test shows that the cut is a real one: it loses what was not synced.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis

from standalone.services.postgres import Postgres
from tests.faults.conftest import Figure
from tests.faults.loop_disk import LoopDisk, missing
from tests.faults.oracle import Oracle, wait_for_acknowledgement, writing
from tests.live.own_postgres import kill_postgres, start_again
from tests.live.server import LivePacs

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is all that is needed")


@pytest.fixture
def disks() -> Iterator[tuple[LoopDisk, LoopDisk]]:
    """For the objects, and for the database."""
    with ExitStack() as stack:
        made = []
        for _ in range(2):
            made.append(LoopDisk())
            stack.callback(made[-1].remove)
        yield made[0], made[1]


def test_nothing_acknowledged_is_lost(
    disks: tuple[LoopDisk, LoopDisk], short_folder: Path, figure: Figure, long_form: bool
) -> None:
    objects, database = disks
    postgres = Postgres(database.path / "pg", short_folder / "s", log=short_folder / "pg.log")
    home = objects.path / "home"
    home.mkdir()
    verdicts, seed = [], random.randrange(1 << 30)
    postgres.start()
    live = LivePacs(database_url=postgres.url, home=home)
    try:
        live.trust_tokens_for_long().start()
        session = live.machine("technologist")
        os.sync()  # what came before the first cut is not the question
        for number in range(12 if long_form else 1):
            oracle = Oracle()
            with writing(live, session, oracle, seed=seed + 100 * number, until_broken=True):
                wait_for_acknowledgement(oracle)
                time.sleep(random.Random(seed + number).uniform(0, 1.5))
                for disk in random.Random(seed + number).sample([objects, database], 2):
                    disk.cut()
                live.kill()
                kill_postgres(postgres, sessions=True)
            with Redis.from_url(live.environment["PACS_REDIS_URL"]) as broker:
                broker.flushdb()
            for disk in (objects, database):
                disk.unmount()
                disk.mount()
            start_again(postgres)
            live.serve()
            verdict = oracle.judge(live, session)
            assert verdict.clean, (verdict, seed)
            live.manage("audit_verify")
            verdicts.append(verdict)
    finally:
        live.stop()
        postgres.stop()
    figure("F2", "power cuts", len(verdicts), "12 in the long form")
    figure("F2", "acknowledged instances", sum(each.acknowledged for each in verdicts), "more than 0")
    figure("F2", "acknowledged and lost", sum(each.lost_acked for each in verdicts), "0")
    figure("F2", "stored in part", sum(each.partial for each in verdicts), "0")
    figure("F2", "cuts after which the trail verifies", len(verdicts), "all")


def test_the_cut_loses_what_was_not_synced(disks: tuple[LoopDisk, LoopDisk]) -> None:
    disk = disks[0]
    kept, lost = disk.path / "kept", disk.path / "lost"
    with kept.open("wb", buffering=0) as file:
        file.write(b"kept")
        os.fsync(file.fileno())
    lost.write_bytes(b"lost")
    disk.cut()
    disk.unmount()
    disk.mount()
    assert kept.read_bytes() == b"kept"
    assert not lost.exists()
