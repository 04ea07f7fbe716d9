"""Who runs on a data folder: a lock that dies with its holder, and a note of the children it started."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from standalone.layout import Layout

_DYING = 5.0  # seconds for the kernel to end what was killed; the data folder is somebody else's right after


@dataclass(frozen=True, slots=True)
class Child:
    """A process with the moment it started, so that a number used again by another process is never mistaken."""

    name: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True)
class Running:
    """What the holder of the lock wrote down. `address` is empty for a command that serves nothing."""

    command: str
    pid: int
    address: str
    environment: dict[str, str]
    children: tuple[Child, ...]


class Lock:
    """An flock on `run/lock`: the kernel lets go of it with the process, so it never lies after a kill -9."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.run / "lock"
        self._descriptor: int | None = None

    def take(self) -> bool:
        """True if it is ours now."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        if not self._path.exists():
            return False
        if self.take():
            self.release()
            return False
        return True


def write_note(layout: Layout, running: Running) -> None:
    path = _note(layout)
    half = path.with_name(path.name + ".new")
    # The environment may carry the password of a database server.
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({**asdict(running), "boot": _boot()}, file)
    half.replace(path)


def read_note(layout: Layout) -> Running | None:
    """The last note; it describes something alive only while the lock is held."""
    try:
        found = json.loads(_note(layout).read_text())
        children = tuple(Child(**child) for child in found["children"])
        if found["boot"] != _boot():
            children = ()
        return Running(found["command"], found["pid"], found["address"], found["environment"], children)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def remove_note(layout: Layout) -> None:
    _note(layout).unlink(missing_ok=True)


def end_orphans(layout: Layout, *, limit: float = 15.0) -> list[str]:
    """End what a killed launcher left behind; returns the names. The caller holds the lock."""
    note = read_note(layout)
    if note is None:
        return []
    ended: list[str] = []
    for child in reversed(note.children):
        if not _session(child, layout.data):
            continue
        ended.append(child.name)
        # PostgreSQL ends open sessions only on SIGINT; for the others SIGTERM is the polite word.
        word = signal.SIGINT if child.name == "postgresql" else signal.SIGTERM
        if started_at(child.pid) == child.started:
            _send(child.pid, word)
        for pid in _left_after(limit, child, layout.data):
            _send(pid, signal.SIGKILL)
        _left_after(_DYING, child, layout.data)
    remove_note(layout)
    return ended


def _left_after(seconds: float, child: Child, data: Path) -> list[int]:
    """What of the child's session is still alive when all of it has ended, or so many seconds have passed."""
    until = time.monotonic() + seconds
    while (left := _session(child, data)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def clear(layout: Layout) -> list[str]:
    """`end_orphans` for somebody who does not hold the lock; nothing if another process does."""
    lock = Lock(layout)
    if not layout.run.exists() or not lock.take():
        return []
    try:
        return end_orphans(layout)
    finally:
        lock.release()


def started_at(pid: int) -> str:
    """When the process started, in the kernel's ticks since boot; empty if there is none."""
    return _stat(pid)[19] if _stat(pid) else ""


def _session(child: Child, data: Path) -> list[int]:
    """The child and what it started, as far as they are alive and surely ours."""
    found = [child.pid] if started_at(child.pid) == child.started else []
    mark = b"PACS_DATA=" + os.fsencode(data)
    for pid in _pids():
        fields = _stat(pid)
        if pid != child.pid and fields and fields[3] == str(child.pid):
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may itself hold blanks; empty for a dead one or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in "ZX" else fields


def _pids() -> Iterator[int]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            yield int(entry)


def _send(pid: int, word: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, word)


def _note(layout: Layout) -> Path:
    return layout.run / "state.json"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
