"""Logs say what happened and where in the code, never the values: those may be a patient's name.

Messages of exceptions are left out, because PostgreSQL and its driver put values into theirs; addresses are left out,
because a search stands in them.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from gunicorn.glogging import Logger


class WithoutValues(logging.Formatter):
    """Tracebacks with files, lines and classes of exceptions, without their messages."""

    def format(self, record: logging.LogRecord) -> str:
        """As always; but Celery's report of a failed task has the exception's text among its arguments."""
        if isinstance(record.args, dict) and "exc" in record.args:
            record = logging.makeLogRecord(vars(record) | {"args": dict(record.args) | {"exc": "see below"}})
        return super().format(record)

    def formatException(self, ei: Any) -> str:
        """The chain of exceptions, the last one first."""
        return "\ncaused by ".join(_described(error) for error in _chain(ei[1]))


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's log. Its own would write request lines, header fields and addresses of requests that fail."""

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """``Invalid request from ip=...: what was sent`` without what was sent."""
        if msg.startswith("Invalid request from ip="):
            error = sys.exc_info()[1]
            msg = f"{msg.partition(': ')[0]}: {type(error).__name__}".replace("%", "%%")
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """``Error handling request GET /address`` without the address; what fails while starting is shown whole."""
        error = sys.exc_info()[1]
        if error is None or msg == "Exception in worker process":
            super().exception(msg, *args, **kwargs)
        else:
            self.error("%s: %s", msg.partition("%")[0].strip(), WithoutValues().formatException((None, error, None)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}\n{''.join(traceback.format_tb(error.__traceback__)).rstrip()}"
