"""F21: everybody stores into one study.

Procedure: 16 writers store batches of 1 to 4 small instances, first each into studies of its own (cold), then all into
one study (hot); 60 s each (short form: 3 s).

Pass: no answer 5xx (deadlocks and serialisation failures are tried again inside); the 95th percentile of a hot store is
at most 10 times that of a cold one (held to in the long form); the oracle.
"""

from __future__ import annotations

import random
import statistics
import time

from pydicom.uid import generate_uid

from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, writing
from tests.live.senders import Sent, make_sent
from tests.live.server import LivePacs

WRITERS = 16


def test_a_hot_study(file_store: LivePacs, figure: Figure, long_form: bool) -> None:
    session, seconds, hot = file_store.machine("technologist"), 60.0 if long_form else 3.0, str(generate_uid())

    def cold_batch(chance: random.Random, **_: object) -> list[Sent]:
        return batch(chance, str(generate_uid()))

    def hot_batch(chance: random.Random, **_: object) -> list[Sent]:
        return batch(chance, hot)

    heard = {}
    for name, make in (("cold", cold_batch), ("hot", hot_batch)):
        oracle = heard[name] = Oracle()
        with writing(file_store, session, oracle, writers=WRITERS, make=make):
            time.sleep(seconds)
        assert set(oracle.answers) == {200}, oracle.answers
    verdict = heard["hot"].judge(file_store, session)
    late = {name: statistics.quantiles(oracle.seconds, n=20)[-1] for name, oracle in heard.items()}
    query = {"StudyInstanceUID": hot, "includefield": "00201208"}
    [study] = session.get(f"{file_store.url}/dicom-web/studies", params=query, timeout=60).json()
    verdict.tell(figure, "F21")
    figure("F21", "answers 5xx", sum(n for status, n in heard["hot"].answers.items() if status >= 500), "0")
    figure("F21", "95th percentile cold", f"{late['cold'] * 1000:.0f} ms", "")
    figure("F21", "95th percentile hot", f"{late['hot'] * 1000:.0f} ms", "10 times cold at most")
    assert verdict.clean, verdict
    assert study["00201208"]["Value"] == [verdict.acknowledged]
    assert not long_form or late["hot"] <= 10 * late["cold"]


def batch(chance: random.Random, study: str) -> list[Sent]:
    return [
        make_sent(kilobytes=chance.choice((8, 16, 64)), StudyInstanceUID=study) for _ in range(chance.randint(1, 4))
    ]
