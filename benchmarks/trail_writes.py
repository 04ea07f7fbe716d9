"""Ways to write an event, each in turn, so that other work on the machine meets all alike: for ``benchmarks.trail``."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

Events = Sequence[Any]
WARM: Final = 20
WRITERS: Final = 8


def measure(make: Callable[[int], Events], rounds: int) -> None:
    """Print medians of single events, of a thousand in a statement, and of many writers at once."""
    [event] = make(1)
    single = {"by the ORM": _by_model, "record()": _record, "a frame that is counted": _frame}
    medians = _medians(single, [event], rounds)
    for name, milliseconds in medians.items():
        print(f"one event, {name}: median {milliseconds:.3f} ms ({medians['by the ORM'] / milliseconds:.2f} times)")
    many = make(1_000)
    medians = _medians({"by the ORM": _by_model, "record()": _record}, many, max(5, rounds // 200))
    for name, milliseconds in medians.items():
        rate = len(many) / milliseconds * 1e3
        ratio = medians["by the ORM"] / milliseconds
        print(f"a thousand in a statement, {name}: {rate:,.0f} events a second ({ratio:.2f} times)")
    for name, write in {"record()": _record, "frames that are counted": _frame}.items():
        print(f"{WRITERS} writers at once, {name}: {_at_once(write, event, rounds):,.0f} a second", flush=True)


def _medians(ways: Mapping[str, Callable[[Events], None]], events: Events, rounds: int) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + WARM):
        for name, write in ways.items():
            began = time.perf_counter()
            write(events)
            if number >= WARM or rounds < WARM:
                took[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(times) for name, times in took.items()}


def _at_once(write: Callable[[Events], None], event: Any, rounds: int) -> float:
    from django.db import connection

    def writer(_: int) -> None:
        for _number in range(rounds // WRITERS):
            write([event])
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(writer, range(WRITERS)))
    return rounds // WRITERS * WRITERS / (time.perf_counter() - began)


def _by_model(events: Events) -> None:
    from audit.models import AccessEvent

    rows = []
    for event in events:
        values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
        rows.append(AccessEvent(**values | {"kind": event.kind.name, "action": event.kind.action}))
    if len(rows) == 1:
        rows[0].save(force_insert=True)
    else:
        AccessEvent.objects.bulk_create(rows)


def _record(events: Events) -> None:
    from audit.record import record

    record(events)


def _frame(events: Events) -> None:
    from audit.frame_reads import record_frames

    record_frames(events[0], 1)
