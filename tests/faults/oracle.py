"""The judge of every fault: what was acknowledged is there bit for bit, what was not is whole or absent, once at most.

Senders tell it what they sent and what they heard (``store``, or ``writing`` for several at once). When the
installation is well again, ``judge`` reads everything back over the wire and sends what was not acknowledged once
more. The figures of a pass are those of ``Verdict.clean``.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import requests
from pydicom.uid import generate_uid

from tests.live.senders import Sent, found, make_batch, retrieve, store
from tests.live.server import LivePacs

UNHEARD = 0  # the status of a request that had no answer


class Keep(Protocol):
    def __call__(self, fault: str, what: str, value: object, goal: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of objects: each of the last five is 0 where nothing was lost."""

    acknowledged: int
    open: int
    stored_unheard: int
    lost_acked: int
    partial: int
    disagree: int
    refused_again: int
    copies: int
    """Objects that the index holds more than once, or not at all after they were sent again."""

    @property
    def clean(self) -> bool:
        return not (self.lost_acked or self.partial or self.disagree or self.refused_again or self.copies)

    def tell(self, figure: Keep, fault: str) -> None:
        """The common figures of a fault."""
        figure(fault, "acknowledged instances", self.acknowledged, "more than 0")
        figure(fault, "acknowledged and lost", self.lost_acked, "0")
        figure(fault, "stored in part", self.partial, "0")
        figure(fault, "QIDO-RS and WADO-RS disagree", self.disagree, "0")
        figure(fault, "sent again and not there exactly once", self.refused_again + self.copies, "0")


@dataclass(slots=True)
class Oracle:
    """What the senders know. Lists are appended to by threads, and read when they are done."""

    acknowledged: list[Sent] = field(default_factory=list)
    open: list[list[Sent]] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    """How often each status was the answer; 0 where there was none."""
    seconds: list[float] = field(default_factory=list)
    """How long each answer took, the missing ones too."""

    def store(self, live: LivePacs, session: requests.Session, batch: list[Sent]) -> int:
        """STOW-RS of a batch; the status of the answer, 0 if the connection broke. Only 200 is an acknowledgement."""
        began = time.monotonic()
        try:
            status = store(live, session, batch).status_code
        except requests.RequestException:
            status = UNHEARD
        self.seconds.append(time.monotonic() - began)
        self.answers[status] += 1
        if status == 200:
            self.acknowledged.extend(batch)
        else:
            self.open.append(batch)
        return status

    def judge(self, live: LivePacs, session: requests.Session) -> Verdict:
        """Read all of it back from an installation that is well, and send the open ones again."""
        open_ones = [sent for batch in self.open for sent in batch]
        heard = _read(live, session, self.acknowledged)
        before = _read(live, session, open_ones)
        refused = sum(store(live, session, batch).status_code != 200 for batch in self.open)
        after = _read(live, session, open_ones)
        every = [sent.uid for sent in [*self.acknowledged, *open_ones]]
        rows = Counter(dict(live.query(_COPIES, every)))
        return Verdict(
            acknowledged=len(self.acknowledged),
            open=len(open_ones),
            stored_unheard=before.whole,
            lost_acked=len(self.acknowledged) - heard.whole,
            partial=heard.partial + before.partial + after.partial,
            disagree=heard.disagree + before.disagree + after.disagree,
            refused_again=refused,
            copies=sum(rows[uid] != 1 for uid in every),
        )


_COPIES = "SELECT sop_instance_uid, count(*) FROM archive_instance WHERE sop_instance_uid = ANY(%s) GROUP BY 1"


@dataclass(frozen=True, slots=True)
class _Reading:
    whole: int
    partial: int
    disagree: int


def _read(live: LivePacs, session: requests.Session, sent: Sequence[Sent]) -> _Reading:
    """Whole: retrieved bit for bit and found once. Partial: other bytes came back. Disagree: search says otherwise."""
    whole = partial = disagree = 0
    counts = found(live, session, [each.uid for each in sent])
    for each in sent:
        answer = retrieve(live, session, each.path)
        there = answer.status_code == 200
        same = there and hashlib.sha256(answer.content).digest() == hashlib.sha256(each.data).digest()
        agrees = answer.status_code in (200, 404) and counts[each.uid] == int(there)
        whole += same and agrees
        partial += there and not same
        disagree += not agrees
    return _Reading(whole, partial, disagree)


def own_session(session: requests.Session) -> requests.Session:
    """Another connection of the same client."""
    own = requests.Session()
    own.headers.update(session.headers)
    return own


@contextmanager
def writing(
    live: LivePacs,
    session: requests.Session,
    oracle: Oracle,
    *,
    writers: int = 6,
    seed: int | None = None,
    make: Callable[..., list[Sent]] = make_batch,
    until_broken: bool = False,
    pause: float = 0.0,
) -> Iterator[None]:
    """Writers that store batches (half of them in one hot study) as long as the block lasts; each ends its last one.

    With ``until_broken`` a writer ends at its first answer that is no 200; otherwise it goes on with a new batch,
    after ``pause`` seconds and half a second more after what was not acknowledged.
    """
    stop, hot_study = threading.Event(), generate_uid()
    chosen = random.randrange(1 << 30) if seed is None else seed
    print(f"seed {chosen}")

    def write(number: int) -> None:
        chance, own = random.Random(chosen + number), own_session(session)
        while not stop.is_set():
            study = hot_study if chance.random() < 0.5 else generate_uid()
            if oracle.store(live, own, make(chance, StudyInstanceUID=study)) != 200:
                if until_broken:
                    return
                stop.wait(0.5)
            stop.wait(pause)

    threads = [threading.Thread(target=write, args=[number]) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_for_acknowledgement(oracle: Oracle, *, count: int = 1, seconds: float = 60.0) -> None:
    """Until so many instances are acknowledged."""
    until = time.monotonic() + seconds
    while len(oracle.acknowledged) < count and time.monotonic() < until:
        time.sleep(0.01)
    assert len(oracle.acknowledged) >= count, f"{len(oracle.acknowledged)} of {count}, answers {oracle.answers}"
