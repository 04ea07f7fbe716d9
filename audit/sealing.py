"""Sealing: committed events get their place in the log.

An event gets its ``sequence`` before its transaction commits, so a smaller one may appear after a larger one. Its place
in the log is given afterwards, by one sealer at a time, to all events that it can see: positions have no gaps, nothing
is skipped, and nobody who writes events waits for anybody. What waits is known from a table of its own, which a trigger
fills in the transaction of the event.
"""

from typing import Final

from django.db import connection, transaction

from audit import tree
from audit.canonical import CANONICAL_SQL
from audit.merkle import leaf_hash

BATCH: Final = 5_000
_LOCK: Final = 0x4C69_6768_7453_6561  # the name of our advisory lock: "LightSea(l)" in ASCII
# Which partitions the waiting ones lie in: without it each is looked for in those of all months.
_SPAN: Final = """
    SELECT low::text, high::text FROM (
        SELECT min(sequence) AS first, max(sequence) AS last FROM audit_unsealedevent) AS waiting,
        audit_span(first, last)
    WHERE first IS NOT NULL
"""
_WAITING: Final = f"""
    SELECT e.sequence, {CANONICAL_SQL} FROM audit_unsealedevent u CROSS JOIN LATERAL (
        SELECT * FROM audit_accessevent
        WHERE sequence = u.sequence AND recorded_at >= %s AND recorded_at < %s OFFSET 0) AS e
    WHERE NOT EXISTS (SELECT FROM audit_sealedevent s WHERE s.sequence = u.sequence) ORDER BY u.sequence LIMIT %s
"""  # noqa: S608 - column names of our own table
_SEAL: Final = """
    INSERT INTO audit_sealedevent (position, sequence, leaf_hash)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])
"""
_KEEP: Final = """
    INSERT INTO audit_treenode (level, index, hash)
    SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])
"""
_FORGET: Final = "DELETE FROM audit_unsealedevent WHERE sequence = ANY(%s)"
# One look-up an event, in order, also when millions wait and nobody has counted them.
_OTHER_WAYS: Final = ("hashjoin", "mergejoin", "sort", "seqscan", "bitmapscan")
IN_ORDER: Final = "; ".join(f"SET LOCAL enable_{way} = off" for way in _OTHER_WAYS)


def seal() -> int:
    """Seal every event that is committed by now; how many there were. Raises DatabaseError, TrailAltered."""
    sealed = 0
    while (count := seal_batch()) > 0:
        sealed += count
        if count < BATCH:
            break
    return sealed


def seal_batch(limit: int = BATCH) -> int:
    """Seal the oldest events that wait, at most ``limit``; how many there were."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{IN_ORDER}; SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        # Statements of their own: they see what whoever held the lock before has committed.
        cursor.execute(_SPAN)
        span = cursor.fetchone()
        if span is None:
            return 0
        cursor.execute(_WAITING, [*span, limit])
        waiting = cursor.fetchall()
        if not waiting:
            return 0
        begins = tree.size()
        frontier = tree.frontier(begins)
        leaves = [leaf_hash(text.encode()) for _, text in waiting]
        for leaf in leaves:
            frontier.append(leaf)
        places = list(range(begins + 1, frontier.size + 1))
        sequences = [sequence for sequence, _ in waiting]
        cursor.execute(_SEAL, [places, sequences, leaves])
        if frontier.kept:
            levels, indexes, hashes = (list(column) for column in zip(*frontier.kept, strict=True))
            cursor.execute(_KEEP, [levels, indexes, hashes])
        cursor.execute(_FORGET, [sequences])
        return len(waiting)
