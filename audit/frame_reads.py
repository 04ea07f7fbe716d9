"""Frames are read by the hundred: an event opens a window, what follows is counted, and the sum is one event more.

Each count is durable before the first byte of its answer, as an event is: a row of audit_frameread, one for each
window, series and database connection, so that no request waits for another. The relay folds a window's rows into an
event when the window is over, in the transaction that removes them. Nothing that was counted is lost with a process.
"""

import threading
import time
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection

from audit.record import COLUMNS, NewAccessEvent, Recorded, record, writing

# A count may come so much later than the window's last moment.
GRACE_SECONDS: Final = 5
MOST_WINDOWS: Final = 10_000
# A trail into which nothing may be inserted is not read around: whoever lost that right counts nothing either.
_COUNT: Final = """
    INSERT INTO audit_frameread AS r (opened_by, series_uid, backend, opened_at, answers, frames, bytes)
    SELECT %s, %s, pg_backend_pid(), %s, 1, %s, %s WHERE has_table_privilege('audit_accessevent', 'INSERT')
    ON CONFLICT (opened_by, series_uid, backend) DO UPDATE SET answers = r.answers + 1,
        frames = r.frames + excluded.frames, bytes = r.bytes + excluded.bytes, last_at = excluded.last_at
"""
_OF_THE_WINDOW: Final = {
    "series_uid": "CASE WHEN w.series = 1 THEN w.only_series ELSE '' END",
    "instance_uid": "''",
    "instance_count": "w.answers",
    "bytes": "w.bytes",
    "query": "w.query",
}
_FOLD: Final = f"""
    WITH gone AS (
        DELETE FROM audit_frameread r USING audit_accessevent e
        WHERE r.opened_at <= statement_timestamp() - make_interval(secs => %s)
          AND e.recorded_at = r.opened_at AND e.sequence = r.opened_by
        RETURNING r.*
    ), series AS (
        SELECT opened_by, opened_at, series_uid, sum(answers)::bigint AS answers, sum(frames)::bigint AS frames,
               sum(bytes)::bigint AS bytes, max(last_at) AS last_at
        FROM gone GROUP BY opened_by, opened_at, series_uid
    ), windows AS (
        SELECT opened_by, opened_at, sum(answers)::bigint AS answers, sum(bytes)::bigint AS bytes, count(*) AS series,
               min(series_uid) AS only_series,
               format('%%s frames in %%s further answers until %%s', sum(frames), sum(answers),
                      to_char(max(last_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
               || string_agg(format('; series %%s: %%s', series_uid, frames), '' ORDER BY series_uid) AS query
        FROM series GROUP BY opened_by, opened_at
    )
    INSERT INTO audit_accessevent ({COLUMNS})
    SELECT {", ".join(_OF_THE_WINDOW.get(name, f"e.{name}") for name in COLUMNS.split(", "))}
    FROM windows w JOIN audit_accessevent e ON e.recorded_at = w.opened_at AND e.sequence = w.opened_by
    ORDER BY w.opened_by
"""  # noqa: S608 - our own columns


@dataclass(frozen=True, slots=True)
class _Window:
    opened: Recorded
    until: float


_lock = threading.Lock()
_windows: dict[tuple[Any, ...], _Window] = {}


def record_frames(event: NewAccessEvent, frames: int) -> None:
    """Record an answer with ``frames`` frames of one instance, durable when this returns.

    The first one of who, with which token and by which rule, reads which study is written as it is; those of the next
    ``PACS.audit.frame_seconds`` are counted. Inside a transaction, and with 0 seconds, each is an event of its own.
    Raises AuditUnavailable.
    """
    seconds = settings.PACS.audit.frame_seconds
    if not seconds or connection.in_atomic_block:
        record([event])
        return
    key = _key(event)
    window = _windows.get(key)
    if window is not None and time.monotonic() < window.until:
        _count(window.opened, event, frames)
        return
    until = time.monotonic() + seconds
    [opened] = record([event])
    with _lock:
        if len(_windows) >= MOST_WINDOWS:
            _windows.clear()
        _windows[key] = _Window(opened, until)


def forget() -> None:
    """Open new windows from now on."""
    with _lock:
        _windows.clear()


def fold(after: float | None = None) -> int:
    """Make an event of each window that is over, opened more than ``after`` seconds ago; how many. DatabaseError."""
    over = settings.PACS.audit.frame_seconds + GRACE_SECONDS if after is None else after
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, [over])
        return int(cursor.rowcount)


def _key(event: NewAccessEvent) -> tuple[Any, ...]:
    """All that the answers of a window have in common."""
    common = replace(event, request_id="", series_uid="", instance_uid="", instance_count=0, bytes=0, query="")
    return tuple(tuple(value) if isinstance(value, list) else value for value in astuple(common))


def _count(opened: Recorded, event: NewAccessEvent, frames: int) -> None:
    with writing(1), connection.cursor() as cursor:
        cursor.execute(_COUNT, [opened.sequence, event.series_uid, opened.at, frames, event.bytes])
        if cursor.rowcount != 1:
            raise DatabaseError("nothing may be inserted into the trail")
