"""`./pacs stop`: end the running installation and wait until no process of it is left."""

from __future__ import annotations

import os
import signal
import time

from standalone.errors import StandaloneError
from standalone.layout import Layout
from standalone.running import Lock, clear, read_note, started_at

LIMIT = 150.0


def stop(layout: Layout) -> int:
    """Exit code 0 once nothing runs. Raises StandaloneError if it is not ours to stop or does not end."""
    if not layout.run.exists():
        print("Lightbox is not running.")
        return 0
    lock = Lock(layout)
    if not lock.held:
        return _clean(layout)
    note = read_note(layout)
    if note is None:
        raise StandaloneError(f"Something holds {layout.run}/lock and does not say what it is.")
    print(f"Stopping Lightbox (process {note.pid})...", flush=True)
    started = started_at(note.pid)
    try:
        os.kill(note.pid, signal.SIGTERM)
    except PermissionError:
        raise StandaloneError(f"Process {note.pid} belongs to another user; stop it as that user.") from None
    except ProcessLookupError:
        pass
    until = time.monotonic() + LIMIT
    while lock.held or (started and started_at(note.pid) == started):
        if time.monotonic() > until:
            raise StandaloneError(f"Process {note.pid} did not end within {LIMIT:.0f} s; see {layout.logs}.")
        time.sleep(0.1)
    return _clean(layout)


def _clean(layout: Layout) -> int:
    """End what a killed launcher left; if an `up` took the lock first there is nothing to do."""
    for name in clear(layout):
        print(f"Ended {name}, left by a launcher that was killed.")
    print("Lightbox is stopped. The data are kept.")
    return 0
