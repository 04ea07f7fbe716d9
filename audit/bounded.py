"""Statements that give up: on a lock that somebody else holds, or when they take too long."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from django.db import connection

from audit.prepared import OpenCursor


@contextmanager
def bounded(*, lock_seconds: float | None = None, statement_seconds: float | None = None) -> Iterator[None]:
    """Within it each statement waits for locks, and runs, for so long at the most; then OperationalError.

    The limits travel with the statement, which is a transaction of its own outside of one: no further round trip, and
    nothing to take back. Inside an open transaction they stay until its end.
    """
    wanted = {"lock_timeout": lock_seconds, "statement_timeout": statement_seconds}
    limits = {name: f"{int(seconds * 1000)}" for name, seconds in wanted.items() if seconds is not None}
    prefix = "".join(f"SET LOCAL {name} = {value}; " for name, value in limits.items())

    def limited(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if many:
            return execute(sql, params, many, context)
        cursor = context["cursor"].cursor
        if isinstance(cursor, OpenCursor):
            # The server binds the parameters, of one statement then: what goes before it travels as one of its own.
            cursor.before = ((_SET[len(limits)], [*chain.from_iterable(limits.items())]),)
            return execute(sql, params, many, context)
        result = execute(prefix + sql, params, many, context)
        for _ in limits:
            # The results of SET come first.
            cursor.nextset()
        return result

    with connection.execute_wrapper(limited):
        yield


_SET = [f"SELECT {', '.join(['set_config(%s, %s, true)'] * count)}" for count in range(3)]
