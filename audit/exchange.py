"""Statements and their results over libpq: sent together they are one round trip and, outside of one, one transaction.

psycopg does the translating, both ways, and the waiting, during which other threads run and signals are heard.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import generators
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.waiting import wait

Statement = tuple[str, Sequence[Any]]
# Plans of a connection; the one that was not used for longest makes room.
MOST_PLANS: Final = 200
# Seconds between two looks at whether a signal has come, as in psycopg's own waiting.
_LOOK_SECONDS: Final = 0.1
_GAP: Final = re.compile("%%|%s")
_BEGIN: Final[Statement] = ("BEGIN", ())
_IDLE: Final = TransactionStatus.IDLE
_GOOD: Final = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
_OF_US: Final = "_exchange"


@dataclass(frozen=True, slots=True)
class Found:
    """``rows`` of a statement as psycopg reads them; ``count`` how many it was about, -1 where it doesn't say."""

    rows: list[tuple[Any, ...]]
    count: int


class _Plans:
    """Of one connection: the statements that the server knows, by their text and the types of their parameters."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.translate = Transformer(connection)
        self.names: OrderedDict[Any, bytes] = OrderedDict()
        # What nobody asks for any more, and the server has not been told yet.
        self.old: list[bytes] = []
        self.made = 0

    def named(self, key: Any) -> bytes | None:
        name = self.names.get(key)
        if name is not None:
            self.names.move_to_end(key)
        return name

    def add(self, key: Any) -> bytes:
        self.made += 1
        name = self.names[key] = b"lightbox_%d" % self.made
        return name

    def forget(self) -> None:
        """All of them: what a plan returns has another type since a migration, and those of others may have."""
        self.old += self.names.values()
        self.names.clear()


def exchange(connection: psycopg.Connection[Any], statements: Sequence[Statement], *, keep: bool) -> list[Found]:
    """Send ``statements``, wait once, and give what each found; ``keep`` has plans kept. Raises psycopg's errors."""
    plans = _plans_of(connection)
    try:
        return _exchange(connection, plans, statements, keep=keep)
    except psycopg.errors.FeatureNotSupported:
        plans.forget()
        raise


def _exchange(
    connection: psycopg.Connection[Any], plans: _Plans, statements: Sequence[Statement], *, keep: bool
) -> list[Found]:
    pgconn = connection.pgconn
    begins = not connection.autocommit and pgconn.transaction_status == _IDLE
    if keep and not begins and len(statements) == 1:
        [(sql, parameters)] = statements
        values, key = _translated(plans, sql, parameters)
        name = plans.named(key)
        if name is not None:
            pgconn.send_query_prepared(name, values, plans.translate.formats)
            results = wait(generators.execute(pgconn), pgconn.socket, _LOOK_SECONDS)
            return [_found(plans, results[-1])]
    asked = (_BEGIN, *statements) if begins else statements
    return _pipelined(pgconn, plans, asked, keep=keep)[-len(statements) :]


def _pipelined(pgconn: Any, plans: _Plans, statements: Sequence[Statement], *, keep: bool) -> list[Found]:
    pgconn.enter_pipeline_mode()
    new: list[Any] = []
    # Whether each message that the server answers is a statement of the caller's.
    answers: list[bool] = []
    for sql, parameters in statements:
        values, key = _translated(plans, sql, parameters)
        if not keep or (sql, parameters) == _BEGIN:
            pgconn.send_query_params(_numbered(sql), values, plans.translate.types, plans.translate.formats)
        else:
            name = plans.named(key)
            if name is None:
                new.append(key)
                name = plans.add(key)
                pgconn.send_prepare(name, _numbered(sql), plans.translate.types)
                answers.append(False)
            pgconn.send_query_prepared(name, values, plans.translate.formats)
        answers.append(True)
    while len(plans.names) > MOST_PLANS:
        plans.old.append(plans.names.popitem(last=False)[1])
    for name in plans.old:
        pgconn.send_query_params(b"DEALLOCATE " + name, None)
        answers.append(False)
    plans.old.clear()
    pgconn.pipeline_sync()
    # What did not fit into the socket at once.
    wait(generators.send(pgconn), pgconn.socket, _LOOK_SECONDS)
    results: list[Any] = []
    for _ in answers:
        results += wait(generators.fetch_many(pgconn), pgconn.socket, _LOOK_SECONDS)
    wait(generators.fetch_many(pgconn), pgconn.socket, _LOOK_SECONDS)
    pgconn.exit_pipeline_mode()
    try:
        return [
            _found(plans, result) for result, wanted in zip(results, answers, strict=True) if _checked(result, wanted)
        ]
    except psycopg.Error:
        for key in new:
            # Whether the server has got as far as these, nobody knows; under these names nobody asks again.
            plans.names.pop(key, None)
        raise


def _translated(plans: _Plans, sql: str, parameters: Sequence[Any]) -> tuple[Sequence[Any], Any]:
    values = plans.translate.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
    return values, (sql, plans.translate.types)


def _checked(result: Any, wanted: bool) -> bool:
    if result.status not in _GOOD:
        raise psycopg.errors.error_from_result(result)
    return wanted


def _found(plans: _Plans, result: Any) -> Found:
    if result.status == ExecStatus.TUPLES_OK:
        count = result.ntuples
        plans.translate.set_pgresult(result)
        return Found(plans.translate.load_rows(0, count, tuple), count)
    _checked(result, True)
    changed = result.command_tuples
    return Found([], -1 if changed is None else changed)


def _plans_of(connection: psycopg.Connection[Any]) -> _Plans:
    plans: _Plans | None = getattr(connection, _OF_US, None)
    if plans is None:
        plans = _Plans(connection)
        setattr(connection, _OF_US, plans)
    return plans


@lru_cache(maxsize=1024)
def _numbered(sql: str) -> bytes:
    """``sql`` with ``$1`` and so on for its parameters."""
    number = 0

    def place(found: re.Match[str]) -> str:
        nonlocal number
        if found[0] == "%%":
            return "%"
        number += 1
        return f"${number}"

    return _GAP.sub(place, sql).encode()
