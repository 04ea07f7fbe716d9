"""What is slow: requests of the last day by route, and the statements that the database spends its time on.

Nothing of a patient is here: routes have names, statements are shown as PostgreSQL keeps them, without their values,
and literals that one may have all the same are taken out.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from administration.door import looking, show
from telemetry.slow import HOURS, Slow, slowest

SHOWN: Final = 50
STATEMENTS: Final = 20
LONGEST: Final = 400
_TIMED: Final = (("db", "database"), ("store", "object store"), ("codec", "codecs"))
_LITERAL: Final = re.compile(r"[A-Za-z]?'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_INSTALLED: Final = "SELECT to_regclass('pg_stat_statements') IS NOT NULL"
_STATEMENTS: Final = """
    SELECT calls, total_exec_time, mean_exec_time, max_exec_time, rows, query FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND toplevel
    ORDER BY total_exec_time DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class SlowRoute:
    """The slow requests of one route; times in milliseconds. ``waits`` is what most of their time went to."""

    route: str
    count: int
    median: float
    worst: float
    waits: str


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """One of the slowest, with its time as the page shows it."""

    at: datetime
    request: Slow


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of the database since it counts; times in milliseconds."""

    calls: int
    total: float
    mean: float
    worst: float
    rows: int
    text: str


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """What was slow on this host, and in the database."""
    looking(request)
    found = slowest()
    context = {
        "routes": by_route(found),
        "requests": [SlowRequest(_moment(each.at), each) for each in found[:SHOWN]],
        "statements": statements(),
        "hours": HOURS,
        "slow_ms": settings.PACS.metrics.slow_ms,
    }
    return show(request, "speed.html", "slow requests", context)


def by_route(found: list[Slow]) -> list[SlowRoute]:
    """Routes, the one that cost its clients the most time first."""
    routes: dict[str, list[Slow]] = defaultdict(list)
    for each in found:
        routes[f"{each.method} {each.route}"].append(each)
    ordered = sorted(routes.items(), key=lambda item: -sum(each.total for each in item[1]))
    return [
        SlowRoute(name, len(them), median(each.total for each in them), max(each.total for each in them), _waits(them))
        for name, them in ordered
    ]


def statements() -> list[Statement] | None:
    """Those that took the most time altogether; None where PostgreSQL doesn't count them (``pg_stat_statements``)."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_INSTALLED)
            if cursor.fetchall() != [(True,)]:
                return None
            cursor.execute(_STATEMENTS, [STATEMENTS])
            return [
                Statement(calls, total, mean, worst, rows, without_values(sql or ""))
                for calls, total, mean, worst, rows, sql in cursor.fetchall()
            ]
    except DatabaseError:
        return None


def without_values(sql: str) -> str:
    """A statement on one line, cut to a readable length, with ``'…'`` for whatever literal it has."""
    text = " ".join(_LITERAL.sub("'…'", sql).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _waits(found: list[Slow]) -> str:
    """The part that most of the time went to; the program's own work where that is none of those measured."""
    total = sum(each.total for each in found)
    spent = {word: sum(getattr(each, name) for each in found) for name, word in _TIMED}
    word, most = max(spent.items(), key=lambda item: item[1])
    return f"{word} {most / total:.0%}" if total and most > total / 4 else "own work, or the client"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
