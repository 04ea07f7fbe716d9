"""One child process: started in a session of its own, waited for until it answers, stopped within a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from standalone.errors import ServiceFailed
from standalone.identity import Identity, own
from standalone.preloading import Forked

LOG_LIMIT = 10 * 1024 * 1024
TAIL_LINES = 25


class Service:
    """A child with a log file. Subclasses give `command()`, and as needed `prepare()`, `ready()` and `environment()`.

    The session of its own keeps the terminal's Ctrl-C from the child, so that we can stop the children in order.
    If we die without a word (SIGKILL) the kernel sends the child its stop signal.
    """

    name = "service"
    stop_signal = signal.SIGTERM
    stop_limit = 15.0
    ready_limit = 60.0

    def __init__(self, log: Path, cwd: Path) -> None:
        self.log = log
        self.cwd = cwd
        self.identity: Identity = own()
        self.process: subprocess.Popen[bytes] | Forked | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def prepare(self) -> None:
        """Everything that has to exist before the process starts."""

    def ready(self) -> bool:
        """Whether it answers its real purpose; called every few moments until it does."""
        return True

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Prepare, start and wait until it answers. Raises ServiceFailed with the tail of the log."""
        self.prepare()
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        _rotate(self.log)
        with self.log.open("ab") as log:
            self.process = self.begin(log)

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        """The process, its output in `log`."""
        return subprocess.Popen(
            self.command(),
            cwd=self.cwd,
            env=dict(self.environment()),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **self.identity.popen_options(death_signal=self.stop_signal),
        )

    def wait_ready(self) -> None:
        until = time.monotonic() + self.ready_limit
        pause = 0.02
        while not self.ready():
            if not self.alive:
                code = None if self.process is None else self.process.returncode
                raise ServiceFailed(f"{self.name} ended with code {code} while starting.\n{self.tail()}")
            if time.monotonic() > until:
                self.stop()
                raise ServiceFailed(f"{self.name} did not answer within {self.ready_limit:.0f} s.\n{self.tail()}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    def stop(self) -> bool:
        """Ask it to end, then end it. True if it went by itself within the limit. Safe to call twice."""
        process = self.process
        if process is None:
            return True
        polite = True
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.stop_signal)
            try:
                process.wait(self.stop_limit)
            except subprocess.TimeoutExpired:
                polite = False
        # What is left of its session (a worker's children after a forced end) must not outlive it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return polite

    def tail(self) -> str:
        """The last lines of the log, with its place."""
        return tail(self.log)


def tail(log: Path) -> str:
    """The last lines of a log between two marks that name it."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            lines = file.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
    except OSError:
        lines = []
    return "\n".join([f"--- end of {log}", *lines, "---"])


def _rotate(log: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_name(log.name + ".1"))
