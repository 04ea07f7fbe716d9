"""What one call costs: the messages on a database connection as libpq itself sees them, files opened, and flushes.

Below Django and psycopg, so that prepared, pipelined and transaction statements count like all others.
"""

from __future__ import annotations

import builtins
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

from django.conf import settings
from django.db import connection
from psycopg.pq import Trace

from tests.guard.costs import Cost

# Direction and kind; what it holds goes on to the next one.
_MESSAGE: Final = re.compile(r"^([FB])\t\d+\t(\w+)\t? ?", re.MULTILINE)
_PARSE: Final = re.compile(r'"([^"]*)" "(.*)', re.DOTALL)
_BIND: Final = re.compile(r'"[^"]*" "([^"]*)"')
_READ: Final = re.compile(r"[\s(\"]*(?:SELECT|INSERT|UPDATE|DELETE|WITH|MERGE|VALUES)\b", re.IGNORECASE)
_CHANGED: Final = re.compile(r'"(?:INSERT 0|UPDATE|DELETE|MERGE|COPY) [1-9]')
_CHANGING: Final = (
    r"SELECT proname FROM pg_proc WHERE prosrc ~* '\m(insert\s+into|update|delete\s+from)\M' AND oid > 16384"
)
_KNOWN: Final = "SELECT name, statement FROM pg_prepared_statements"


@dataclass(frozen=True, slots=True)
class _Message:
    """``sent`` by us; ``text`` is what stands behind the kind."""

    sent: bool
    kind: str
    text: str


def cost_of(call: Callable[[], object]) -> Cost:
    """What ``call`` costs: what Django's connection of this thread sends, and the files that anybody opens and flushes.

    A statement that calls a function of ours that writes is taken for one that has written.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CHANGING)
        functions = "|".join(name for (name,) in cursor.fetchall())
        cursor.execute(_KNOWN)
        known = dict(cursor.fetchall())
    pgconn = connection.connection.pgconn
    with tempfile.TemporaryFile() as trace, _calls() as calls:
        pgconn.trace(os.dup(trace.fileno()))
        pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        try:
            call()
        finally:
            pgconn.untrace()
        trace.seek(0)
        messages = list(_messages(trace.read().decode("utf-8", "replace")))
    assert connection.connection.pgconn is pgconn, "the connection was replaced meanwhile"
    statements, trips, planned = _counts(messages)
    commits = _commits(messages, known, re.compile(rf"\b(?:{functions})\("))
    return Cost(statements, trips, planned, commits, calls["open"], calls["fsync"])


def _messages(text: str) -> Iterator[_Message]:
    found = list(_MESSAGE.finditer(text))
    for at, message in enumerate(found):
        end = found[at + 1].start() if at + 1 < len(found) else len(text)
        yield _Message(message[1] == "F", message[2], text[message.end() : end])


def _counts(messages: list[_Message]) -> tuple[int, int, int]:
    """Statements, round trips, and statements that are planned anew."""
    planned = 0
    for each in messages:
        named = _PARSE.match(each.text) if each.kind == "Parse" else None
        text = named[2] if named else each.text if each.kind == "Query" else ""
        planned += _READ.match(text) is not None
    kinds = [each.kind for each in messages if not each.sent]
    return kinds.count("CommandComplete"), kinds.count("ReadyForQuery"), planned


def _commits(messages: list[_Message], known: dict[str, str], changing: re.Pattern[str]) -> int:
    """Transactions that wrote something and came to their end; ``known`` are statements by the name of their plan."""
    commits, wrote = 0, False
    for each in messages:
        if each.kind == "Parse" and (parsed := _PARSE.match(each.text)):
            known[parsed[1]] = parsed[2]
        elif each.kind == "Bind" and (bound := _BIND.match(each.text)):
            wrote |= changing.search(known[bound[1]]) is not None
        elif each.kind == "Query":
            wrote |= changing.search(each.text) is not None
        elif each.kind == "CommandComplete":
            wrote |= _CHANGED.match(each.text) is not None
        elif each.kind == "ReadyForQuery" and each.text.startswith("I"):
            commits += wrote
            wrote = False
    return commits


@contextmanager
def _calls() -> Iterator[dict[str, int]]:
    """How often files of the data folder are opened, and any file is flushed; each call goes through."""
    counts = {"open": 0, "fsync": 0}
    data = str(settings.PACS.data)

    def opening(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **more: Any) -> Any:
            counts["open"] += isinstance(path, str | os.PathLike) and os.fspath(path).startswith(data)
            return original(path, *args, **more)

        return call

    def flushing(original: Callable[..., None]) -> Callable[..., None]:
        def call(file: Any) -> None:
            counts["fsync"] += 1
            original(file)

        return call

    with (
        patch.object(os, "open", opening(os.open)),
        patch.object(builtins, "open", opening(builtins.open)),
        patch.object(os, "fsync", flushing(os.fsync)),
        patch.object(os, "fdatasync", flushing(os.fdatasync)),
    ):
        yield counts
