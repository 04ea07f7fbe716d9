"""Frames are read by the hundred: an event opens a window, what follows is counted, and the sum is one event more.

Each count is durable before the first byte of its answer, as an event is: a row of audit_frameread, one for each
window, series and database connection, so that no request waits for another. The relay folds a window's rows into an
event when the window is over, in the transaction that removes them. Nothing that was counted is lost with a process.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import DatabaseError, connection

from audit.prepared import PreparedSql
from audit.record import COLUMNS, NewAccessEvent, Recorded, failing_closed, longest_wait, record
from audit.together import Together

# A count may come so much later than the window's last moment.
GRACE_SECONDS: Final = 5
MOST_WINDOWS: Final = 10_000
_COUNT: Final = PreparedSql("SELECT audit_count_frames(%s, %s)")
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
class _Answer:
    opened: Recorded
    series_uid: str
    frames: int
    bytes: int


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
        with failing_closed(1):
            _together.write([_Answer(window.opened, event.series_uid, frames, event.bytes)])
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


_APART: Final = ("request_id", "series_uid", "instance_uid", "instance_count", "bytes", "query")
_SEVERAL: Final = ("roles", "study_uids", "patient_ids")
_common: Final = attrgetter(
    *(field.name for field in fields(NewAccessEvent) if field.name not in _APART and field.name not in _SEVERAL)
)


def _key(event: NewAccessEvent) -> tuple[Any, ...]:
    """All that the answers of a window have in common."""
    return (*_common(event), tuple(event.roles), tuple(event.study_uids), tuple(event.patient_ids))


def _count(counted: Sequence[_Answer]) -> list[None]:
    """Add the answers to their windows, those of the same window and series in one row."""
    sums: dict[tuple[Recorded, str], tuple[int, int, int]] = {}
    for each in counted:
        answers, frames, size = sums.get((each.opened, each.series_uid), (0, 0, 0))
        sums[each.opened, each.series_uid] = (answers + 1, frames + each.frames, size + each.bytes)
    rows = [
        {
            "opened_by": opened.sequence,
            "series_uid": series,
            "opened_at": opened.at,
            "answers": answers,
            "frames": frames,
            "bytes": size,
        }
        for (opened, series), (answers, frames, size) in sums.items()
    ]
    if _COUNT.row([orjson.dumps(rows).decode(), longest_wait()]) != (len(rows),):
        raise DatabaseError("nothing may be inserted into the trail")
    return [None] * len(counted)


_together: Final = Together(_count)
