"""Several clients at once, each a process of its own, so that they don't wait for each other's interpreter.

What they send is made before the clock runs and what they get is checked after it has stopped.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Final

from benchmarks.bench.processes import processor_seconds
from benchmarks.bench.targets import Target
from benchmarks.bench.wire import Answer, Connection, WireError

LONGEST: Final = 900.0  # seconds that a client may take for everything
ERRORS_SHOWN: Final = 3


class WrongAnswer(Exception):
    """A server answered, but not what it should have."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``body`` makes what is sent; ``check`` raises WrongAnswer."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    check: Callable[[Answer], None] | None = None
    body: Callable[[], bytes] | None = None

    def send(self, connection: Connection, body: bytes | None = None) -> Answer:
        """Over ``connection``, and the answer unchecked."""
        return connection.ask("GET" if body is None else "POST", self.path, self.headers, body)


@dataclass(frozen=True, slots=True)
class Took:
    """Moments of one request, and the bytes of its answer as they came."""

    begun: float
    first_byte: float
    ended: float
    size: int

    @property
    def seconds(self) -> float:
        """From sending to the last byte."""
        return self.ended - self.begun


@dataclass(frozen=True, slots=True)
class Run:
    """All requests in the order of their ends; ``processor`` is of the server, None where it can't be known."""

    took: tuple[Took, ...]
    processor: float | None

    @property
    def window(self) -> float:
        """Seconds from the first request to the last answer."""
        return self.ended - min(one.begun for one in self.took)

    @property
    def ended(self) -> float:
        """The moment of the last answer."""
        return max(one.ended for one in self.took)

    @property
    def seconds(self) -> list[float]:
        """Of each request."""
        return [one.seconds for one in self.took]


def run(
    target: Target,
    plans: Sequence[Sequence[Ask]],
    *,
    before: Callable[[], None] | None = None,
    seconds: float = 0.0,
) -> Run:
    """Each plan by a client of its own, all at once; again and again until ``seconds`` have passed, if any are given.

    ``before`` runs in this process when all are connected, and only then they begin. Raises WrongAnswer with the first
    complaints.
    """
    context = multiprocessing.get_context("fork")
    clients = []
    for plan in plans:
        ours, theirs = context.Pipe()
        process = context.Process(target=_client, args=(target, plan, theirs, seconds), daemon=True)
        process.start()
        theirs.close()
        clients.append((process, ours))
    try:
        for _, pipe in clients:
            _receive(pipe)
        began = processor_seconds(target.processes)
        if before is not None:
            before()
        for _, pipe in clients:
            pipe.send("go")
        for _, pipe in clients:
            _receive(pipe)
        spent = processor_seconds(target.processes) - began
        for _, pipe in clients:
            pipe.send("check")
        took: list[Took] = []
        complaints: list[str] = []
        for _, pipe in clients:
            mine, wrong = _receive(pipe)
            took += mine
            complaints += wrong
    finally:
        for process, pipe in clients:
            pipe.close()
            process.terminate()
            process.join()
    if complaints:
        raise WrongAnswer(f"{target.name}: {len(complaints)} wrong answers: " + "; ".join(complaints[:ERRORS_SHOWN]))
    return Run(tuple(sorted(took, key=lambda one: one.ended)), spent if target.processes else None)


def shared_out(asks: Sequence[Ask], clients: int) -> list[list[Ask]]:
    """The requests dealt out in turn."""
    return [list(asks[number::clients]) for number in range(clients)]


def _receive(pipe: Pipe) -> tuple[list[Took], list[str]]:
    if not pipe.poll(LONGEST):
        raise WrongAnswer(f"a client has not ended after {LONGEST:.0f} s")
    try:
        told: tuple[list[Took], list[str]] = pipe.recv()
    except EOFError as error:
        raise WrongAnswer("a client has died") from error
    return told


def _client(target: Target, plan: Sequence[Ask], pipe: Pipe, seconds: float) -> None:
    """The life of a client: ready, go, done, check, and what came of it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    took: list[Took] = []
    answers: list[tuple[Ask, Answer]] = []
    wrong: list[str] = []
    try:
        connection = target.connect()
        bodies = [None if ask.body is None else ask.body() for ask in plan]
        connection.open()
    except (OSError, ValueError, LookupError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    pipe.send(([], []))
    pipe.recv()
    try:
        if not wrong:
            for ask, answer, known in _asked(connection, plan, bodies, seconds):
                took.append(Took(answer.begun, answer.first_byte, answer.ended, len(answer.body)))
                if not known:
                    answers.append((ask, answer))
    except (OSError, WireError) as error:
        wrong.append(f"{type(error).__name__}: {error}")
    pipe.send(([], []))
    pipe.recv()
    wrong += [complaint for ask, answer in answers if (complaint := _complaint(ask, answer))]
    pipe.send((took, wrong))
    pipe.close()
    os._exit(0)


def _asked(
    connection: Connection, plan: Sequence[Ask], bodies: Sequence[bytes | None], seconds: float
) -> Iterator[tuple[Ask, Answer, bool]]:
    """Each answer, and whether it is the one that this request had before: that needs no second check, and no room."""
    until = time.perf_counter() + seconds
    before: dict[int, Answer] = {}
    while True:
        for number, (ask, body) in enumerate(zip(plan, bodies, strict=True)):
            answer = ask.send(connection, body)
            yield ask, answer, number in before and before[number].body == answer.body
            if seconds:
                before[number] = answer
                if time.perf_counter() > until:
                    return
        if not seconds:
            return


def _complaint(ask: Ask, answer: Answer) -> str:
    try:
        if ask.check is not None:
            ask.check(answer)
    except WrongAnswer as error:
        return f"{ask.path.split('?')[0][-60:]}: {error}"
    except (ValueError, LookupError, TypeError, WireError) as error:
        return f"{ask.path.split('?')[0][-60:]}: {type(error).__name__} {error}"
    return ""
