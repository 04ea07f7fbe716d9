"""Readers beside the writers of a fault, and what they heard: statuses, the longest answer, when all is well again."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import requests

from tests.faults.oracle import own_session
from tests.live.senders import AS_STORED, make_sent, store
from tests.live.server import LivePacs

BACK_WITHIN = 15.0
LONGEST = 30.0


@dataclass(slots=True)
class Heard:
    """What readers were answered; appended to by threads, and read when they are done."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    wrong_bytes: int = 0
    told: list[str] = field(default_factory=list)

    def count(self, status: int) -> int:
        return self.answers[status]

    @property
    def longest(self) -> float:
        return max(self.seconds, default=0.0)

    @property
    def good(self) -> float:
        """The part of the answers that were what was asked for."""
        return sum(n for status, n in self.answers.items() if 200 <= status < 300) / max(1, self.answers.total())


@dataclass(frozen=True, slots=True)
class Known:
    """An instance that is there, to be read again and again."""

    paths: tuple[tuple[str, dict[str, str]], ...]
    object_path: str
    data: bytes


def one_known(live: LivePacs, session: requests.Session) -> Known:
    """Store an instance that readers ask for."""
    sent = make_sent(kilobytes=64)
    answer = store(live, session, [sent])
    assert answer.status_code == 200, answer.text + (live.home / "web.log").read_text()[-2000:]
    series = sent.path.rpartition("/instances/")[0]
    searches: tuple[tuple[str, dict[str, str]], ...] = (("studies?limit=5", {}), (f"{series}/metadata", {}))
    return Known((*searches, (sent.path, AS_STORED)), sent.path, sent.data)


@contextmanager
def reading(
    live: LivePacs, session: requests.Session, known: Known, *, readers: int = 3, pause: float = 0.05
) -> Iterator[Heard]:
    """Readers that search and retrieve as long as the block lasts."""
    heard, stop = Heard(), threading.Event()

    def read(number: int) -> None:
        own = own_session(session)
        turn = number
        while not stop.wait(pause):
            path, accept = known.paths[turn % len(known.paths)]
            turn += 1
            began = time.monotonic()
            try:
                answer = own.get(f"{live.url}/dicom-web/{path}", headers=accept, timeout=120)
                status = answer.status_code
            except requests.RequestException:
                status = 0
            else:
                heard.without_retry_after += status in (429, 503) and "Retry-After" not in answer.headers
                heard.wrong_bytes += status == 200 and path == known.object_path and answer.content != known.data
                if status >= 500 and len(heard.told) < 20:
                    heard.told.append(f"{status} {path.split('/')[-1]} {answer.text[:160]}")
            heard.answers[status] += 1
            heard.seconds.append(time.monotonic() - began)

    threads = [threading.Thread(target=read, args=[number]) for number in range(readers)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def seconds_until(well: Callable[[], bool], *, limit: float = 90.0) -> float:
    """How long it took until something was so three times in a row."""
    began = time.monotonic()
    in_a_row, since = 0, began
    while in_a_row < 3:
        assert time.monotonic() - began < limit, "it does not come back"
        if well():
            since = time.monotonic() if in_a_row == 0 else since
            in_a_row += 1
        else:
            in_a_row = 0
            time.sleep(0.1)
    return since - began


def answers(live: LivePacs, session: requests.Session, path: str, **headers: str) -> bool:
    """Whether this is answered as it should be."""
    try:
        return session.get(f"{live.url}/{path}", headers=headers, timeout=60).status_code in (200, 204)
    except requests.RequestException:
        return False
