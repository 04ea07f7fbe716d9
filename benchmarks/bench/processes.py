"""What a tree of processes has cost: seconds of processor, and its memory as PSS where that can be read."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

SAMPLING_SECONDS: Final = 0.5
RESTING_SECONDS: Final = 1.5
RESTING_SHARE: Final = 0.12  # of a core: what a server does that waits


def tree(roots: Iterable[int]) -> set[int]:
    """``roots`` and everything that descends from them and lives."""
    parents = _parents()
    found = {pid for pid in roots if pid in parents}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grew = bool(more)
    return found


def parents_of(processes: Iterable[int]) -> set[int]:
    """Of those that live."""
    parents = _parents()
    return {parents[pid] for pid in processes if pid in parents}


def processor_seconds(roots: Iterable[int]) -> float:
    """Of the whole tree since it began; what has ended counts once its parent has waited for it."""
    tick = os.sysconf("SC_CLK_TCK")
    return sum(sum(map(int, stat[11:15])) for pid in tree(roots) if (stat := _stat(pid))) / tick


def memory_bytes(roots: Iterable[int]) -> tuple[int, bool]:
    """Of the whole tree now, and whether all of it is PSS; else it is RSS, which counts shared pages often."""
    total, fair = 0, True
    for pid in tree(roots):
        try:
            total += _pss(pid)
        except OSError:
            fair = False
            total += _rss(pid)
    return total, fair


def settle(trees: Iterable[Sequence[int]], limit: float) -> tuple[float, bool]:
    """Wait until each tree rests, or so many seconds: how long it took, and whether they do.

    What a server still does with what it was sent would otherwise be charged to the next measurement, or to the other
    server's.
    """
    began = time.monotonic()
    known = [roots for roots in trees if roots]
    before = [processor_seconds(roots) for roots in known]
    while known:
        time.sleep(RESTING_SECONDS)
        now = [processor_seconds(roots) for roots in known]
        if all(b - a < RESTING_SHARE * RESTING_SECONDS for a, b in zip(before, now, strict=True)):
            break
        if time.monotonic() - began > limit:
            return time.monotonic() - began, False
        before = now
    return time.monotonic() - began, True


class MemoryWatch:
    """A process beside the measurements that keeps each tree's peak; a context manager."""

    def __init__(self, roots: Mapping[str, Sequence[int]]) -> None:
        self._roots = {name: list(pids) for name, pids in roots.items() if pids}
        context = multiprocessing.get_context("fork")
        self._peaks = {name: context.Value("q", 0) for name in self._roots}
        self._fair = {name: context.Value("b", 1) for name in self._roots}
        self._process = context.Process(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.join()

    def peak(self, name: str) -> int | None:
        """Bytes; None for a target whose processes nobody named."""
        return int(self._peaks[name].value) if name in self._peaks else None

    def fair(self, name: str) -> bool:
        """Whether the peak is PSS."""
        return name in self._fair and bool(self._fair[name].value)

    def _watch(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.nice(5)
        while True:
            for name, roots in self._roots.items():
                now, fair = memory_bytes(roots)
                if now > self._peaks[name].value:
                    self._peaks[name].value = now
                if not fair:
                    self._fair[name].value = 0
            time.sleep(SAMPLING_SECONDS)


def _parents() -> dict[int, int]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(int(entry))):
            found[int(entry)] = int(stat[1])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _rss(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
