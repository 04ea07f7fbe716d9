"""How many addresses outside somebody's scope are written down one by one: whoever guesses must not fill the trail."""

import threading
import time
from enum import Enum
from typing import Final

SECONDS: Final = 60.0
PER_PRINCIPAL: Final = 60
SILENT: Final = f"further ones within {SECONDS:.0f} s are not recorded"


class Allowance(Enum):
    """Whether an event may be written; LAST is the one that says that others are left out."""

    YES = 1
    LAST = 2
    NO = 3


class Refusals:
    """``PER_PRINCIPAL`` events a minute and process for each principal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._counts: dict[str, int] = {}

    def allows(self, principal_id: str) -> Allowance:
        """Count one more."""
        with self._lock:
            now = time.monotonic()
            if now - self._began > SECONDS:
                self._began, self._counts = now, {}
            count = self._counts[principal_id] = self._counts.get(principal_id, 0) + 1
        if count < PER_PRINCIPAL:
            return Allowance.YES
        return Allowance.LAST if count == PER_PRINCIPAL else Allowance.NO


refusals = Refusals()
