"""F17: the web server is told to stop while uploads are under way.

Procedure: 8 uploads of 200 MB at 5 MB/s each, begun 4 s apart, and SIGTERM 36 s after the first: some can end within
the 20 s of grace, some can't. (Short form: 8 of 10 MB, all of which can.)

Pass: nobody new is served; each upload ends, or fails clean, within 30 s; the process ends with 0; the trail has the
stop (DCM 110100 with 110121); the oracle after a new start; no file of a broken upload is left a day later.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.faults.oracle import UNHEARD, Oracle, own_session
from tests.live.rounds import chunked
from tests.live.senders import Sent, post
from tests.live.server import LivePacs

UPLOADS = 8
RATE = 5 << 20
ENDS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    frames: int
    """Of 2 MiB each."""
    apart: float
    term_after: float


SHORT, LONG = Plan(5, 0.0, 0.7), Plan(100, 4.0, 36.0)


@pytest.mark.timeout(600)
def test_uploads_end_or_fail_clean(oracle: Oracle, figure: Figure, long_form: bool) -> None:
    plan = LONG if long_form else SHORT
    live = LivePacs()
    try:
        live.trust_tokens_for_long().start(worker=False)
        session = live.machine("technologist")
        uploads = [large(plan.frames) for _ in range(UPLOADS)]
        threads = [
            threading.Thread(target=upload, args=[live, session, oracle, sent, number * plan.apart])
            for number, sent in enumerate(uploads)
        ]
        for thread in threads:
            thread.start()
        time.sleep(plan.term_after)
        [web] = live.services
        assert web.process is not None
        began = time.monotonic()
        web.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        served = sum(is_served(live) for _ in range(5))
        code = web.process.wait(120)
        took = time.monotonic() - began
        for thread in threads:
            thread.join()
        ended = oracle.answers[200]
        live.services = []
        live.serve(worker=False)
        [[stops]] = live.query("SELECT count(*) FROM audit_accessevent WHERE kind = 'stopped'")
        verdict = oracle.judge(live, session)
        left = a_day_later(live)
    finally:
        live.stop()
    size = plan.frames * 2
    figure("F17", f"uploads of {size} MB that ended after SIGTERM", f"{ended} of {UPLOADS}", "those with time enough")
    figure("F17", "new requests served after SIGTERM", served, "0")
    figure("F17", "ended after", f"{took:.1f} s", f"{ENDS_WITHIN:.0f} s")
    figure("F17", "exit code", code, "0")
    figure("F17", "stop in the trail", stops, "1")
    figure("F17", "files of broken uploads left a day later", len(left), "0")
    verdict.tell(figure, "F17")
    assert sum(oracle.answers.values()) == UPLOADS
    assert (code, stops, served, left) == (0, 1, 0, [])
    assert took <= ENDS_WITHIN
    assert verdict.clean, verdict
    assert set(oracle.answers) <= {200, 503, UNHEARD}
    assert long_form or ended == UPLOADS


def a_day_later(live: LivePacs) -> list[Path]:
    """What is left of broken uploads when the relay has cleared away, as it does every six hours."""
    staging = live.home / "store/staging"
    for file in staging.iterdir():
        os.utime(file, (0, 0))
    live.manage("relay_outbox", "--once")
    return list(staging.iterdir())


def large(frames: int) -> Sent:
    ds = make_data_set(Rows=1024, Columns=1024, NumberOfFrames=frames, PixelData=bytes(2 << 20) * frames)
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    return Sent(str(ds.SOPInstanceUID), path, to_bytes(ds))


def upload(live: LivePacs, session: requests.Session, oracle: Oracle, sent: Sent, wait: float) -> None:
    time.sleep(wait)
    with own_session(session) as own:
        try:
            status = post(live, own, slowly(sent)).status_code
        except requests.RequestException:
            status = UNHEARD
    oracle.answers[status] += 1
    if status == 200:
        oracle.acknowledged.append(sent)
    else:
        oracle.open.append([sent])


def slowly(sent: Sent) -> Iterator[bytes]:
    """At ``RATE``, whatever the pieces are."""
    began, gone = time.monotonic(), 0
    for piece in chunked([sent.data]):
        yield piece
        gone += len(piece)
        time.sleep(max(0.0, gone / RATE - (time.monotonic() - began)))


def is_served(live: LivePacs) -> bool:
    try:
        return requests.get(f"{live.url}/livez", timeout=2).status_code == 200
    except requests.RequestException:
        return False
