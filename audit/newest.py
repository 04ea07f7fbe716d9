"""The newest of many events about one subject, without reading all of them.

An index finds a study's or a patient's events in no order: of somebody with tens of thousands each would be read. So
the last months are asked first, and what they answer counts only as far as no older month can have anything newer.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from audit.models import AccessEvent

# Whole months that begin at least so long before: this one, if it is not too young, and then the last few.
BACK: Final = (timedelta(days=7), timedelta(days=62))
BEYOND_ALL: Final = 2**63 - 1


def newest(events: QuerySet[AccessEvent], count: int, at: datetime) -> list[AccessEvent]:
    """The first ``count`` of ``events``, which are ordered by sequence, newest first; they begin about ``at``."""
    for back in BACK:
        begins = (at.astimezone(UTC) - back).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        found = list(events.filter(recorded_at__gte=begins)[:count])
        # An event's time is that of its transaction's beginning: a larger sequence may lie in an earlier month.
        if len(found) == count and found[-1].pk > last_before(begins):
            return found
    return list(events[:count])


def last_before(moment: datetime) -> int:
    """The largest sequence of the events recorded before ``moment``; beyond all of them if that takes long to say."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name::text, is_default OR high <= %s FROM audit_partition "
            "WHERE is_default OR low IS NULL OR low < %s",
            [moment, moment],
        )
        parts = cursor.fetchall()
        if not all(ends_before for _, ends_before in parts):
            return BEYOND_ALL
        largest = [f"(SELECT max(sequence) FROM {name} WHERE recorded_at < %(at)s)" for name, _ in parts]  # noqa: S608
        cursor.execute(f"SELECT greatest(0, {', '.join(largest) or 0})", {"at": moment})
        return int(cursor.fetchone()[0])
