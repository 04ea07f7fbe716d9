"""THE table of what is cleared away by its age: rows that nobody needs for ever, each for as long as its setting says.

Other rooms add their own when they are made ready. 0 days stand for ever. Rows go in small steps, each a transaction of
its own, so that nobody waits for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from archive.feed_positions import give_positions
from audit.kinds import CONFIGURATION
from audit.record import NewAccessEvent, record

STEP: Final = 5_000
# Of one table in one run; the rest is of tomorrow.
MOST: Final = 5_000_000
# Keys grow as rows come: a step reads the next rows by their key; the first one without any that is old is the last.
_STEP: Final = """
    WITH step AS MATERIALIZED (
        SELECT {key} AS key, {age} < %s AS old FROM {table} WHERE {key} > %s ORDER BY {key} LIMIT %s
    ), gone AS (
        DELETE FROM {table} WHERE {key} IN (SELECT key FROM step WHERE old) AND ({condition}) RETURNING 1
    )
    SELECT max(key), COALESCE(bool_or(old), false), (SELECT count(*) FROM gone) FROM step
"""


@dataclass(frozen=True, slots=True)
class Aged:
    """Rows of ``table`` that meet ``condition`` (SQL), by the column of their ``age``; ``setting`` is of PACS_KEEP.

    ``first`` is called before they are looked for.
    """

    name: str
    table: str
    age: str
    condition: str
    setting: str
    key: str = "id"
    first: Callable[[], None] = lambda: None


AGED: Final[list[Aged]] = [
    # The last one stays: positions go on from it. Where nobody reads the feed, nobody else gives positions.
    Aged(
        "entries of the change feed",
        "archive_changefeedentry",
        "created_at",
        "position < (SELECT max(position) FROM archive_changefeedentry)",
        "change_feed_days",
        key="sequence",
        first=give_positions,
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
    """The event is written with the first rows that go: what can't be written down is not done."""
    aged.first()
    statement = _STEP.format(table=aged.table, key=aged.key, age=aged.age, condition=aged.condition)
    before = timezone.now() - timedelta(days=days)
    removed, last, goes_on = 0, 0, True
    while goes_on and removed < MOST:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, [before, last, STEP])
            [(upto, goes_on, gone)] = cursor.fetchall()
            if gone and not removed:
                _tell(f"{aged.name} from before {before:%Y-%m-%d %H:%M} UTC are cleared away, by their age")
        removed, last = removed + gone, upto or last
    return removed


def _tell(text: str) -> None:
    event = NewAccessEvent(
        kind=CONFIGURATION, principal_kind="system", principal_name="prune", outcome_description=text
    )
    record([event])
