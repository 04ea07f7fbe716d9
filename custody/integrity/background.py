"""The scrub that never ends: a little of it each minute, so much that the whole archive is read within its days.

The relay wishes a turn while one is due; a worker takes it, unless the processors have other work. A turn looks at as
many objects as the pace allows for the minute, and at one at least, however large it is.
"""

import time
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

from archive import outbox
from archive.at_rest_pace import processors
from archive.models import StoredBytes
from archive.outbox import Wish
from audit.companion import Companion
from custody.integrity import scrubbing
from custody.integrity.models import Lap

EACH_SECONDS: Final = 60.0
_TURN_SECONDS: Final = 30.0
_DAY: Final = 86_400
_LOCK: Final = 0x4C42_5343 << 32
# A walk shall end before its days do: workers are busy, and stopped now and then.
_HASTE: Final = 1.5


class ScrubWatch(Companion):
    """Wishes for a turn each minute (``RELAY_THREADS``), the first one a minute after the start."""

    name = "scrub"
    failing = "the scrub can't be begun"
    pause = EACH_SECONDS
    _rested = False

    def work(self) -> None:
        """Wish for a turn, if one is due."""
        if self._rested and is_due(timezone.now()):
            outbox.wish([Wish(outbox.SCRUB, "all")])
        self._rested = True


def is_due(now: datetime) -> bool:
    """Whether a walk is under way, or it is time for the next one."""
    days = settings.PACS.scrub.days
    if not days:
        return False
    newest = Lap.objects.order_by("-pk").first()
    return newest is None or newest.ended_at is None or newest.began_at + timedelta(days=days) <= now


def turn(subject: str) -> None:
    """The task: so much of the walk as belongs to a minute; ``subject`` says nothing. Raises ``ArchiveUnavailable``."""
    terms = settings.PACS.scrub
    if not is_due(timezone.now()) or processors.busy(terms.busy_percent) or not _locked():
        return
    try:
        walk = scrubbing.lap() or Lap.objects.create()
        until = time.monotonic() + _TURN_SECONDS
        scrubbing.go_on(walk, lambda: time.monotonic() < until, pace() * int(EACH_SECONDS), repair=terms.repair)
    finally:
        _unlock()


def pace() -> int:
    """Bytes a second that bring the walk to its end in time, and no more than the setting allows."""
    stored = sum(StoredBytes.objects.values_list("bytes", flat=True))
    copies = 2 if settings.PACS.copies.there else 1
    needed = stored * copies * _HASTE / (settings.PACS.scrub.days * _DAY)
    return int(min(settings.PACS.scrub.bytes_per_second, max(needed, 1)))


def _locked() -> bool:
    """One turn at a time in the whole installation; PostgreSQL gives the lock back should the worker die."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        [(locked,)] = cursor.fetchall()
    return bool(locked)


def _unlock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
