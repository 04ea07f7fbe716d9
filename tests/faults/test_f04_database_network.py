"""F4: the network before the database fails in every way.

Procedure: a TCP proxy stands before PostgreSQL; writers and readers run; it injects in turn resets, cut answers, a
black hole, a freeze, latency (0.4 s a piece), flaky connections (one piece in ten) and a closed port, each for 20 s
(short form: four of them, 1.5 s each), and heals.

Pass: the oracle of all faults; nobody waits longer than 30 s, latency apart, no answer is 500, each 503 says when to
come again; searches work again within 15 s without any process being started anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from pacs_project.postgresql import watch as watching
from pacs_project.postgresql.watch import Watch
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, writing
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.through import BACK_WITHIN, LONGEST, answers, one_known, reading, seconds_until
from tests.live.server import LivePacs

EVERY = (Fault.RESET, Fault.CUT, Fault.BLACKHOLE, Fault.FREEZE, Fault.LATENCY, Fault.FLAKY, Fault.DOWN)
QUICK = (Fault.RESET, Fault.CUT, Fault.FLAKY, Fault.DOWN)
SECONDS, SHORT_SECONDS = 20.0, 1.5


@contextmanager
def behind_a_proxy() -> Iterator[tuple[LivePacs, FaultProxy]]:
    """An installation whose way to the database leads through the proxy."""
    parts = urlsplit(os.environ["PACS_DATABASE_URL"])
    query = parse_qs(parts.query)
    with FaultProxy(str(Path(query["host"][0]) / ".s.PGSQL.5432")) as proxy:
        live = LivePacs()
        live.environment["PACS_DATABASE_URL"] = (
            f"postgresql://{query['user'][0]}@127.0.0.1:{proxy.port}/{live.database}"
        )
        try:
            yield live, proxy
        finally:
            proxy.heal()
            live.stop()


def test_every_fault_of_the_network(oracle: Oracle, figure: Figure, long_form: bool) -> None:
    faults, seconds = (EVERY, SECONDS) if long_form else (QUICK, SHORT_SECONDS)
    backs: dict[Fault, float] = {}
    longest: dict[Fault, float] = {}
    failed: list[str] = []
    with behind_a_proxy() as (live, proxy):
        live.start(worker=long_form)
        session = live.machine("technologist")
        known = one_known(live, session)
        for fault in faults:
            before = len(oracle.seconds)
            with writing(live, session, oracle, writers=3), reading(live, session, known) as heard:
                time.sleep(1)
                proxy.inject(fault)
                time.sleep(seconds)
                proxy.heal()
                backs[fault] = seconds_until(lambda: answers(live, session, "dicom-web/studies?limit=1"))
            longest[fault] = max([heard.longest, *oracle.seconds[before:]])
            print(fault, dict(heard.answers), f"longest {longest[fault]:.1f} s, back after {backs[fault]:.1f} s")
            failed += [told for told in heard.told if told.startswith("500")]
            failed += ["no Retry-After"] * heard.without_retry_after
            assert not heard.wrong_bytes
            assert heard.count(0) == 0, f"{fault}: {heard.answers}"
        verdict = oracle.judge(live, session)
    verdict.tell(figure, "F4")
    waits = {fault: found for fault, found in longest.items() if fault is not Fault.LATENCY}
    figure("F4", "longest answer, latency apart", f"{max(waits.values()):.1f} s", "30 s at the most")
    figure("F4", "answers of 500", oracle.answers[500] + len(failed), "0")
    figure("F4", "searching again after, at the most", f"{max(backs.values()):.1f} s", "15 s")
    assert verdict.clean, verdict
    assert not failed, failed
    assert set(oracle.answers) <= {200, 503}, oracle.answers
    assert max(waits.values()) < LONGEST, longest
    assert max(backs.values()) < BACK_WITHIN + LONGEST * (not long_form), backs


def test_who_waits_for_a_frozen_server_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of F4 that takes long with a whole installation: a freeze is seen, and so is its end."""
    monkeypatch.setattr(watching, "SUSPICIOUS_SECONDS", 0.5)
    monkeypatch.setattr(watching, "PROBE_SECONDS", 2)
    parts = urlsplit(os.environ["PACS_DATABASE_URL"])
    query = parse_qs(parts.query)
    with FaultProxy(str(Path(query["host"][0]) / ".s.PGSQL.5432")) as proxy:
        parameters: dict[str, Any] = {"host": "127.0.0.1", "port": proxy.port, "user": query["user"][0]}
        parameters["dbname"] = parts.path[1:]
        watch = Watch()
        with psycopg.connect(**parameters, autocommit=True) as connection:
            watch.add(connection, parameters)
            proxy.inject(Fault.FREEZE)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            assert watch.away_since is not None
            proxy.heal()
            assert seconds_until(lambda: watch.away_since is None) >= 0
        # A slow statement of a server that answers is left alone.
        with psycopg.connect(**parameters, autocommit=True) as connection:
            watch.add(connection, parameters)
            assert connection.execute("SELECT pg_sleep(3)").fetchall() == [("",)]
            assert watch.away_since is None
