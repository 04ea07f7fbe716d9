"""Positions of the change feed: given after the commit, one giver at a time, 1, 2, 3... without gaps."""

from typing import Final

from django.db import connection, transaction

from archive.models import ChangeFeedEntry

_LOCK: Final = 0x4C69676874626F78  # the name of our advisory lock: "Lightbox" in ASCII
_STEP: Final = 10_000
_PLACE: Final = """
    UPDATE archive_changefeedentry AS entry SET position = placed.position FROM (
        SELECT sequence, (SELECT COALESCE(max(position), 0) FROM archive_changefeedentry)
            + row_number() OVER (ORDER BY sequence) AS position
        FROM (SELECT sequence FROM archive_changefeedentry WHERE position IS NULL ORDER BY sequence LIMIT %s) AS next
    ) AS placed WHERE entry.sequence = placed.sequence
"""


def give_positions() -> None:
    """Give a position to every committed entry that has none."""
    while ChangeFeedEntry.objects.filter(position=None).exists():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            # A statement of its own: it sees what whoever held the lock before has committed.
            cursor.execute(_PLACE, [_STEP])
            if cursor.rowcount < _STEP:
                return
