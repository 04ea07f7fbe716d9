"""Counts that outlive their process and that any process of the installation can read: each has files of its own.

The files have the form of prometheus_client's multiprocess mode, which reads them (``telemetry.exposition``). Writing
is ours, for three reasons. The blocks of a file are taken when it is made: a page written to a full disk would end the
process. A fork is noticed when it happens, not asked for with each count. And files belong to numbers that are used
again (``telemetry.slots``), not to process ids.

Where no folder can be used values are counted in memory: nothing that is counted may fail because of it.
"""

import logging
import mmap
import os
import struct
from pathlib import Path
from threading import Lock
from typing import Any, Final

from prometheus_client.mmap_dict import MmapedDict, mmap_key

from telemetry.slots import NoSlot, Slot

_log = logging.getLogger(__name__)
# Bytes of a file: some 1,500 values. What doesn't fit is counted in memory.
FILE_BYTES: Final = 512 * 1024
_DOUBLE: Final = struct.Struct("d").pack
_LENGTH: Final = struct.Struct("i").pack


class _File:
    """The values of one kind ("counter", "histogram") of this process."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_size < FILE_BYTES:
                os.posix_fallocate(handle, 0, FILE_BYTES)
            self.bytes = mmap.mmap(handle, FILE_BYTES)
        finally:
            os.close(handle)
        self._places: dict[str, tuple[int, float]] = {}
        self._used = 8
        try:
            for key, value, _, place in MmapedDict.read_all_values_from_file(path):
                self._places[key] = (place, value)
                self._used = place + 16
        except (RuntimeError, ValueError, struct.error):
            # Cut off in the middle by a crash of the machine: counting begins anew.
            self._places.clear()
            self._used = 8
        self.bytes[0:4] = _LENGTH(self._used)

    def place(self, key: str) -> tuple[int, float]:
        """Where the value of ``key`` stands, and what it is. Raises NoSlot when the file is full."""
        known = self._places.get(key)
        if known is not None:
            return known
        encoded = key.encode()
        padded = encoded + b" " * (8 - (len(encoded) + 4) % 8)
        entry = _LENGTH(len(encoded)) + padded + _DOUBLE(0.0) * 2
        end = self._used + len(entry)
        if end > FILE_BYTES:
            raise NoSlot("the file of the metrics is full")
        self.bytes[self._used : end] = entry
        # Readers look no further than this: it is written when the entry is whole.
        self.bytes[0:4] = _LENGTH(end)
        self._used = end
        found = self._places[key] = (end - 16, 0.0)
        return found


class _Process:
    """What this process holds; anew after a fork."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.lock = Lock()
        self.files: dict[str, _File] = {}
        self.slot: Slot | None = None
        self.refused = folder is None

    def file(self, kind: str) -> _File | None:
        if self.refused or self.folder is None:
            return None
        if kind not in self.files:
            try:
                self.slot = self.slot or Slot(self.folder)
                self.files[kind] = _File(self.folder / f"{kind}_{self.slot.number}.db")
            except OSError as error:
                self.refused = True
                _log.warning("metrics of this process are counted in its memory only: %s", type(error).__name__)
                return None
        return self.files[kind]


_process = _Process(None)


def keep_in(folder: Path) -> None:
    """From now on values are kept in files of ``folder``; those counted before are left where they are."""
    global _process
    if _process.folder != folder:
        _process = _Process(folder)


def folder() -> Path | None:
    """Where values are kept; None for memory."""
    return _process.folder


def number() -> int | None:
    """The number of this process in the folder, which it claims if it has none; None where there is none to have."""
    with _process.lock:
        _process.file("counter")
    return _process.slot.number if _process.slot else None


def _after_fork() -> None:
    global _process
    if _process.slot is not None:
        _process.slot.forget()
    _process = _Process(_process.folder)


os.register_at_fork(after_in_child=_after_fork)


class SharedValue:
    """One value, in the form that prometheus_client's metrics want (``values.ValueClass``)."""

    _multiprocess = True

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Any,
        labelvalues: Any,
        help_text: str,
        **_: Any,
    ) -> None:
        self._kind = typ
        self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        self._of: _Process | None = None
        self._bytes: mmap.mmap | None = None
        self._from = self._to = 0
        self._value = 0.0

    def inc(self, amount: float) -> None:
        """Count; never raises for a file that can't be written."""
        process = _process
        with process.lock:
            if self._of is not process:
                self._begin(process)
            self._value += amount
            if self._bytes is not None:
                self._bytes[self._from : self._to] = _DOUBLE(self._value)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Counters are never set; here for the form's sake."""
        self.inc(value - self.get())

    def get(self) -> float:
        """What this process's file says."""
        process = _process
        with process.lock:
            if self._of is not process:
                self._begin(process)
            return self._value

    def set_exemplar(self, exemplar: Any) -> None:
        """None are kept."""

    def get_exemplar(self) -> None:
        """None are kept."""

    def _begin(self, process: _Process) -> None:
        self._of, self._bytes, self._value = process, None, 0.0
        file = process.file(self._kind)
        if file is None:
            return
        try:
            self._from, self._value = file.place(self._key)
        except NoSlot:
            _log.warning("a metric has more labels than there is room for; it is counted in memory only")
            return
        self._to = self._from + 8
        self._bytes = file.bytes
