"""F5: the object store is away, slow, or refuses one request in three.

Procedure: a TCP proxy stands before an S3 server; four writers and three readers run. It is closed, then a black hole,
each for 20 s (short form: closed only, 3 s); it delays each piece by 0.4 s for 20 s; and it answers 30 % of the
requests with 503 for 60 s (short form: 3 s).

Pass: the oracle of all faults; no answer is 500 and none takes longer than 30 s; while it is away searches are answered
as ever and nobody waits for objects in vain for long (the circuit breaker); it works again within 15 s; under 503 at
30 % at least 99 % of the stores are acknowledged, under delay all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, writing
from tests.faults.proxy import Fault, FaultProxy
from tests.faults.through import BACK_WITHIN, LONGEST, answers, one_known, reading, seconds_until
from tests.live.senders import AS_STORED
from tests.live.server import LivePacs


@contextmanager
def behind_a_proxy(s3_settings: dict[str, str], **settings: str) -> Iterator[tuple[LivePacs, FaultProxy]]:
    """An installation whose way to S3 leads through the proxy."""
    there = urlsplit(s3_settings["endpoint_url"])
    with FaultProxy((there.hostname or "127.0.0.1", there.port or 80)) as proxy:
        live = LivePacs(s3=s3_settings | {"endpoint_url": f"http://127.0.0.1:{proxy.port}"})
        live.environment |= settings
        try:
            yield live, proxy
        finally:
            proxy.heal()
            live.stop()


def test_away_and_back(s3_settings: dict[str, str], oracle: Oracle, figure: Figure, long_form: bool) -> None:
    backs: dict[Fault, float] = {}
    failed: list[str] = []
    searches: Counter[int] = Counter()
    quick = slow = 0
    with behind_a_proxy(s3_settings) as (live, proxy):
        live.start(worker=long_form)
        session = live.machine("technologist")
        known = one_known(live, session)
        for fault in (Fault.DOWN, Fault.BLACKHOLE) if long_form else (Fault.DOWN,):
            with writing(live, session, oracle, writers=4), reading(live, session, known) as heard:
                time.sleep(1)
                proxy.inject(fault)
                time.sleep(20 if long_form else 3)
                until = time.monotonic() + 2
                while time.monotonic() < until:
                    searched = session.get(f"{live.url}/dicom-web/studies?limit=5", timeout=60)
                    searches[searched.status_code] += 1
                # By now the breaker has seen enough.
                before = time.monotonic()
                refused = [
                    session.get(f"{live.url}/dicom-web/{known.object_path}", headers=AS_STORED) for _ in range(5)
                ]
                took = (time.monotonic() - before) / 5
                quick += took < 2
                slow += took >= 2
                print(fault, [each.status_code for each in refused], f"{took:.2f} s each", dict(heard.answers))
                proxy.heal()
                path = f"dicom-web/{known.object_path}"
                backs[fault] = seconds_until(lambda p=path: answers(live, session, p, **AS_STORED))  # type: ignore[misc]
            failed += [told for told in heard.told if told.startswith("500")]
            failed += ["no Retry-After"] * heard.without_retry_after
            assert not heard.wrong_bytes
        verdict = oracle.judge(live, session)
        longest = max([*oracle.seconds, heard.longest])
    verdict.tell(figure, "F5")
    figure("F5", "longest answer", f"{longest:.1f} s", "30 s at the most")
    figure("F5", "answers of 500", oracle.answers[500] + len(failed), "0")
    figure("F5", "searches answered while it is away", f"{searches[200]} of {searches.total()}", "all")
    figure("F5", "retrieving again after, at the most", f"{max(backs.values()):.1f} s", "15 s")
    assert verdict.clean, verdict
    assert not failed, failed
    assert set(searches) == {200}
    assert set(oracle.answers) <= {200, 503}, oracle.answers
    if long_form:
        assert not slow, "every request waited for what is away"
        assert longest < LONGEST
        assert max(backs.values()) < BACK_WITHIN


def test_one_answer_in_three_is_503(
    s3_settings: dict[str, str], oracle: Oracle, figure: Figure, long_form: bool
) -> None:
    with behind_a_proxy(s3_settings) as (live, proxy):
        live.start(worker=False)
        session = live.machine("technologist")
        known = one_known(live, session)
        with writing(live, session, oracle, writers=4), reading(live, session, known) as heard:
            proxy.inject(Fault.HTTP_503)
            time.sleep(60 if long_form else 3)
        part = oracle.answers[200] / max(1, oracle.answers.total())
        print(f"{proxy.injected} answers of 503", dict(oracle.answers), dict(heard.answers))
        proxy.heal()
        flaky = sum(oracle.answers.values())
        with writing(live, session, oracle, writers=4):
            proxy.inject(Fault.LATENCY)
            time.sleep(20 if long_form else 2)
        proxy.heal()
        delayed = oracle.answers.total() - flaky
        refused_late = oracle.answers.total() - oracle.answers[200]
        verdict = oracle.judge(live, session)
    verdict.tell(figure, "F5")
    figure("F5", "acknowledged with 503 at 30 %", f"{100 * part:.2f} %", "99 % at least")
    figure("F5", "stores with 0.4 s of delay, all acknowledged", delayed, "more than 0")
    assert proxy.injected
    assert verdict.clean, verdict
    assert part >= 0.99
    assert not heard.count(500)
    assert refused_late <= 0.01 * oracle.answers.total()


def test_a_spool_keeps_what_is_stored_meanwhile(s3_settings: dict[str, str], oracle: Oracle, figure: Figure) -> None:
    """With ``PACS_STORE_WHEN_DOWN=spool``: acknowledged, readable at once, and in the bucket when it is back."""
    with behind_a_proxy(s3_settings, PACS_STORE_WHEN_DOWN="spool") as (live, proxy):
        live.start(worker=False)
        session = live.machine("technologist")
        one_known(live, session)
        proxy.inject(Fault.DOWN)
        with writing(live, session, oracle, writers=2):
            until = time.monotonic() + 120
            while len(oracle.acknowledged) < 20 and time.monotonic() < until:
                time.sleep(0.1)
        kept = len(list((live.home / "spooled/objects").rglob("*.dcm")))
        assert kept, oracle.answers
        while_away = oracle.judge(live, session)
        live.kill()
        proxy.heal()
        live.serve(worker=False)
        # A process that reads objects moves what waits.
        assert oracle.judge(live, session).clean
        until = time.monotonic() + 60
        while list((live.home / "spooled/objects").rglob("*.dcm")) and time.monotonic() < until:
            time.sleep(0.2)
        left = len(list((live.home / "spooled/objects").rglob("*.dcm")))
        verdict = oracle.judge(live, session)
    figure("F5", "spool: kept while S3 was away", kept, "all that was acknowledged")
    figure("F5", "spool: left there after S3 came back", left, "0")
    assert set(oracle.answers) == {200}, oracle.answers
    assert while_away.clean, while_away
    assert left == 0
    assert verdict.clean, verdict
