"""F18: clients that send or read slowly, or not at all.

Procedure: 200 half heads, 200 bodies that stall (100 by strangers, 100 stores at a byte a second), 200 answers that
nobody reads, all at once (short form: 200, 80 and 40); meanwhile probes of ``/livez`` and of a search. Those that say
nothing are watched until the server closes them.

Pass: at least 99 % of the probes are answered 200; their 95th percentile is at most 1 s, or 10 times that of the quiet
server (held to in the long form; never 8 s); no web process grows by more than 512 MiB; the silent are gone after 90 s.
More about slow clients: ``tests/live/test_slow_clients.py``.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.faults.conftest import Figure
from tests.live.senders import Sent, make_sent, store
from tests.live.server import LivePacs
from tests.live.test_slow_clients import (
    Begin,
    a_late_body,
    a_slow_store,
    an_unread_answer,
    connect,
    ended,
    half_a_head,
)

PATIENCE = 8.0  # what the machine itself may pause for; who waits for somebody slow waits 10 s and more
PATHS = ("/livez", "/dicom-web/studies?limit=1")
SHORT: list[tuple[Begin, int]] = [(half_a_head, 200), (a_late_body, 40), (a_slow_store, 40), (an_unread_answer, 40)]
LONG: list[tuple[Begin, int]] = [(half_a_head, 200), (a_late_body, 100), (a_slow_store, 100), (an_unread_answer, 200)]


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_everybody_else_is_served(file_store: LivePacs, sockets: ExitStack, figure: Figure, long_form: bool) -> None:
    session = file_store.machine("technologist")
    large = make_sent(kilobytes=32 * 1024)  # more than the kernel's buffers take
    assert store(file_store, session, [large]).status_code == 200
    quiet, _ = probe(file_store, session, 10, [])
    before = file_store.resident_bytes()
    crowd = LONG if long_form else SHORT
    wires = begin(file_store, session, large, crowd, sockets)
    took, refused = probe(file_store, session, 60 if long_form else 20, wires[a_slow_store])
    grown = max(0, file_store.resident_bytes() - before)
    late = percentile(took)
    figure("F18", "slow connections", sum(count for _, count in crowd), "600 in the long form")
    figure("F18", "probes answered 200", f"{len(took) - refused} of {len(took)}", "99 %")
    figure("F18", "95th percentile of a probe", f"{late * 1000:.0f} ms", "1 s, or 10 times the quiet server's")
    figure("F18", "95th percentile of a probe when quiet", f"{percentile(quiet) * 1000:.0f} ms", "")
    figure("F18", "a web process grew by", f"{grown >> 20} MiB", "512 MiB at most")
    assert refused <= len(took) / 100
    assert max(took) < PATIENCE, took
    assert not long_form or late <= max(1.0, 10 * percentile(quiet))
    assert grown < 512 << 20
    if long_form:
        began = time.monotonic()
        left = sum(not ended(wire, max(0.01, 90 - (time.monotonic() - began))) for wire in wires[half_a_head])
        figure("F18", "silent connections left after 90 s", left, "0")
        assert left == 0


def begin(
    live: LivePacs, session: requests.Session, large: Sent, crowd: list[tuple[Begin, int]], sockets: ExitStack
) -> dict[Begin, list[socket.socket]]:
    """Open them all, each with what it says at first."""
    wires: dict[Begin, list[socket.socket]] = {}
    for do, count in crowd:
        for _ in range(count):
            wire = connect(live, sockets, buffer=4096 if do is an_unread_answer else 0)
            wire.sendall(do(live, session, large))
            wires.setdefault(do, []).append(wire)
    return wires


def probe(live: LivePacs, session: requests.Session, count: int, slow: list[socket.socket]) -> tuple[list[float], int]:
    """Seconds that each probe took, and how many were not 200; those who are ``slow`` send a byte now and then."""
    took, refused, began = [], 0, time.monotonic()
    for number in range(count):
        for path in PATHS:
            start = time.monotonic()
            answer = requests.get(f"{live.url}{path}", headers=dict(session.headers), timeout=30)
            took.append(time.monotonic() - start)
            refused += answer.status_code != 200
        for wire in slow:
            with contextlib.suppress(OSError):
                wire.sendall(b"x")
        if slow:
            time.sleep(max(0.0, began + 0.75 * (number + 1) - time.monotonic()))
    return took, refused


def percentile(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]
