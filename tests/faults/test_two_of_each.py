"""Two web processes and two workers on one database and one S3 store: any one of them may be killed under load.

Procedure: two web servers, two workers and two relays share PostgreSQL, the broker and an S3 store (SeaweedFS). Four
writers and four readers each talk to either web server, and to the other one after a connection that broke, or a 503.
One process after the other gets ``kill -9`` with all that belongs to it, and comes back 3 s later. 30 kills (short
form: one web server, one worker, one relay).

Pass: no read and no store fails after at most 10 tries; the oracle; all tasks are done at the end.
"""

from __future__ import annotations

import copy
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import requests
from pydicom.uid import generate_uid

from standalone.programs import Relay, Web, Worker
from standalone.services.service import Service
from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, own_session
from tests.live.senders import Sent, make_sent, retrieve, store
from tests.live.server import LivePacs, free_port

TRIES = 10


class SecondWorker(Worker):
    def command(self) -> list[str]:
        return [word.replace("--hostname=lightbox@", "--hostname=lightbox-2@") for word in super().command()]


class TwoOfEach(LivePacs):
    """``doors`` are the two web servers."""

    def serve(self, *, worker: bool = True) -> None:
        other = copy.copy(self)
        other.port = free_port()
        other.url = f"http://127.0.0.1:{other.port}"
        self.doors = [self, other]
        logs = {name: self.home / f"{name}.log" for name in ("web", "web-2", "worker", "worker-2", "relay", "relay-2")}
        self.services = [
            Web("127.0.0.1", self.port, log=logs["web"], environment=self.environment),
            Web("127.0.0.1", other.port, log=logs["web-2"], environment=self.environment),
            Worker(logs["worker"], self.environment),
            SecondWorker(logs["worker-2"], self.environment),
            Relay(logs["relay"], self.environment),
            Relay(logs["relay-2"], self.environment),
        ]
        for service in self.services:
            service.start()


@dataclass(slots=True)
class Clients:
    """What they did together; each retries at the other door."""

    live: TwoOfEach
    session: requests.Session
    oracle: Oracle
    stop: threading.Event = field(default_factory=threading.Event)
    tries: Counter[int] = field(default_factory=Counter)
    reads: int = 0
    failed_reads: int = 0
    failed_stores: int = 0

    def ask(self, number: int, verb: Callable[[LivePacs, requests.Session], requests.Response]) -> requests.Response:
        """The first answer that is neither a broken connection nor 503."""
        answer = requests.Response()
        for attempt in range(TRIES):
            try:
                with own_session(self.session) as own:
                    answer = verb(self.live.doors[(number + attempt) % 2], own)
            except requests.RequestException:
                time.sleep(0.5)
                continue
            if answer.status_code != 503:
                self.tries[attempt + 1] += 1
                return answer
            time.sleep(0.5)
        return answer

    def write(self, number: int) -> None:
        chance, known = random.Random(number), list[str]()
        while not self.stop.is_set():
            if not known or chance.random() < 0.05:  # a series now and then: each leaves tasks for the workers
                known = [str(generate_uid()), str(generate_uid())]
            uids = {"StudyInstanceUID": known[0], "SeriesInstanceUID": known[1]}
            batch = [make_sent(kilobytes=chance.choice((8, 16, 64)), **uids) for _ in range(chance.randint(1, 4))]
            answer = self.ask(number, lambda door, own, batch=batch: store(door, own, batch))  # type: ignore[misc]
            if answer.status_code == 200:
                self.oracle.acknowledged.extend(batch)
            else:
                self.oracle.open.append(batch)
                self.failed_stores += 1

    def read(self, number: int) -> None:
        chance = random.Random(number)
        while not self.stop.is_set():
            held = self.oracle.acknowledged
            if not held:
                time.sleep(0.05)
                continue
            sent: Sent = chance.choice(held)
            answer = self.ask(number, lambda door, own, sent=sent: retrieve(door, own, sent.path))  # type: ignore[misc]
            self.reads += 1
            self.failed_reads += answer.status_code != 200 or answer.content != sent.data


@pytest.mark.timeout(1200)
def test_any_one_may_be_killed(s3_settings: dict[str, str], oracle: Oracle, figure: Figure, long_form: bool) -> None:
    live = TwoOfEach(s3=s3_settings)
    live.environment["PACS_AT_REST__TRANSFER_SYNTAX"] = "off"  # F8 is about that
    try:
        live.trust_tokens_for_long().start()
        session = live.machine("technologist")
        clients = Clients(live, session, oracle)
        threads = [
            threading.Thread(target=do, args=[number]) for number in range(4) for do in (clients.write, clients.read)
        ]
        for thread in threads:
            thread.start()
        victims = live.services * 5 if long_form else live.services[1::2]
        try:
            for victim in victims:
                time.sleep(random.uniform(0.5, 3 if long_form else 1))
                kill(victim)
                time.sleep(3 if long_form else 1)
                victim.start()
        finally:
            clients.stop.set()
            for thread in threads:
                thread.join()
        verdict = oracle.judge(live, session)
        undone = tasks_left(live)
    finally:
        live.stop()
    figure("two of each", "kills", len(victims), "30 in the long form")
    figure("two of each", "reads", clients.reads, "more than 0")
    figure("two of each", "reads that failed after tries again", clients.failed_reads, "0")
    figure("two of each", "stores that failed after tries again", clients.failed_stores, "0")
    figure("two of each", "most tries that one answer took", max(clients.tries), f"{TRIES}")
    figure("two of each", "tasks not done at the end", undone, "0")
    verdict.tell(figure, "two of each")
    assert clients.reads
    assert (clients.failed_reads, clients.failed_stores, undone) == (0, 0, 0)
    assert verdict.clean, verdict


def kill(service: Service) -> None:
    """With all that belongs to it."""
    assert service.process is not None
    os.killpg(service.process.pid, signal.SIGKILL)
    service.process.wait()


def tasks_left(live: LivePacs) -> int:
    """Of series; those that a killed worker had begun come again after two minutes."""
    left, until = 0, time.monotonic() + 240
    while time.monotonic() < until:
        [[left]] = live.query("SELECT count(*) FROM archive_outboxentry WHERE kind LIKE 'series%%' AND NOT dead")
        if not left:
            break
        time.sleep(0.5)
    [[dead]] = live.query("SELECT count(*) FROM archive_outboxentry WHERE dead")
    return int(left) + int(dead)
