"""Everything is killed in the middle of storing: what was acknowledged is there bit for bit, nothing else half."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from pydicom.uid import generate_uid

from standalone.errors import ServiceFailed
from standalone.services.postgres import Postgres
from tests.live.senders import Sent, found, make_batch, retrieve, store
from tests.live.server import LivePacs

ROUNDS = int(os.environ.get("PACS_KILL_ROUNDS", "3"))
WRITERS = 6


@dataclass
class Ledger:
    """What the writers know when the lights go out."""

    acknowledged: list[Sent] = field(default_factory=list)
    open: list[list[Sent]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def write_until_it_dies(live: LivePacs, session: requests.Session, hot_study: str, ledger: Ledger, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        study = hot_study if chance.random() < 0.5 else generate_uid()
        batch = make_batch(chance, StudyInstanceUID=study)
        try:
            answer = store(live, session, batch)
        except requests.RequestException:
            ledger.open.append(batch)
            return
        if answer.status_code != 200:
            ledger.answers.append(f"{answer.status_code} {answer.text[:200]}")
            ledger.open.append(batch)
            return
        ledger.acknowledged += batch


def every_acknowledged_object_is_there(live: LivePacs, session: requests.Session, sent: list[Sent]) -> bool:
    for each in sent:
        answer = retrieve(live, session, each.path)
        assert answer.status_code == 200, f"{each.uid} was acknowledged and is gone"
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(each.data).digest(), f"{each.uid} is changed"
    uids = [each.uid for each in sent]
    assert found(live, session, uids) == Counter(uids)
    return True


def what_is_open_is_whole_or_absent(live: LivePacs, session: requests.Session, sent: list[Sent]) -> int:
    """How many were stored although nobody heard of it."""
    counts = found(live, session, [each.uid for each in sent])
    for each in sent:
        answer = retrieve(live, session, each.path)
        assert (answer.status_code, counts[each.uid]) in ((200, 1), (404, 0)), answer.status_code
        assert not counts[each.uid] or answer.content == each.data
    return len(counts)


@pytest.fixture
def own_postgres(short_folder: Path) -> Iterator[Postgres]:
    """A PostgreSQL as `./pacs up` runs it: durable, and ours to kill."""
    server = Postgres(short_folder / "pg", short_folder / "s", log=short_folder / "pg.log")
    try:
        server.start()
        yield server
    finally:
        server.stop()


def kill_postgres(server: Postgres) -> None:
    assert server.pid is not None
    assert server.process is not None
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()


def start_again(server: Postgres) -> None:
    """Its orphaned sessions need a moment to notice that they are alone."""
    until = time.monotonic() + 60
    while True:
        try:
            server.start()
        except ServiceFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def in_rounds(live: LivePacs, rounds: int, postgres: Postgres | None) -> None:
    live.start()
    session = live.machine("technologist")
    total, unheard, seed = 0, 0, random.randrange(1 << 30)
    for number in range(rounds):
        ledger, hot_study = Ledger(), generate_uid()
        with ThreadPoolExecutor(WRITERS) as writers:
            for writer in range(WRITERS):
                own = requests.Session()
                own.headers.update(session.headers)
                writers.submit(write_until_it_dies, live, own, hot_study, ledger, seed + 100 * number + writer)
            until = time.monotonic() + 60
            while not ledger.acknowledged and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(random.Random(seed + number).uniform(0, 1))
            live.kill()
            if postgres is not None:
                kill_postgres(postgres)
        assert ledger.acknowledged, f"nothing was stored within a minute: {ledger.answers}"
        # Between the kill of the web server and that of the database nobody answers, so any other answer is a defect.
        assert not ledger.answers, ledger.answers
        if postgres is not None:
            start_again(postgres)
        began = time.monotonic()
        live.serve()
        back = time.monotonic() - began
        open_ones = [sent for batch in ledger.open for sent in batch]
        assert every_acknowledged_object_is_there(live, session, ledger.acknowledged), seed
        whole = what_is_open_is_whole_or_absent(live, session, open_ones)
        for batch in ledger.open:
            again = store(live, session, batch)
            assert again.status_code == 200, again.text
        assert every_acknowledged_object_is_there(live, session, open_ones), seed
        total += len(ledger.acknowledged)
        unheard += whole
        print(
            f"kill {number + 1}: {len(ledger.acknowledged)} acknowledged and there, {len(open_ones)} open "
            f"({whole} of them whole), serving again after {back:.1f} s"
        )
    [[rows, distinct]] = live.query("SELECT count(*), count(DISTINCT sop_instance_uid) FROM archive_instance")
    assert rows == distinct
    print(f"{rounds} kills, seed {seed}: {total} acknowledged, 0 lost, {unheard} stored unheard, {rows} instances")


def test_a_kill_of_everything_with_files(own_postgres: Postgres) -> None:
    live = LivePacs(database_url=own_postgres.url)
    try:
        in_rounds(live, ROUNDS, own_postgres)
    finally:
        live.stop()


def test_a_kill_of_everything_with_s3(s3_settings: dict[str, str]) -> None:
    live = LivePacs(s3=s3_settings)
    try:
        in_rounds(live, max(1, ROUNDS // 3), None)
    finally:
        live.stop()
