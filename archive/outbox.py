"""The outbox: tasks wished for in the transaction that made them necessary, handed to the workers afterwards.

A wish survives a broker that is away, loses its memory, or a worker that dies: its row goes only when its task is done.
Sending is free, only beginning counts as an attempt: neither an outage nor a long queue brings an entry nearer to its
death, and a task that takes its worker with it dies after as many attempts as one that fails.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from django.db import connection

from archive.errors import ArchiveUnavailable
from telemetry.at_work import working_on
from telemetry.tasks import counted

log = logging.getLogger("archive.outbox")

SERIES_METADATA = "series_metadata"
SERIES_THUMBNAIL = "series_thumbnail"
SWEEP = "sweep"
EXTENDED_REINDEX = "extended_reindex"
EXTENDED_REFRESH = "extended_refresh"
EXTENDED_REMOVAL = "extended_removal"
AT_REST = "at_rest"
RECONCILE = "reconcile"
STRANGERS = "strangers"
STUDY_COMPLETE = "study_complete"
# What custody.tiers runs
RECALL = "recall"
# What custody.integrity runs
OBJECT_DAMAGED = "object_damaged"
SCRUB = "scrub"
COPY_SERIES = "copy_series"

# Kinds whose tasks are done in a moment, so that several of them go in one message; rooms above add theirs.
QUICK: set[str] = {SERIES_METADATA, RECONCILE}
MOST_TOGETHER = 10
# As long as there are no more of them each goes alone, so that all workers have some.
FEW = 8

# What the task that runs entries is called.
RUN_OUTBOX_ENTRY = "archive.run_outbox_entry"
ATTEMPTS = 5
# What rooms above wish for now and then, asked by the relay when it wishes for a sweep.
PERIODIC: list[Callable[[], Iterable["Wish"]]] = []
# An entry is sent again after this time, then after as long as it has been open already: a queue that is hours long
# gets a handful of copies of it, not one each minute. Copies do no harm.
RESEND_SECONDS = 60
LONGEST_RESEND_SECONDS = 3600
RETRY_SECONDS = 5

WISH = """
    INSERT INTO archive_outboxentry (kind, subject, generation, attempts, dead, last_error, not_before)
    SELECT kind, subject, 1, 0, false, '', statement_timestamp() + delay * interval '1 second'
    FROM unnest(%s::text[], %s::text[], %s::float8[]) AS wish (kind, subject, delay)
    ORDER BY kind, subject
    ON CONFLICT (kind, subject) DO UPDATE SET
        generation = archive_outboxentry.generation + 1, attempts = 0, dead = false, last_error = '',
        not_before = EXCLUDED.not_before, created_at = statement_timestamp()
