"""Drill A6: many writers of single events and two sealers at once; for ``benchmarks.trail --drill``.

Afterwards every position of the log is there once, every event has one, and the trail verifies. The small form of it
runs with the tests (``tests/audit/test_sealing.py``).
"""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

WRITERS: Final = 16


def run(event: Any, each: int) -> None:
    """Let ``WRITERS`` write ``each`` events one by one, seal meanwhile, verify; print. Raises SystemExit."""
    from audit.models import AccessEvent, SealedEvent
    from audit.sealer import checkpoint, folder, own_signer
    from audit.sealing import seal
    from audit.verify import verify

    done = threading.Event()
    sealers = [threading.Thread(target=_keep_sealing, args=[done]) for _ in range(2)]
    for sealer in sealers:
        sealer.start()
    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        took = sorted(second for writer in pool.map(lambda _: _write(event, each), range(WRITERS)) for second in writer)
    rate = len(took) / (time.perf_counter() - began)
    done.set()
    for sealer in sealers:
        sealer.join()
    seal()
    made = checkpoint(folder(), own_signer())
    positions = list(SealedEvent.objects.order_by("position").values_list("position", flat=True))
    sequences = set(SealedEvent.objects.values_list("sequence", flat=True))
    if positions != list(range(1, WRITERS * each + 1)):
        raise SystemExit("the positions have gaps")
    if made is None or sequences != set(AccessEvent.objects.values_list("sequence", flat=True)):
        raise SystemExit("events are missing in the log")
    began = time.perf_counter()
    report = verify([made], folder())
    if report.findings or report.events != len(took) or report.waiting:
        raise SystemExit(f"the trail does not verify: {report.findings[:3]}")
    print(
        f"{WRITERS} writers of {each} events each, {rate:,.0f} a second: median "
        f"{statistics.median(took) * 1e3:.1f} ms, p95 {took[len(took) * 95 // 100] * 1e3:.1f} ms; positions 1 to "
        f"{len(positions)} without a gap, verified in {time.perf_counter() - began:.1f} s",
        flush=True,
    )


def _write(event: Any, count: int) -> list[float]:
    from django.db import connection

    from audit.record import record

    took = []
    for _ in range(count):
        began = time.perf_counter()
        record([event])
        took.append(time.perf_counter() - began)
    connection.close()
    return took


def _keep_sealing(done: threading.Event) -> None:
    from django.db import connection

    from audit.sealing import seal

    while not done.wait(0.05):
        seal()
    connection.close()
