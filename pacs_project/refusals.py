"""What the web server answers by itself, before Django sees a request: problem details (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from gunicorn.http import errors

from access.retrying import retry_after
from telemetry.metrics import HTTP_REQUESTS


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason phrase of the status, and a stable code."""

    title: str
    code: str


REFUSALS: Final[Mapping[int, Refusal]] = {
    400: Refusal("Bad Request", "bad-request"),
    408: Refusal("Request Timeout", "timeout"),
    411: Refusal("Length Required", "length-required"),
    413: Refusal("Content Too Large", "too-large"),
    414: Refusal("URI Too Long", "uri-too-long"),
    417: Refusal("Expectation Failed", "expectation-failed"),
    429: Refusal("Too Many Requests", "too-many-requests"),
    431: Refusal("Request Header Fields Too Large", "header-too-large"),
    500: Refusal("Internal Server Error", "internal-error"),
    501: Refusal("Not Implemented", "not-implemented"),
    503: Refusal("Service Unavailable", "unavailable"),
}
# What gunicorn's parser finds wrong with a request; the nearest base counts.
_STATUSES: Final[Mapping[type[BaseException], int]] = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
    # These are our own doing.
    errors.ConfigurationProblem: 500,
    errors.InvalidResponseHeader: 500,
    errors.InvalidResponseHeaderName: 500,
    errors.ParseException: 400,
}


def refusal(status: int) -> bytes:
    """The whole answer; the connection ends with it."""
    told = REFUSALS[status]
    HTTP_REQUESTS.labels("refused", "other", str(status)).inc()
    body = orjson.dumps({"type": "about:blank", "title": told.title, "status": status, "code": told.code})
    retry = f"Retry-After: {retry_after()}\r\n" if status in (429, 503) else ""
    head = f"HTTP/1.1 {status} {told.title}\r\nContent-Type: application/problem+json\r\nConnection: close\r\n"
    return f"{head}{retry}Content-Length: {len(body)}\r\n\r\n".encode() + body


def status_of(error: BaseException) -> int:
    """400 and its kin for what the client did wrong, 500 for the rest."""
    return next((_STATUSES[base] for base in type(error).__mro__ if base in _STATUSES), 500)
