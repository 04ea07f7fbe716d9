"""Logs say what happened and where in the code, never the values: those may be a patient's name.

Messages of exceptions are left out, because PostgreSQL and its driver put values into theirs; addresses are left out,
because a search stands in them.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any, Final

from gunicorn.glogging import Logger

from telemetry.at_work import request_id

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"


class WithoutValues(logging.Formatter):
    """Tracebacks with files, lines and classes of exceptions, without their messages; the id of what is at work."""

    def format(self, record: logging.LogRecord) -> str:
        """As always; ``request_id`` may stand in the format."""
        record = self.prepared(record)
        record.request_id = self.at_work() or "-"
        return super().format(record)

    def prepared(self, record: logging.LogRecord) -> logging.LogRecord:
        """Without what may be a value: Celery's report of a failed task has the exception's text in its arguments, and
        Django's of a failed request the address, which names a study."""
        if isinstance(record.args, dict) and "exc" in record.args:
            record = logging.makeLogRecord(vars(record) | {"args": dict(record.args) | {"exc": "see below"}})
        if record.name == "django.request" and isinstance(record.args, tuple) and record.args:
            match = getattr(getattr(record, "request", None), "resolver_match", None)
            route = f"/{match.route}" if match is not None else "an address"
            record = logging.makeLogRecord(vars(record) | {"args": (*record.args[:-1], route)})
        return record

    def at_work(self) -> str:
        """The id of the request, task or message that this thread is about; "" for none."""
        return request_id.get()

    def formatException(self, ei: Any) -> str:
        """The chain of exceptions, the last one first."""
        return "\ncaused by ".join(_described(error) for error in _chain(ei[1]))


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's log. Its own would write request lines, header fields and addresses of requests that fail."""

    def setup(self, cfg: Any) -> None:
        """As gunicorn's, in the form that the settings ask for: the settings say so, or can't be read, later."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter())

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


def formatter() -> WithoutValues:
    """The one that ``PACS_LOG_FORMAT`` names; the plain one where the settings can't be read."""
    from pacs_project.config import Misconfigured, config
    from pacs_project.logs_json import JsonLines

    try:
        return JsonLines() if config().log_format == "json" else WithoutValues(FORMAT)
    except Misconfigured:
        return WithoutValues(FORMAT)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _described(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}\n{''.join(traceback.format_tb(error.__traceback__)).rstrip()}"
