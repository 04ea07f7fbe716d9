"""F13: poison for the workers.

Procedure: into the list of the broker go bytes that are no JSON, JSON that is no message, tasks of unknown names and a
task with wrong arguments; into the outbox an entry of an unknown kind; and an image that claims 60,000 x 60,000 pixels
is stored. A process that ends is started again, as ``./pacs up`` does. Meanwhile good series are stored: their tasks
have to be done. Ten times (short form: once).

Pass: the tasks of good series are done; what can't be done is dead after 5 tries at most; no process of the worker
grows above 1 GiB; the worker ends no more often than there were poisons that can end it, and lives at the end.
"""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from celery import Celery
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from tests.dicomweb.objects import make_data_set, to_bytes
from tests.faults.conftest import Figure
from tests.live.senders import Sent, make_sent, store
from tests.live.test_outbox import QUEUE, Installation

ATTEMPTS = 5
MOST_BYTES = 1 << 30
GARBAGE = (b"{no json", b"[]", b'"text"', b"12", b"\xff\xfe\x00", b'{"body": 1}', b'{"body": "e30=", "headers": {}}')


@pytest.fixture
def live() -> Iterator[Installation]:
    made = Installation()
    try:
        made.trust_tokens_for_long().start()
        yield made
    finally:
        made.stop()


class Watch:
    """Starts a worker that ended again, and knows how large its processes became."""

    def __init__(self, live: Installation) -> None:
        self.live, self.restarts, self.largest = live, 0, 0

    def look(self) -> None:
        [worker] = [service for service in self.live.services if service.name == "worker"]
        if not worker.alive:
            self.live.kill("worker")
            self.live.serve_worker()
            self.restarts += 1
        self.largest = max([self.largest, *map(resident, family(worker.pid or 0))])


def family(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += family(int(child))
    return found


def resident(pid: int) -> int:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS")), 0)
    return 0


def bomb() -> Sent:
    """A JPEG 2000 header that promises 60,000 x 60,000 pixels, and noise."""
    siz = bytes.fromhex("ff4fff5100290000") + (60_000).to_bytes(4, "big") * 2 + bytes(8)
    siz += (60_000).to_bytes(4, "big") * 2 + bytes(8) + bytes.fromhex("00010f0101")
    data = encapsulate([siz + zlib.compress(bytes(1 << 20)) + b"\xff\xd9"])
    ds = make_data_set(Rows=60_000, Columns=60_000, PixelData=data)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    return Sent(str(ds.SOPInstanceUID), path, to_bytes(ds, JPEG2000Lossless))


def poison(live: Installation) -> int:
    """Everything there is; how many pieces."""
    with live.broker() as broker:
        for piece in GARBAGE:
            broker.lpush(QUEUE, piece)
    app = Celery(broker=f"redis+socket://{live.valkey.socket}", set_as_current=False)
    for name, arguments in (("no.such.task", ()), ("archive.run_outbox_entry", ("x", {}, 3))):
        app.send_task(name, arguments, ignore_result=True)
    app.close()
    live.execute(
        "INSERT INTO archive_outboxentry (kind, subject, generation, attempts, dead, last_error) "
        "VALUES ('no such kind', %s, 1, 0, false, '')",
        uuid.uuid4().hex,
    )
    return len(GARBAGE) + 3


def test_poison_dies_alone(live: Installation, figure: Figure, long_form: bool) -> None:
    session, watch, pieces = live.machine("technologist"), Watch(live), 0
    waits: dict[str, float] = {}
    waits["before"] = until_done(live, watch, stored(live, session, make_sent()), hurry=not long_form)
    rounds = 10 if long_form else 1
    for _ in range(rounds):
        bad = stored(live, session, bomb())
        pieces += poison(live) + 1
        good = stored(live, session, make_sent())
        waits["among poison"] = max(waits.get("among poison", 0.0), until_done(live, watch, good, hurry=not long_form))
        until_settled(live, watch, bad)
    dead = live.query("SELECT kind, attempts FROM archive_outboxentry WHERE dead")
    waits["after"] = until_done(live, watch, stored(live, session, make_sent()), hurry=not long_form)
    until = time.monotonic() + 5
    while time.monotonic() < until:  # one that ends again and again is seen
        watch.look()
        time.sleep(0.2)
    with live.broker() as broker:
        left = broker.llen(QUEUE) + broker.zcard("unacked_index")
    figure("F13", "pieces of poison", pieces, "")
    figure("F13", "tasks tried before they were dead, at most", max(tried for _, tried in dead), f"{ATTEMPTS}")
    figure("F13", "ends of the worker", watch.restarts, f"{len(GARBAGE) * rounds} at most")
    figure("F13", "largest process of the worker", f"{watch.largest >> 20} MiB", f"{MOST_BYTES >> 20} MiB")
    for when, seconds in waits.items():
        figure("F13", f"a good series was done {when} in", f"{seconds:.1f} s", "75 s")
    figure("F13", "messages left in the broker", left, "0")
    assert len([kind for kind, _ in dead if kind == "no such kind"]) == rounds
    assert max(tried for _, tried in dead) <= ATTEMPTS
    assert watch.restarts <= len(GARBAGE) * rounds
    assert watch.largest < MOST_BYTES
    assert left == 0


def stored(live: Installation, session: requests.Session, sent: Sent) -> Sent:
    answer = store(live, session, [sent])
    assert answer.status_code in (200, 202), json.dumps(answer.json())
    return sent


def until_done(live: Installation, watch: Watch, sent: Sent, *, hurry: bool) -> float:
    """Seconds until both tasks of a series were done; in a hurry a minute passes at once for open entries."""
    began = time.monotonic()
    while not live.is_done(sent):
        assert time.monotonic() - began < 240, live.said()
        watch.look()
        if hurry:
            live.later()
        time.sleep(0.3)
    return time.monotonic() - began


def until_settled(live: Installation, watch: Watch, bad: Sent) -> None:
    """Until nothing about the bomb is open any more: done without a picture, or dead."""
    subject, began = str(live.series_of(bad)), time.monotonic()
    open_ones = "SELECT count(*) FROM archive_outboxentry WHERE NOT dead AND (subject = %s OR kind = 'no such kind')"
    while live.query(open_ones, subject) != [(0,)]:
        assert time.monotonic() - began < 240, live.said()
        watch.look()
        live.later()
        time.sleep(0.3)
