"""The sealed log with its events in pieces, read by several connections ahead of whoever hashes them."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import psycopg
from django.db import connection, transaction

from audit.canonical import CANONICAL_SQL
from audit.sealing import IN_ORDER

CHUNK: Final = 10_000
READERS: Final = 2
LATE: Final = "1 hour"
_ROWS: Final = f"""
    SELECT s.position, s.sequence, s.leaf_hash, {CANONICAL_SQL}, s.sealed_at - e.recorded_at > '{LATE}'
    FROM audit_sealedevent s LEFT JOIN LATERAL (
        SELECT * FROM audit_accessevent
        WHERE sequence = s.sequence AND recorded_at >= %s AND recorded_at < %s OFFSET 0) AS e ON true
    WHERE s.position > %s AND s.position <= %s ORDER BY s.position
"""  # noqa: S608 - our own columns
# Which partitions they lie in: whole ones, so that an event with another time than the one it was sealed with is found.
_SPAN: Final = """
    SELECT low::text, high::text FROM (
        SELECT min(sequence) AS first, max(sequence) AS last FROM audit_sealedevent
        WHERE position > %s AND position <= %s) AS these, audit_span(first, last)
"""
# position, sequence, leaf hash as stored, canonical text or None, whether it was sealed late
Row = tuple[int, int, bytes, str | None, bool | None]


def pieces(size: int) -> Iterator[tuple[int, list[Row]]]:
    """Up to which position, and the rows until there, for each piece of the first ``size``. Raises DatabaseError.

    Inside a transaction, whose changes other connections don't see, by its own connection alone.
    """
    bounds = [(begins, min(begins + CHUNK, size)) for begins in range(0, size, CHUNK)]
    if connection.in_atomic_block:
        for begins, ends in bounds:
            yield ends, _read(begins, ends)
        return
    ahead: deque[tuple[int, Future[list[Row]]]] = deque()
    with ThreadPoolExecutor(READERS, "verify") as pool:
        for begins, ends in bounds:
            ahead.append((ends, pool.submit(_read_apart, begins, ends)))
            if len(ahead) > READERS:
                until, rows = ahead.popleft()
                yield until, rows.result()
        for until, rows in ahead:
            yield until, rows.result()


def _read_apart(begins: int, ends: int) -> list[Row]:
    try:
        return _read(begins, ends)
    finally:
        connection.close()


def _read(begins: int, ends: int) -> list[Row]:
    with transaction.atomic(), connection.cursor() as cursor:
        # Anything else would read the whole table for each piece.
        cursor.execute(IN_ORDER)
        cursor.execute(_SPAN, [begins, ends])
        span = cursor.fetchone()
        driver: Any = connection.connection
        # Django's own cursors read text only.
        with psycopg.Cursor(driver) as quick:
            return quick.execute(_ROWS, [*span, begins, ends], binary=True).fetchall()
