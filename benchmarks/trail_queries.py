"""Questions to a trail of many events: who, which patient, which study, when. Part of ``benchmarks.trail``.

The events are made in a few statements, without the trigger that lets each wait for its sealing and with the indexes
made afterwards: what is measured is reading. They lie in the months up to now; some people, patients and studies have
far more of them than most.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import F

MONTHS: Final = 12
USERS, PATIENTS, STUDIES = 500, 200_000, 500_000
REPEAT: Final = 7
_FILL: Final = """
    INSERT INTO audit_accessevent (recorded_at, kind, action, outcome, outcome_description, principal_kind,
        principal_id, principal_name, auth_method, token_id, roles, source_ip, user_agent, request_id, method, path,
        decision, rule, study_uids, series_uid, instance_uid, patient_ids, instance_count, bytes, query, purpose)
    SELECT %(begins)s::timestamptz + (g * %(step)s) * interval '1 second', 'retrieve', 'R', 0, '', 'person',
        'user-' || u, 'dr.' || u, 'session', md5(g::text), '{radiologist}', '192.0.2.17',
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36', md5('r' || g), 'GET',
        '/dicom-web/studies/<str:study>/series/<str:series>/instances/<str:instance>/frames/<str:frames>', 'allow', '',
        ARRAY['1.2.826.0.1.3680043.8.498.1.' || s], '1.2.826.0.1.3680043.8.498.2.' || s,
        '1.2.826.0.1.3680043.8.498.3.' || g, ARRAY['PAT-' || p], 1, 524288, 'frames=1', ''
    FROM generate_series(%(first)s, %(last)s) AS g,
        LATERAL (SELECT floor(%(users)s * random() ^ 2 + 0 * g)::int AS u, floor(%(patients)s * random() ^ 2)::int AS p,
                        floor(%(studies)s * random() ^ 2)::int AS s) AS who
"""


def measure(events: int) -> None:
    """Make ``events`` and print how long each question takes."""
    from django.db import connection

    began = time.perf_counter()
    now = datetime.now(UTC)
    fill(events, now)
    print(f"{events} events made in {time.perf_counter() - began:.0f} s", flush=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(pg_relation_size(name)), sum(pg_indexes_size(name)) FROM audit_partition")
        table, indexes = (int(size) for size in cursor.fetchone())
    print(f"{table / events:.0f} bytes an event, {indexes / events:.0f} for indexes", flush=True)
    compare(now)
    for what, (sql, subjects) in questions(now).items():
        took, found = ask(sql, subjects)
        rows = f"{min(found)} to {max(found)} rows"
        print(f"{what}: median {statistics.median(took):.1f} ms, worst {max(took):.1f} ms ({rows})", flush=True)


def compare(now: datetime) -> None:
    """The busiest patients and studies: all of their events read and sorted, and the last months first, in pairs.

    Blocks are those that PostgreSQL touched, in its memory or not: a number that other work does not change. Each pair
    is of subjects whom nobody asked about before, one by each way in turn.
    """
    from audit.models import AccessEvent
    from audit.newest import newest

    def about(column: str, value: str) -> Any:
        found = AccessEvent.objects.filter(**{f"{column}__overlap": [value]})
        return found.order_by((F("sequence") + 0).desc())

    ways: dict[str, Callable[[Any], list[Any]]] = {
        "all of them": lambda events: list(events[:100]),
        "last months": lambda events: newest(events, 100, now),
    }
    for column, prefix in (("patient_ids", "PAT-"), ("study_uids", "1.2.826.0.1.3680043.8.498.1.")):
        for number in range(0, 6, 2):
            told = []
            for offset, (name, way) in enumerate(ways.items()):
                touched, began = _blocks(), time.perf_counter()
                rows = way(about(column, f"{prefix}{number + offset}"))
                took = (time.perf_counter() - began) * 1e3
                told.append(f"{name}: {took:.1f} ms, {_blocks() - touched} blocks, {len(rows)} rows")
            print(f"{column} number {number}: {'; '.join(told)}", flush=True)


def _blocks() -> int:
    """How many blocks of the trail and its indexes this database has touched so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT sum(blks_hit + blks_read)::bigint FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(cursor.fetchone()[0])


