"""Logs for machines: one JSON object a line, with what the plain ones have and nothing more."""

import json
import logging
from datetime import UTC, datetime

from pacs_project.logs import WithoutValues


class JsonLines(WithoutValues):
    """``time``, ``level``, ``logger``, ``message``, ``process``; ``request_id`` of what is at work, ``exception``
    without its message, and the fields of a request's line (``pacs_project.observed``)."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        record = self.prepared(record)
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "request_id": self.at_work(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value not in ("", None)})
