"""The slowest requests of the last hours, of all processes of this host, without anything of a patient.

Each process appends to a file of its own in the folder of the metrics; when that is full it becomes the older of two,
and the one before is gone. Only slow requests are written, so that it costs the others nothing.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from telemetry.shared_values import folder, number

FILE_BYTES: Final = 128 * 1024
HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Slow:
    """One request: ``at`` in seconds since 1970, times in milliseconds. ``route`` is a name, never an address."""

    at: float
    route: str
    method: str
    status: int
    total: float
    auth: float
    db: float
    store: float
    codec: float
    statements: int
    bytes: int
    request_id: str


def note(request: Slow) -> None:
    """Keep it; a disk that is full keeps nobody from answering."""
    kept, own = folder(), number()
    if kept is None or own is None:
        return
    path = kept / f"slow-{own:03}.jsonl"
    line = json.dumps(asdict(request), separators=(",", ":")) + "\n"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line.encode())
            full = os.fstat(handle).st_size > FILE_BYTES
        finally:
            os.close(handle)
        if full:
            path.replace(path.with_suffix(".old"))
    except OSError:
        return


def slowest(hours: float = HOURS) -> list[Slow]:
    """Those of the last hours, the slowest first."""
    since = time.time() - hours * 3600
    found = [request for request in _kept() if request.at >= since]
    return sorted(found, key=lambda request: -request.total)


def _kept() -> Iterator[Slow]:
    kept = folder()
    for path in (*kept.glob("slow-*.jsonl"), *kept.glob("slow-*.old")) if kept else ():
        yield from _lines(path)


def _lines(path: Path) -> Iterator[Slow]:
    try:
        text = path.read_text()
    except OSError:
        return
    for line in text.splitlines():
        try:
            yield Slow(**json.loads(line))
        except (ValueError, TypeError):
            # The last line of a process that was killed, or one of another release.
            continue
