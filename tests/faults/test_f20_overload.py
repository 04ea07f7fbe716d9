"""F20: more writers than the installation can serve.

Procedure: the goodput of 8 writers is the peak; then 64 writers of 64 clients store for 60 s (short form: 3 s), each
coming again when it is told to; a viewer searches meanwhile; then one writer alone.

Pass: nothing takes longer than a client waits for (60 s), nothing is refused with anything but 429 or 503 with
Retry-After; the goodput is at least 80 % of the peak; a store works again at once, within 5 s; the viewer is answered.
"""

from __future__ import annotations

import threading
import time
from collections import Counter

import requests

from tests.faults.conftest import Figure
from tests.faults.oracle import Oracle, own_session
from tests.faults.through import answers, seconds_until
from tests.live.rounds import STORE_TYPE, chunked
from tests.live.senders import make_sent
from tests.live.server import LivePacs

PATIENT_CLIENT = 60.0


class Load:
    """Writers that behave: they come again when they are told to."""

    def __init__(self, live: LivePacs, session: requests.Session, oracle: Oracle) -> None:
        self.live = live
        self.session = session
        self.oracle = oracle
        self.without_retry_after = 0
        self.longest = 0.0
        self.answers: Counter[int] = Counter()

    def run(self, writers: int, seconds: float) -> float:
        """Stores a second."""
        before, stop = len(self.oracle.acknowledged), threading.Event()
        threads = [threading.Thread(target=self._write, args=[stop]) for _ in range(writers)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        stop.wait(seconds)
        good, took = len(self.oracle.acknowledged) - before, time.monotonic() - began
        stop.set()
        for thread in threads:
            thread.join()
        return good / took

    def _write(self, stop: threading.Event) -> None:
        own = own_session(self.session)
        while not stop.is_set():
            sent = make_sent(kilobytes=128)
            began = time.monotonic()
            try:
                answer = own.post(
                    f"{self.live.url}/dicom-web/studies",
                    data=b"".join(chunked([sent.data])),
                    headers={"Content-Type": STORE_TYPE, "Accept": "application/dicom+json"},
                    timeout=120,
                )
                status = answer.status_code
            except requests.RequestException:
                status = 0
            self.longest = max(self.longest, time.monotonic() - began)
            self.answers[status] += 1
            if status == 200:
                self.oracle.acknowledged.append(sent)
                continue
            self.oracle.open.append([sent])
            told = answer.headers.get("Retry-After", "") if status else ""
            self.without_retry_after += status in (429, 503) and not told
            stop.wait(float(told or 1))


def test_sixty_four_writers(oracle: Oracle, figure: Figure, long_form: bool) -> None:
    live = LivePacs()
    try:
        live.start(worker=False)
        session = live.machine("technologist")
        viewer = live.machine("radiologist")
        load = Load(live, session, oracle)
        load.run(8, 2)
        peak = load.run(8, 15 if long_form else 3)
        stop, seen = threading.Event(), Counter[bool]()

        def view() -> None:
            while not stop.wait(0.2):
                seen[answers(live, viewer, "dicom-web/studies?limit=5")] += 1

        watching = threading.Thread(target=view)
        watching.start()
        goodput = load.run(64, 60 if long_form else 3)
        back = seconds_until(lambda: answers(live, viewer, "dicom-web/studies?limit=5"))
        stop.set()
        watching.join()
        verdict = oracle.judge(live, session)
    finally:
        live.stop()
    print(dict(load.answers), f"{peak:.1f}/s with 8, {goodput:.1f}/s with 64", dict(seen))
    verdict.tell(figure, "F20")
    figure("F20", "goodput of 64 writers", f"{100 * goodput / peak:.0f} %", "80 % of the peak at least")
    figure("F20", "longest answer", f"{load.longest:.1f} s", "60 s at the most")
    figure("F20", "well again after", f"{back:.1f} s", "5 s")
    figure("F20", "a viewer's searches that were answered", f"{seen[True]} of {seen.total()}", "all")
    assert verdict.clean, verdict
    assert set(load.answers) <= {200, 429, 503}, load.answers
    assert load.without_retry_after == 0
    assert seen[False] == 0
    if long_form:
        assert goodput >= 0.8 * peak
        assert load.longest < PATIENT_CLIENT
        assert back < 5