def questions(now: datetime) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
    """Each with subjects from the busiest to an ordinary one, and times from the newest to the oldest."""
    newest = "SELECT * FROM audit_accessevent WHERE {} ORDER BY {} LIMIT 100"
    days = [now - timedelta(days=back) for back in (0, 20, 45, 200, 350)]
    numbers = (0, 1, 100, 50_000, 150_000)
    by_number, by_time = "sequence DESC", "recorded_at DESC, sequence DESC"
    within = "recorded_at >= %s AND recorded_at < %s"
    windows = [(day - timedelta(days=1), day) for day in days]
    return {
        "newest 100 of a person": (
            newest.format("principal_id = %s", by_number),
            _each("user-", (0, 1, 100, 250, 499)),
        ),
        "newest 100 of a patient": (newest.format("patient_ids @> ARRAY[%s]", by_number), _each("PAT-", numbers)),
        "newest 100 of a study": (
            newest.format("study_uids && ARRAY[%s]", by_number),
            _each("1.2.826.0.1.3680043.8.498.1.", numbers),
        ),
        "newest 100 of a day": (newest.format(within, by_time), windows),
        "newest 100 of a person in a month": (
            newest.format(f"principal_id = %s AND {within}", by_number),
            [(f"user-{number}", day - timedelta(days=30), day) for number in (0, 250, 499) for day in days],
        ),
        "events of a day by person": (
            f"SELECT principal_id, count(*) FROM audit_accessevent WHERE {within} GROUP BY principal_id",  # noqa: S608
            windows,
        ),
        "an event by its number": (
            "SELECT * FROM audit_accessevent WHERE sequence = %s",
            [(n,) for n in (1, 999, 99_999)],
        ),
        "an event by its request": (
            "SELECT * FROM audit_accessevent WHERE request_id = md5('r' || %s)",
            [(n,) for n in (1, 999, 99_999)],
        ),
    }


def ask(sql: str, subjects: list[tuple[Any, ...]]) -> tuple[list[float], list[int]]:
    """Milliseconds of each of the repeats of each subject, and how many rows came."""
    from django.db import connection

    took, found = [], []
    for values in subjects:
        for _ in range(REPEAT):
            with connection.cursor() as cursor:
                began = time.perf_counter()
                cursor.execute(sql, values)
                found.append(len(cursor.fetchall()))
                took.append((time.perf_counter() - began) * 1e3)
    return took, found


def fill(events: int, now: datetime) -> None:
    """``events`` over the last ``MONTHS`` months, evenly."""
    from django.db import connection

    from audit.partitions import make_ahead

    begins = now - timedelta(days=30 * MONTHS)
    step = timedelta(days=30 * MONTHS).total_seconds() / (events + 1)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0; SET synchronous_commit = off; SET maintenance_work_mem = '512MB'")
        for month in range(0, MONTHS + 1, 3):
            make_ahead((begins + timedelta(days=30 * month)).date())
        cursor.execute("ALTER TABLE audit_accessevent DISABLE TRIGGER access_event_await_sealing")
        cursor.execute("SELECT indexdef, indexname FROM pg_indexes WHERE tablename = 'audit_accessevent'")
        indexes = [(definition, name) for definition, name in cursor.fetchall() if name.startswith("access_event")]
        for _, name in indexes:
            cursor.execute(f"DROP INDEX {name}")
        piece = max(1, events // 20)
        for first in range(1, events + 1, piece):
            last = min(events, first + piece - 1)
            named = {"users": USERS, "patients": PATIENTS, "studies": STUDIES}
            cursor.execute(_FILL, {"begins": begins, "step": step, "first": first, "last": last, **named})
        for definition, _ in indexes:
            cursor.execute(definition.replace(" ON ONLY ", " ON "))
        cursor.execute("ALTER TABLE audit_accessevent ENABLE ALWAYS TRIGGER access_event_await_sealing")
        cursor.execute("VACUUM ANALYZE audit_accessevent")
        cursor.execute("RESET ALL")


def _each(prefix: str, numbers: tuple[int, ...]) -> list[tuple[Any, ...]]:
    return [(f"{prefix}{number}",) for number in numbers]
