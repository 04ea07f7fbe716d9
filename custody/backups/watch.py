"""The daily backup, and the alert when there has been none for more than a day.

Making one is the work of a process of its own, so that the relay stays quick; several relays make one together.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from audit.companion import Companion, log
from audit.raising import Cause, raise_alert
from custody.backups.models import BackupRun, Outcome
from custody.backups.state import LATE_AFTER, State, state

PAUSE: Final = 60.0
TRY_AGAIN: Final = timedelta(hours=1)
_EACH: Final = timedelta(days=1)


class BackupWatch(Companion):
    """Looks once a minute (``RELAY_THREADS``); does nothing while no target is set."""

    name = "backup watch"
    failing = "the backups can't be looked at"
    pause = PAUSE

    def __init__(self, stop: threading.Event) -> None:
        super().__init__(stop)
        self._running: subprocess.Popen[bytes] | None = None
        self._began: datetime | None = None

    def work(self) -> None:
        """Begin one if it is time, and raise what there is to raise."""
        if not settings.PACS.backup.target:
            return
        now = timezone.now()
        self._began = self._began or now
        if self._ended() and due(now):
            self._begin()
        cause = late(state(), now, self._began)
        if cause is not None:
            raise_alert(cause, now)

    def finish(self) -> None:
        """A backup that is broken off is none; it begins again after the next start."""
        if self._running is not None and self._running.poll() is None:
            self._running.terminate()

    def _ended(self) -> bool:
        if self._running is None:
            return True
        code = self._running.poll()
        if code is None:
            return False
        if code != 0:
            log.error("the backup ended with code %s; see what it said before this line", code)
        self._running = None
        return True

    def _begin(self) -> None:
        command: list[Any] = ["nice", "-n", "10", sys.executable, settings.BASE_DIR / "manage.py", "backup"]
        self._running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def due(now: datetime) -> bool:
    """Whether today's hour has come and nobody has made, or just tried to make, a backup since."""
    moment = now.replace(hour=settings.PACS.backup.hour, minute=0, second=0, microsecond=0)
    if moment > now:
        moment -= _EACH
    since = BackupRun.objects.filter(started_at__gte=moment)
    if since.filter(outcome__in=(Outcome.GOOD, Outcome.DAMAGED)).exists():
        return False
    # One that was killed stays "running" for ever: after a while it counts as tried.
    return not since.filter(started_at__gte=now - TRY_AGAIN).exists()


def late(found: State, now: datetime, began: datetime) -> Cause | None:
    """The alert, once a day as long as there is no new backup. ``began``: what counts where there never was one."""
    reached = found.last_good or found.since or began
    if now - reached <= LATE_AFTER:
        return None
    days = (now - reached - LATE_AFTER) // _EACH
    text = f"the newest complete backup reaches up to {reached:%Y-%m-%d %H:%M} UTC"
    if found.last_good is None:
        text = "there is no complete backup yet"
    if found.failed:
        text += f"; the last attempt failed: {found.failed}"
    newest = reached + LATE_AFTER + days * _EACH
    return Cause("backup_late", "backup", "backup", text, days + 1, reached, newest, newest)
