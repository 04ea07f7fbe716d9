"""What is measured, as functions of a target: each measures one thing once and returns figures by the key of their row.

Nothing here knows what kind of server answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench.fleet import Ask, Run
from benchmarks.bench.studies import Studies
from benchmarks.bench.targets import Target

JSON: Final = {"Accept": "application/dicom+json"}
FRAMES: Final = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
OBJECTS: Final = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure in the unit of its row, and the server's processor time an operation in ms where it can be known."""

    value: float
    processor_ms: float | None = None


Figures = Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class Bench:
    """What phases work with. ``share`` (up to 1) makes them shorter; ``seconds`` is how long a rate is measured,
    ``rest`` how long background work is waited for at the most; ``salt`` makes UIDs of this run and no other."""

    studies: Studies
    salt: str
    share: float = 1.0
    seconds: float = 3.0
    rest: float = 15.0

    def some(self, count: int) -> int:
        """``count``, or fewer in a quick run."""
        return max(1, round(count * self.share))


Phase = Callable[[Bench, Target, int], Figures]


def rate(run: Run, operations: int | None = None, *, size: int = 0) -> Measured:
    """Operations a second, or with ``size`` (bytes of all) MB/s; an operation is a request unless told otherwise."""
    count = operations if operations is not None else len(run.took)
    value = size / 1e6 if size else count
    return Measured(value / run.window, _each(run, count))


def middle(run: Run) -> Measured:
    """The median request, ms."""
    seconds = sorted(run.seconds)
    return Measured(seconds[len(seconds) // 2] * 1e3, _each(run, len(seconds)))


def _each(run: Run, count: int) -> float | None:
    return None if run.processor is None else run.processor / count * 1e3


def multipart(objects: Sequence[Callable[[], bytes]]) -> Ask:
    """A store of ``objects`` in one request, without its check."""

    def body() -> bytes:
        pieces: list[bytes] = []
        for make in objects:
            pieces += (b"--bench\r\nContent-Type: application/dicom\r\n\r\n", make(), b"\r\n")
        return b"".join((*pieces, b"--bench--\r\n"))

    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=bench', **JSON}
    return Ask("studies", headers, body=body)


def taken(count: int, of: int, start: int = 0) -> Iterator[int]:
    """``count`` numbers below ``of``, spread out and each once before any comes again; ``start`` gives others."""
    step = next(step for step in (7919, 104_729, 1) if of % step or step == 1)
    for number in range(count):
        yield (start + number) * step % of
