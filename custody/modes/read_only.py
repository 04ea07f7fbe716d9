"""Read-only mode: nothing is stored, changed or deleted, while all that is there is searched and read.

It lasts by a row that an administrator made, or on this machine while its disk has too little room. Every process asks
for the row once a second at the most, and believes what it heard; while the database is away it goes on believing.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models.functions import Now

from access.trail import system_event
from archive.ready_query import ReadyQuery
from audit import kinds
from audit.record import record
from custody.modes.disk import disk
from custody.modes.models import ReadOnlyPeriod

BELIEVED_SECONDS: Final = 1.0
_CURRENT: Final = ReadyQuery(lambda: ReadOnlyPeriod.objects.filter(ended_at__isnull=True).values("reason", "began_at"))


@dataclass(frozen=True, slots=True)
class ReadOnly:
    """Why nothing is changed now, and since when. ``by`` disk: what makes room is not refused."""

    by: Literal["administrator", "disk"]
    reason: str
    since: datetime

    @property
    def text(self) -> str:
        """What those are told who want to change something."""
        return f"this archive is read-only for now: {self.reason}"


class _Belief:
    """What was last heard of the row."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._period: ReadOnly | None = None
        self._until = 0.0

    def now(self) -> ReadOnly | None:
        if time.monotonic() < self._until:
            return self._period
        asked_at = time.monotonic()
        try:
            row = _CURRENT.first()
        except (DatabaseError, InterfaceError):
            return self._period
        with self._lock:
            self._period = None if row is None else ReadOnly("administrator", row["reason"], row["began_at"])
            self._until = asked_at + BELIEVED_SECONDS
            return self._period

    def forget(self) -> None:
        self._until = 0.0


_belief = _Belief()


def read_only() -> ReadOnly | None:
    """The mode now; None where changes are welcome. Costs a query once a second in each process."""
    found = _belief.now()
    if found is not None:
        return found
    since = disk.low_since()
    return None if since is None else ReadOnly("disk", "there is too little room on its disk", since)


def why_read_only() -> str:
    """What those are told who want to store something; "" where they may."""
    found = read_only()
    return "" if found is None else found.text


def begin(reason: str) -> bool:
    """From now on; False if it is so already. In the trail with ``reason``."""
    with transaction.atomic():
        _, made = ReadOnlyPeriod.objects.get_or_create(ended_at=None, defaults={"reason": reason})
        if made:
            record([system_event(kinds.CONFIGURATION, f"read-only mode began: {reason}", purpose=reason)])
    _belief.forget()
    return made


def end(reason: str = "") -> bool:
    """Changes are welcome again; False if they were. In the trail."""
    with transaction.atomic():
        ended = ReadOnlyPeriod.objects.filter(ended_at__isnull=True).update(ended_at=Now())
        if ended:
            record([system_event(kinds.CONFIGURATION, "read-only mode ended", purpose=reason)])
    _belief.forget()
    return bool(ended)