"""
# Rows that a writer holds are left for the next turn: the relay must not be one of two that wait for each other.
_DUE = """
    WITH due AS (
        SELECT id FROM archive_outboxentry WHERE NOT dead AND not_before <= statement_timestamp()
        ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    UPDATE archive_outboxentry AS entry SET
        dead = attempts >= %(attempts)s,
        last_error = CASE WHEN attempts >= %(attempts)s AND last_error = '' THEN 'no answer' ELSE last_error END,
        not_before = statement_timestamp() + LEAST(%(longest)s * interval '1 second',
            GREATEST(%(resend)s * interval '1 second', statement_timestamp() - created_at))
    FROM due WHERE entry.id = due.id
    RETURNING entry.id, entry.dead, entry.kind
"""
_NOT_SENT = """
    UPDATE archive_outboxentry SET not_before = statement_timestamp() + interval '1 second' WHERE id IN (
        SELECT id FROM archive_outboxentry WHERE id = ANY(%s) FOR UPDATE SKIP LOCKED)
"""
# While it runs it isn't sent again; how long nobody knows, so it is given a little more time at each attempt.
_BEGIN = """
    UPDATE archive_outboxentry SET
        attempts = attempts + 1, last_error = '',
        not_before = statement_timestamp() + %s * (attempts + 1) * interval '1 second'
    WHERE id = %s AND NOT dead AND attempts < %s
    RETURNING kind, subject, generation, attempts
"""
_FAILED = """
    UPDATE archive_outboxentry SET
        dead = attempts >= %s, last_error = %s,
        not_before = statement_timestamp() + attempts * %s * interval '1 second'
    WHERE id = %s AND generation = %s
"""
# A task that gets on is not one that dies again and again, and it isn't sent again while it runs.
_PROGRESS = """
    UPDATE archive_outboxentry SET
        attempts = LEAST(attempts, 1), not_before = statement_timestamp() + %s * interval '1 second'
    WHERE kind = %s AND subject = %s AND NOT dead AND attempts > 0
"""
# The clock was put back: what lies in its future would wait until it has caught up.
_CLOCK_WENT_BACK = """
    UPDATE archive_outboxentry SET
        not_before = statement_timestamp() + LEAST(GREATEST(not_before - created_at, interval '0'),
            CASE WHEN attempts > 0 THEN %(longest)s * interval '1 second' ELSE interval '1 year' END),
        created_at = statement_timestamp()
    WHERE NOT dead AND not_before > statement_timestamp() AND (
        created_at > statement_timestamp() + interval '1 minute'
        OR attempts > 0 AND not_before > statement_timestamp() + 2 * %(longest)s * interval '1 second')
"""
# What the task needs is away, which is not the task's fault.
_POSTPONED = """
    UPDATE archive_outboxentry SET
        attempts = GREATEST(attempts - 1, 0), last_error = %s,
        not_before = statement_timestamp() + LEAST(%s * interval '1 second',
            GREATEST(%s * interval '1 second', statement_timestamp() - created_at))
    WHERE id = %s AND generation = %s
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """One task to run: its kind (a key of ``archive.tasks.TASKS``), what it is about, seconds to wait before."""

    kind: str
    subject: str
    delay: float = 0.0


def wish(wishes: Iterable[Wish]) -> None:
    """Write ``wishes`` in the current transaction; equal open ones become one."""
    columns = wished(wishes)
    if columns[0]:
        _execute(WISH, columns)


def wished(wishes: Iterable[Wish]) -> tuple[list[str], list[str], list[float]]:
    """The parameters of ``WISH``: kinds, subjects and delays, each pair of the first two once."""
    unique = {(w.kind, w.subject): float(w.delay) for w in wishes}
    return [kind for kind, _ in unique], [subject for _, subject in unique], list(unique.values())


def progress(kind: str, subject: str) -> None:
    """Part of a long task is done, in the current transaction: what comes now has all its attempts again."""
    _execute(_PROGRESS, [RESEND_SECONDS, kind, subject])


def mind_the_clock() -> None:
    """Entries that a clock which was put back left in the future keep their delay, and wait no longer than that."""
    _execute(_CLOCK_WENT_BACK, {"longest": LONGEST_RESEND_SECONDS})


def relay_once(send: Callable[[Sequence[int]], None], limit: int = 100) -> int:
    """Hand due entries to the workers, several quick ones together; returns how many were due. Whatever ``send``
    raises goes through.

    An entry is sent again when its task isn't done in time. One whose every attempt ended without a word (each time
    the worker died over it) is dead, kept for a person to see.
    """
    numbers = {"limit": limit, "attempts": ATTEMPTS, "resend": RESEND_SECONDS, "longest": LONGEST_RESEND_SECONDS}
    due = _execute(_DUE, numbers)
    messages = _messages([(entry, kind) for entry, dead, kind in due if not dead])
    for position, message in enumerate(messages):
        try:
            send(message)
        except BaseException:
            _execute(_NOT_SENT, [list(chain.from_iterable(messages[position:]))])
            raise
    return len(due)


def _messages(entries: Sequence[tuple[int, str]]) -> list[Sequence[int]]:
    """Which entries go together: a message costs the broker, the relay and the worker more than a quick task takes."""
    quick = [entry for entry, kind in entries if kind in QUICK]
    size = min(MOST_TOGETHER, -(-len(quick) // FEW)) or 1
    together: list[Sequence[int]] = [quick[at : at + size] for at in range(0, len(quick), size)]
    return together + [(entry,) for entry, kind in entries if kind not in QUICK]


def run(entry_id: int, tasks: Mapping[str, Callable[[str], None]]) -> None:
    """Do the task of one entry and remove the entry. Safe to call twice, for a missing entry, and after a crash.

    A failing task stays for the next attempt; after ``ATTEMPTS`` it is dead, kept with its error for a person to see.
    ``ArchiveUnavailable`` is no failure: the task waits, as long as it takes.
    """
    for kind, subject, generation, attempts in _execute(_BEGIN, [RESEND_SECONDS, entry_id, ATTEMPTS]):
        try:
            with working_on(f"task-{entry_id}"), counted(kind):
                tasks[kind](subject)
        except ArchiveUnavailable as error:
            log.warning("task %s of outbox entry %s has to wait: %s", kind, entry_id, error)
            name = type(error).__name__
            _execute(_POSTPONED, [name, LONGEST_RESEND_SECONDS, RETRY_SECONDS, entry_id, generation])
        except Exception as error:
            log.exception("task %s of outbox entry %s failed (attempt %s)", kind, entry_id, attempts)
            _execute(_FAILED, [ATTEMPTS, type(error).__name__, RETRY_SECONDS, entry_id, generation])
        else:
            _execute("DELETE FROM archive_outboxentry WHERE id = %s AND generation = %s", [entry_id, generation])


def _execute(sql: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall()) if cursor.description else []
