"""How the backups of this installation stand, for the status page, the doctor and the watch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from custody.backups.models import BackupRun, Outcome

LATE_AFTER: Final = timedelta(hours=26)
_COMPLETE: Final = (Outcome.GOOD, Outcome.DAMAGED)


@dataclass(frozen=True, slots=True)
class State:
    """``last_good``: up to when the newest complete backup reaches; None if there is none. ``failed``: of the last run.

    ``since`` is when this installation began to make backups.
    """

    target: str
    last_good: datetime | None
    since: datetime | None
    failed: str

    def late(self, now: datetime) -> bool:
        """Whether one should be there by now."""
        reached = self.last_good or self.since
        return bool(self.target) and reached is not None and now - reached > LATE_AFTER


def state() -> State:
    """Asks the database."""
    runs = BackupRun.objects.order_by("-started_at")
    good = runs.filter(outcome__in=_COMPLETE).order_by("-complete_until").values_list("complete_until", flat=True)
    last = runs.exclude(outcome=Outcome.RUNNING).first()
    return State(
        target=settings.PACS.backup.target,
        last_good=good.first(),
        since=runs.values_list("started_at", flat=True).last(),
        failed=last.text if last is not None and last.outcome == Outcome.FAILED else "",
    )


def told() -> dict[str, Any]:
    """The same for `./pacs status` and `./pacs doctor`, which speak JSON."""
    found, now = state(), timezone.now()
    return {
        "target": found.target,
        "last_good": f"{found.last_good:%Y-%m-%d %H:%M} UTC" if found.last_good else "",
        "hours": round((now - found.last_good).total_seconds() / 3600, 1) if found.last_good else None,
        "late": found.late(now),
        "failed": found.failed,
    }
