"""F6: the broker of the tasks is away, is killed, and forgets everything.

Procedure: four writers store while Valkey gets SIGKILL and stays away for 60 s (short form: 2 s), is started empty, and
is told FLUSHALL once while tasks wait in it.

Pass: at least 99 % of the stores are acknowledged all the while; within 60 s after Valkey is back no task that was due
is undone; FLUSHALL loses none (the outbox sends again what is not done).
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import redis

from standalone.services.valkey import Valkey
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, wait_for_acknowledgement, writing
from tests.live.server import LivePacs

# What a series needs; others wait for their own good reasons.
_UNDONE = "SELECT count(*) FROM archive_outboxentry WHERE kind IN ('series_metadata', 'series_thumbnail')"
_DEAD = "SELECT count(*) FROM archive_outboxentry WHERE dead"
DONE_WITHIN = 60.0
# An entry that was sent and forgotten is sent again a minute later.
DONE_AFTER_FLUSH = 150.0


def seconds_until_done(live: LivePacs, limit: float) -> float:
    """How long it takes until no task of a series is left."""
    began = time.monotonic()
    while live.query(_UNDONE) != [(0,)]:
        assert time.monotonic() - began < limit, f"{live.query(_UNDONE)} tasks are undone after {limit:.0f} s"
        time.sleep(0.25)
    return time.monotonic() - began


def test_the_broker_is_killed_and_forgets(short_folder: Path, oracle: Oracle, figure: Figure, long_form: bool) -> None:
    broker = Valkey(short_folder / "valkey", short_folder / "v.sock", log=short_folder / "valkey.log", throw_away=True)
    broker.start()
    live = LivePacs(redis_url=broker.url)
    try:
        live.start()
        session = live.machine("technologist")
        with writing(live, session, oracle, writers=2, pause=0.5):
            wait_for_acknowledgement(oracle)
            assert broker.process is not None
            os.kill(broker.process.pid, signal.SIGKILL)
            broker.process.wait()
            time.sleep(60 if long_form else 2)
        before = len(oracle.acknowledged)
        broker.start()
        done = seconds_until_done(live, 300.0)
        with writing(live, session, oracle, writers=2, pause=0.5):
            wait_for_acknowledgement(oracle, count=before + 3)
            with redis.Redis(unix_socket_path=str(broker.socket)) as client:
                client.flushall()
        flushed = seconds_until_done(live, DONE_AFTER_FLUSH + 150)
        dead = live.query(_DEAD)[0][0]
        verdict = oracle.judge(live, session)
    finally:
        live.stop()
        broker.stop()
    part = oracle.answers[200] / oracle.answers.total()
    verdict.tell(figure, "F6")
    figure("F6", "acknowledged while the broker was away", f"{100 * part:.2f} %", "99 % at least")
    figure("F6", "tasks done after it is back", f"{done:.1f} s", "60 s")
    figure("F6", "tasks done after FLUSHALL", f"{flushed:.1f} s", "all, when they are sent again")
    figure("F6", "tasks given up", dead, "0")
    assert verdict.clean, verdict
    assert part >= 0.99
    assert dead == 0
    if long_form:
        assert done < DONE_WITHIN
        assert flushed < DONE_AFTER_FLUSH
