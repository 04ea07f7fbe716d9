"""The storage of the trail in a whole installation: starts and stops of its processes, and frames that are counted."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from standalone.services.postgres import Postgres
from tests.live.own_postgres import own_postgres, start_again
from tests.live.senders import make_sent, store
from tests.live.server import LivePacs

__all__ = ["own_postgres"]

READERS = 8
APPLICATIONS = ["relay", "task worker", "web server"]


@pytest.fixture
def live() -> Iterator[LivePacs]:
    made = LivePacs()
    try:
        yield made.start()
    finally:
        made.stop()


def eventually(live: LivePacs, sql: str, expected: list[tuple[Any, ...]]) -> None:
    until = time.monotonic() + 60
    while (found := live.query(sql)) != expected and time.monotonic() < until:
        time.sleep(0.2)
    assert found == expected


def test_starts_and_stops_are_in_the_trail(live: LivePacs) -> None:
    """Once for each server and not for each of its processes; what is killed has no stop, and that is told."""
    counted = "SELECT kind, principal_name, count(*) FROM audit_accessevent WHERE kind IN ('started', 'stopped') "
    counted += "GROUP BY 1, 2 ORDER BY 1, 2"
    eventually(live, counted, [("started", name, 1) for name in APPLICATIONS])
    live.kill()
    live.serve()
    eventually(live, counted, [("started", name, 2) for name in APPLICATIONS])
    for service in live.services:
        service.stop()
    stops = [("stopped", name, 1) for name in APPLICATIONS]
    eventually(live, counted, [*[("started", name, 2) for name in APPLICATIONS], *stops])
    assert live.manage("audit_verify").count("never stopped in order") == 3


def test_frames_are_counted_exactly_whatever_is_killed(own_postgres: Postgres) -> None:
    """A4 for frames: the answers and the counts are equal, and after a kill no whole answer is missing."""
    live = LivePacs(database_url=own_postgres.url)
    live.environment["PACS_AUDIT__FRAME_SECONDS"] = "3"
    try:
        live.start()
        session = live.machine("technologist")
        held = make_sent(kilobytes=64)
        assert store(live, session, [held]).status_code == 200
        shown = _read(live, session, held.path, 400)
        eventually(live, "SELECT count(*) FROM audit_frameread", [(0,)])
        events = live.query("SELECT instance_count FROM audit_accessevent WHERE path LIKE '%%frames%%'")
        assert sum(count for (count,) in events) == shown == 400
        assert len(events) < 100, "they are counted together"
        print(f"{shown} answers in {len(events)} events")
        stop = threading.Timer(1.5, _kill, [live, own_postgres])
        stop.start()
        more = _read(live, session, held.path, 100_000)
        stop.join()
        assert more > 20
        start_again(own_postgres)
        live.serve()
        eventually(live, "SELECT count(*) FROM audit_frameread", [(0,)])
        [(counted,)] = live.query(
            "SELECT sum(instance_count)::bigint FROM audit_accessevent WHERE path LIKE '%%frames%%'"
        )
        print(f"{more} whole answers before the kill, {counted - shown} counted")
        assert more <= counted - shown <= more + 2 * READERS
        assert "The trail is what was sealed" in live.manage("audit_verify")
    finally:
        live.stop()


def _read(live: LivePacs, session: requests.Session, path: str, most: int) -> int:
    """So many frames by some readers at once, or until there is no answer; how many whole answers there were."""
    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(lambda _: _read_alone(live, session, path, most // READERS), range(READERS)))


def _read_alone(live: LivePacs, session: requests.Session, path: str, most: int) -> int:
    whole = 0
    with requests.Session() as own:
        own.headers.update(session.headers)
        while whole < most:
            try:
                answer = own.get(f"{live.url}/dicom-web/{path}/frames/1", headers={"Accept": "*/*"}, timeout=30)
            except requests.RequestException:
                break
            if answer.status_code != 200:
                break
            whole += 1
            time.sleep(random.random() / 200)
    return whole


def _kill(live: LivePacs, postgres: Postgres) -> None:
    live.kill()
    assert postgres.pid is not None
    assert postgres.process is not None
    os.kill(postgres.pid, signal.SIGKILL)
    postgres.process.wait()
