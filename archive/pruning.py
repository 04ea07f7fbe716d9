"""THE table of what is cleared away by its age: rows that nobody needs for ever, each for as long as its setting says.

Other rooms add their own when they are made ready. 0 days stand for ever. Rows go in small steps, each a transaction of
its own, so that nobody waits for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import connection
from django.utils import timezone

STEP: Final = 5_000
# Of one table in one run; the rest is of tomorrow.
MOST: Final = 5_000_000
_DELETE: Final = """
    DELETE FROM {table} WHERE {key} IN (
        SELECT {key} FROM {table} WHERE {age} < %s AND ({condition}) ORDER BY {age}, {key} LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Aged:
    """Rows of ``table`` that meet ``condition`` (SQL), by the column of their ``age``; ``setting`` is of PACS_KEEP."""

    name: str
    table: str
    age: str
    condition: str
    setting: str
    key: str = "id"


AGED: Final[list[Aged]] = [
    # The last one stays: positions go on from it.
    Aged(
        "entries of the change feed",
        "archive_changefeedentry",
        "created_at",
        "position < (SELECT max(position) FROM archive_changefeedentry)",
        "change_feed_days",
        key="sequence",
    ),
    Aged("tasks that were given up", "archive_outboxentry", "created_at", "dead", "outbox_dead_days"),
]


def prune() -> Iterator[tuple[str, int]]:
    """Clear away what is old enough; yields what it was, and how many rows of it went."""
    for aged in AGED:
        days = getattr(settings.PACS.keep, aged.setting)
        if days:
            yield aged.name, _prune(aged, days)


def _prune(aged: Aged, days: int) -> int:
    statement = _DELETE.format(table=aged.table, key=aged.key, age=aged.age, condition=aged.condition)
    before = timezone.now() - timedelta(days=days)
    removed = 0
    while removed < MOST:
        with connection.cursor() as cursor:
            cursor.execute(statement, [before, STEP])
            removed += cursor.rowcount
            if cursor.rowcount < STEP:
                break
    return removed
