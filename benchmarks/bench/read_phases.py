"""Reading what a viewer reads: metadata, frames, a whole stack as OHIF loads it, whole objects and studies."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench import answers
from benchmarks.bench.fleet import Ask, Run, run, shared_out
from benchmarks.bench.packs import Copied
from benchmarks.bench.phases import FRAMES, JSON, OBJECTS, Bench, Figures, Measured, middle, rate
from benchmarks.bench.targets import Target
from benchmarks.bench.wire import Answer

CONNECTIONS: Final = 6
GZIPPED: Final = {**JSON, "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Opened:
    """Milliseconds from the viewer's first question."""

    metadata: Measured
    first: Measured
    stack: Measured


def open_stack(target: Target, series: Sequence[Copied]) -> Opened:
    """The metadata of the series, then the image in the middle, then all others over six connections."""
    instances = [one.instance for one in series]
    where = f"studies/{instances[0].study}/series/{instances[0].series}/metadata"
    about = Ask(where, GZIPPED, answers.metadata(instances))
    asks = [Ask(f"{one.instance.path}/frames/1", FRAMES, answers.frame_of_copy(one, 1)) for one in series]
    first = asks.pop(len(asks) // 2)
    connection = target.connect()
    connection.open()
    got: list[Answer] = []

    def look() -> None:
        got.append(about.send(connection))
        if got[0].headers.get("content-encoding") == "gzip":
            # As quickly as this client can; a browser does it while it reads. The last word of it is its length.
            zlib.decompress(got[0].body, 31, int.from_bytes(got[0].body[-4:], "little"))
        got.append(first.send(connection))

    done = run(target, shared_out(asks, CONNECTIONS), before=look)
    connection.close()
    for ask, answer in zip((about, first), got, strict=True):
        if ask.check is not None:
            ask.check(answer)
    began = got[0].begun
    spent = None if done.processor is None else done.processor / (len(series) + 1) * 1e3
    return Opened(
        Measured(got[0].seconds * 1e3),
        Measured((got[1].ended - began) * 1e3),
        Measured((done.ended - began) * 1e3, spent),
    )


def opening_again(bench: Bench, target: Target, repetition: int) -> Figures:
    """The series that was there all the time."""
    pack = bench.studies.ct
    opened = open_stack(target, [Copied(pack, one, one) for one in pack.instances])
    return {"open_warm_first": opened.first, "open_warm_stack": opened.stack}


def metadata(bench: Bench, target: Target, repetition: int) -> Figures:
    """Compressed, where the server does that."""
    one = bench.studies.ct.instances[0]
    check = answers.metadata(bench.studies.ct.instances)
    ask = Ask(f"studies/{one.study}/series/{one.series}/metadata", GZIPPED, check)
    return {"metadata_gzip": middle(run(target, [[ask] * bench.some(15)]))}


def frames(bench: Bench, target: Target, repetition: int) -> Figures:
    """Each slice once, in any order."""
    pack = bench.studies.ct
    asks = [Ask(f"{one.path}/frames/1", FRAMES, answers.frame(pack, one, 1)) for one in pack.instances]
    random.Random(repetition).shuffle(asks)  # noqa: S311 - an order
    return {"frame_c6": rate(_of_six(target, asks))}


def frames_of_many(bench: Bench, target: Target, repetition: int) -> Figures:
    """Frames of one object, in any order; few where one takes long."""
    pack = bench.studies.mr
    [one] = pack.instances
    numbers = list(range(1, one.frames + 1))
    random.Random(repetition).shuffle(numbers)  # noqa: S311 - an order
    asks = [Ask(f"{one.path}/frames/{number}", FRAMES, answers.frame(pack, one, number)) for number in numbers]
    return {"frame_of_many_c6": rate(_of_six(target, asks))}


def study(bench: Bench, target: Target, repetition: int) -> Figures:
    """All objects of the CT in one answer."""
    pack = bench.studies.ct
    check = answers.objects([lambda one=one: pack.data(one) for one in pack.instances])  # type: ignore[misc]
    done = run(target, [[Ask(f"studies/{pack.instances[0].study}", OBJECTS, check)]])
    return {"study": rate(done, size=pack.size)}


def large_instance(bench: Bench, target: Target, repetition: int) -> Figures:
    """The colour ultrasound, three times."""
    pack = bench.studies.us
    [one] = pack.instances
    ask = Ask(one.path, OBJECTS, answers.objects([lambda: pack.data(one)]))
    return {"large_instance": rate(run(target, [[ask] * 3]), size=pack.size * 3)}


def _of_six(target: Target, asks: Sequence[Ask]) -> Run:
    return run(target, shared_out(asks, CONNECTIONS))
