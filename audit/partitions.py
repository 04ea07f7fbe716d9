"""The months of the trail: partitions of audit_accessevent by ``recorded_at``, in UTC.

They are made ahead. An event for which there is none lies in ``audit_accessevent_rest``, so that none is ever refused;
the next turn makes a partition of what lies there. What the database does is in its functions (migration 0004).
"""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import DatabaseError, IntegrityError, connection, transaction

from audit.bounded import bounded

log = logging.getLogger(__name__)

AHEAD: Final = 3
_LOCK_SECONDS: Final = 1.0
_LIST: Final = """
    SELECT p.name::text, CASE WHEN isfinite(p.low) THEN p.low END, p.high, pg_total_relation_size(p.name),
           (SELECT reltuples::bigint FROM pg_class WHERE oid = p.name)
    FROM audit_partition p ORDER BY p.is_default, p.low
"""


@dataclass(frozen=True, slots=True)
class Partition:
    """The events from ``low`` (None: from the beginning) until before ``high``; both None: what has no month.

    ``bytes`` with indexes; ``events`` as last counted by the database, -1 if it never was.
    """

    name: str
    low: datetime | None
    high: datetime | None
    bytes: int
    events: int


def partitions() -> list[Partition]:
    """All, the oldest first, what has no month last. Raises DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST)
        return [Partition(*row) for row in cursor.fetchall()]


def make_ahead(today: date | None = None) -> list[str]:
    """This month's partition and those of the next three, as far as they are missing; the names of the new ones.

    Waits a second at the most for whoever reads the trail. Raises DatabaseError.
    """
    day = today or datetime.now(UTC).date()
    months = (day.year * 12 + day.month - 1 + ahead for ahead in range(AHEAD + 1))
    made = [_make(date(month // 12, month % 12 + 1, 1)) for month in months]
    return [name for name in made if name is not None]


def _make(month: date) -> str | None:
    try:
        return _call("SELECT audit_make_partition(%s)", month)
    except IntegrityError:
        # Events of this month were recorded before there was a partition for them.
        name = _call("SELECT audit_adopt_rest()")
    if name is None:
        log.warning("events of %s stay in the partition for the rest: others lie around them", f"{month:%Y-%m}")
    return name


def _call(sql: str, *values: date) -> str | None:
    with transaction.atomic(), bounded(lock_seconds=_LOCK_SECONDS), connection.cursor() as cursor:
        cursor.execute(sql, values)
        [name] = cursor.fetchone()
        return str(name) if name is not None else None


def keep_ahead(**_: Any) -> None:
    """As ``make_ahead``, for who can't wait: what fails is logged, and the next turn tries again.

    Also a receiver of ``post_migrate``, where migrations that make no partitions may have been asked for.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regprocedure('audit_make_partition(date)') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return
    try:
        made = make_ahead()
    except DatabaseError as error:
        log.warning("partitions of the trail could not be made ahead now (%s)", type(error).__name__)
        return
    if made:
        log.info("partitions of the trail made: %s", ", ".join(made))
