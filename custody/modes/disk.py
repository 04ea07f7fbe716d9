"""How much room the disk of this machine has, looked at once a second at the most."""

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings

LOOK_SECONDS: Final = 1.0
# So much more than the limit must be free before it counts as room again: not on and off with each object.
AGAIN: Final = 2


class Disk:
    """The file system of ``PACS_DATA``. It is low below a limit, until ``AGAIN`` times as much is free."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._low_since: datetime | None = None

    def low_since(self) -> datetime | None:
        """Since when there has been too little room; None while there is enough, and where no limit is set."""
        limit = settings.PACS.read_only_below_bytes
        if not limit:
            return None
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            with self._lock:
                self._looked_at = time.monotonic()
                self._low_since = self._judged(free_bytes(settings.PACS.data), limit)
        return self._low_since

    def _judged(self, free: int | None, limit: int) -> datetime | None:
        if free is None:
            return self._low_since
        low = free < (limit * AGAIN if self._low_since else limit)
        return (self._low_since or datetime.now(UTC)) if low else None


def free_bytes(folder: Path) -> int | None:
    """What those who are not root may still write there; None if that can't be found out."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


disk: Final = Disk()
