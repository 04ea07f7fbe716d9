"""Programs forked from one process that has loaded the product (``pacs_project.preloaded``), as ``subprocess`` shows
its own children. Each environment has a process of its own, which goes with the last of its programs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

_MODULE: Final = "pacs_project.preloaded"
_MESSAGE_BYTES: Final = 1 << 16
LOADING_SECONDS: Final = 60.0


class NotPreloaded(Exception):
    """There is no such process, or it went; a program has to be begun by itself."""


class Preloaded:
    """The process, and what it has begun. Raises NotPreloaded for one that doesn't get ready."""

    def __init__(self, environment: Mapping[str, str], cwd: Path, log: IO[bytes]) -> None:
        try:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise NotPreloaded from error
        self._lock = threading.Lock()
        self._closed = False
        self._codes: dict[int, int] = {}
        self._running: set[int] = set()
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                    cwd=cwd,
                    env=dict(environment),
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            self._control.close()
            raise NotPreloaded from error
        with self._no_later_than_this():
            self._await("ready")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._closed and self._process.poll() is None

    def begin(self, name: str, words: Sequence[str], log: IO[bytes], death_signal: int) -> Forked:
        """Have ``python WORDS`` begun. Raises NotPreloaded."""
        asked = json.dumps({"name": name, "words": list(words), "death_signal": death_signal}).encode()
        with self._lock:
            if self._closed:
                raise NotPreloaded
            with self._no_later_than_this():
                try:
                    socket.send_fds(self._control, [asked], [log.fileno()])
                except OSError as error:
                    raise NotPreloaded from error
                heard = self._await("begun", "failed")
                if "failed" in heard:
                    refused = str(heard["failed"])
                else:
                    begun = Forked(self, int(heard["begun"]))
                    self._running.add(begun.pid)
                    return begun
        raise NotPreloaded(refused)

    def code(self, pid: int) -> int | None:
        """How it ended, as ``subprocess`` tells it; None as long as that may still be heard. Raises NotPreloaded."""
        with self._lock:
            while self._hears(0):
                self._hear()
            if self._closed and pid not in self._codes:
                raise NotPreloaded
            return self._codes.get(pid)

    def done(self, pid: int) -> None:
        """It has ended; with the last one this ends."""
        with self._lock:
            self._running.discard(pid)
            if self._running:
                return
            self._closed = True
        self.close()

    def close(self) -> None:
        """Let it end, which it does once nobody can ask any more."""
        self._closed = True
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def _no_later_than_this(self) -> Iterator[None]:
        """Whatever breaks off what is within, Ctrl-C too: what it may still begin, or has begun, ends with it."""
        try:
            yield
        except BaseException:
            self._process.kill()
            self.close()
            raise

    def _await(self, *words: str) -> dict[str, Any]:
        until = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < until:
            if self._hears(0.5) and not {*words}.isdisjoint(heard := self._hear()):
                return heard
            if self._process.poll() is not None and not self._hears(0):
                break
        raise NotPreloaded

    def _hears(self, seconds: float) -> bool:
        return not self._closed and _readable(self._control.fileno(), seconds)

    def _hear(self) -> dict[str, Any]:
        """One message; raises NotPreloaded at the end."""
        try:
            message = self._control.recv(_MESSAGE_BYTES)
        except OSError as error:
            raise NotPreloaded from error
        if not message:
            raise NotPreloaded
        heard: dict[str, Any] = json.loads(message)
        if "ended" in heard:
            self._codes[heard["ended"]] = heard["code"]
        return heard


class Forked:
    """A program, with what ``Service`` needs of ``subprocess.Popen``."""

    def __init__(self, parent: Preloaded, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent
        self._lock = threading.Lock()
        try:
            self._handle = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = -1
        except OSError as error:
            raise NotPreloaded from error

    @property
    def parent(self) -> int:
        """The process that has loaded what it shares."""
        return self._parent.pid

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        if self.returncode is None and self._gone(0):
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not self._gone(timeout):
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            self._ended()
        return self.returncode or 0

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with self._lock, suppress(ProcessLookupError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _gone(self, seconds: float | None) -> bool:
        return self._handle < 0 or _readable(self._handle, seconds)

    def _ended(self) -> None:
        """Its parent tells how; where that has gone as well nobody knows, and it was told to end."""
        with self._lock:
            if self.returncode is None:
                self._settle()

    def _settle(self) -> None:
        until = time.monotonic() + 5
        code: int | None = None
        try:
            while (code := self._parent.code(self.pid)) is None and time.monotonic() < until:
                time.sleep(0.005)
        except NotPreloaded:
            pass
        self.returncode = -signal.SIGTERM if code is None else code
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._parent.done(self.pid)


def _readable(descriptor: int, seconds: float | None) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(None if seconds is None else max(0.0, seconds) * 1000))


@cache
def _possible() -> bool:
    """Whether this system has handles of processes and death signals."""
    try:
        own = os.pidfd_open(os.getpid())
        signal.pidfd_send_signal(own, 0)
        os.close(own)
    except (AttributeError, OSError):
        return False
    return sys.platform == "linux"


_known: dict[tuple[Path, frozenset[tuple[str, str]]], Preloaded] = {}
_lock = threading.Lock()


def begin(
    name: str, words: Sequence[str], environment: Mapping[str, str], cwd: Path, log: IO[bytes], death_signal: int
) -> Forked:
    """``python WORDS`` out of the process of its environment, which is begun if need be. Raises NotPreloaded."""
    if not _possible():
        raise NotPreloaded
    key = cwd, frozenset(environment.items())
    with _lock:
        parent = _known.get(key)
        if parent is None or not parent.alive:
            parent = _known[key] = Preloaded(environment, cwd, log)
        return parent.begin(name, words, log, death_signal)
