"""Ways to write an event, each in turn, so that other work on the machine meets all alike: for ``benchmarks.trail``."""

from __future__ import annotations

import dataclasses
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

Events = Sequence[Any]
WARM: Final = 20
WRITERS: Final = (8, 16)
TURNS: Final = 5


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
    many_at_once(event, rounds)


def many_at_once(event: Any, rounds: int) -> None:
    """Print events a second, and milliseconds of processor for one, of as many writers as WRITERS say."""
    ways = {"record()": _record, "each a statement": _alone, "frames that are counted": _frame}
    for writers in WRITERS:
        rates: dict[str, list[float]] = {name: [] for name in ways}
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(TURNS + 1):
            for name, write in ways.items():
                rate, processor = _at_once(write, event, rounds, writers)
                if number:
                    rates[name].append(rate)
                    spent[name].append(processor)
        for name in ways:
            ratio = statistics.median(a / b for a, b in zip(rates[name], rates["each a statement"], strict=True))
            print(
                f"{writers} writers at once, {name}: median {statistics.median(rates[name]):,.0f} a second, best "
                f"{max(rates[name]):,.0f} ({ratio:.2f} times), processor {statistics.median(spent[name]):.3f} ms each",
                flush=True,
            )


def _medians(ways: Mapping[str, Callable[[Events], None]], events: Events, rounds: int) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + WARM):
        for name, write in ways.items():
            began = time.perf_counter()
            write(events)
            if number >= WARM or rounds < WARM:
                took[name].append((time.perf_counter() - began) * 1e3)
    return {name: statistics.median(times) for name, times in took.items()}


def _at_once(write: Callable[[Events], None], event: Any, rounds: int, writers: int) -> tuple[float, float]:
    """Events a second, and milliseconds of processor for each, this process's and PostgreSQL's."""
    from django.db import connection

    def writer(_: int) -> None:
        for _number in range(rounds // writers):
            write([event])
        connection.close()

    events = rounds // writers * writers
    spent, began = _processor(), time.perf_counter()
    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(writer, range(writers)))
    took = time.perf_counter() - began
    return events / took, (_processor() - spent) / events * 1e3


def _processor() -> float:
    """Seconds that this process and its children's children have run; those that ended count once they are waited for.

    PostgreSQL is a child of this process, and its backends are children of that.
    """
    tick = os.sysconf("SC_CLK_TCK")
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        parents[pid], used[pid] = int(words[1]), sum(map(int, words[11:15])) / tick
    return sum(seconds for pid, seconds in used.items() if os.getpid() in _line(pid, parents))


def _line(pid: int, parents: Mapping[int, int]) -> list[int]:
    line = []
    while pid in parents:
        line.append(pid)
        pid = parents[pid]
    return line


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


def _alone(events: Events) -> None:
    """As record() would without those who write at the same moment."""
    from audit.record import _text, _write

    _write([_text(event) for event in events])


def _frame(events: Events) -> None:
    from audit.frame_reads import record_frames

    record_frames(events[0], 1)
