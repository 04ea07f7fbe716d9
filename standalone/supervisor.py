"""Starts services in order, watches them, restarts one that dies, and stops all of them in the opposite order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from standalone.errors import ServiceFailed
from standalone.identity import own
from standalone.layout import PROJECT
from standalone.running import Child, started_at
from standalone.services.service import Service, tail

RESTARTS = 3
RESTART_WINDOW = 600.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Job:
    """A command with an end, next to the services."""

    name: str
    process: subprocess.Popen[bytes]
    done: Callable[[int], None]
    stop_signal: signal.Signals


class StopRequested(BaseException):
    """Ctrl-C or a signal to end; no error, so nothing but the supervisor's end may catch it."""


class Supervisor:
    """Use as a context manager: whatever ends the block, no child is left when it is left.

    `changed` is told after each start, so that the note of who runs is never behind.
    """

    def __init__(self, say: Callable[[str], None], changed: Callable[[Sequence[Child]], None]) -> None:
        self._say = say
        self._changed = changed
        self._services: list[Service] = []
        self._jobs: list[Job] = []
        self._deaths: dict[str, deque[float]] = {}
        self._stopping = False
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        for each in SIGNALS:
            before = signal.getsignal(each)
            # `nohup` asks to outlive the terminal.
            if each is signal.SIGHUP and before is signal.SIG_IGN:
                continue
            self._before[each] = before
            signal.signal(each, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._stop_all()
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping:
            self._stopping = True
            raise StopRequested

    def add(self, service: Service) -> None:
        """Start it and wait until it answers; from then on it is watched."""
        self._services.append(service)
        service.start()
        self._note()

    def run(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, log: Path | None = None
    ) -> None:
        """Run one command to its end, its output in `log` or on the terminal. Raises ServiceFailed."""
        job = self._start(name, command, environment, _nothing, log)
        code = job.process.wait()
        self._jobs.remove(job)
        if code != 0:
            raise ServiceFailed("\n".join([f"{name} failed (code {code}).", *([tail(log)] if log else [])]))

    def begin(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        done: Callable[[int], None],
        log: Path | None = None,
    ) -> None:
        """Start a command and go on; `watch` tells `done` its exit code. It is ended with everything else."""
        self._start(name, command, environment, done, log)

    def busy(self, name: str) -> bool:
        """Whether that command, begun earlier, still runs."""
        return any(job.name == name and job.process.poll() is None for job in self._jobs)

    def watch(self) -> Iterator[None]:
        """Yield twice a second for ever. A dead service is restarted; its fourth death raises ServiceFailed."""
        while True:
            for service in self._services:
                if not service.alive:
                    self._revive(service)
            for job in [job for job in self._jobs if job.process.poll() is not None]:
                self._jobs.remove(job)
                job.done(job.process.returncode)
            yield
            time.sleep(0.5)

    def _start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        done: Callable[[int], None],
        log: Path | None,
    ) -> Job:
        # SIGINT lets Python remove its temporary files; its traceback belongs in a log, not on the terminal.
        stop_signal = signal.SIGINT if log else signal.SIGTERM
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("wb")) if log else None
            process = subprocess.Popen(
                list(command),
                cwd=PROJECT,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **own().popen_options(death_signal=stop_signal),
            )
        job = Job(name, process, done, stop_signal)
        self._jobs.append(job)
        return job

    def _revive(self, service: Service) -> None:
        code = service.process.returncode if service.process else None
        deaths = self._deaths.setdefault(service.name, deque())
        now = time.monotonic()
        while deaths and now - deaths[0] > RESTART_WINDOW:
            deaths.popleft()
        deaths.append(now)
        if len(deaths) > RESTARTS:
            raise ServiceFailed(f"{service.name} ended {len(deaths)} times, last with code {code}.\n{service.tail()}")
        self._say(f"! {service.name} ended unexpectedly (code {code}); starting it again. Its log: {service.log}")
        service.stop()
        service.start()
        self._note()

    def _note(self) -> None:
        alive = (service for service in self._services if service.pid is not None)
        self._changed([Child(each.name, each.pid or 0, started_at(each.pid or 0)) for each in alive])

    def _stop_all(self) -> None:
        for job in self._jobs:
            _end(job, 10.0)
        for service in reversed(self._services):
            if service.process is not None and not service.stop():
                self._say(f"! {service.name} did not stop within {service.stop_limit:.0f} s and was ended.")


def _end(job: Job, limit: float) -> None:
    process = job.process
    if process.poll() is None:
        process.send_signal(job.stop_signal)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _nothing(_code: int) -> None:
    """A job whose end nobody waits for."""


@contextlib.contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """While a child of the same terminal runs, Ctrl-C is the child's to answer."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
