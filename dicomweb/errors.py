"""ONE table: what went wrong -> HTTP status, stable code, what to do. Answers are problem details (RFC 9457)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.core.exceptions import ObjectDoesNotExist
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from rest_framework import exceptions

from access.retrying import retry_after
from archive.errors import (
    ArchiveDamaged,
    ArchiveFull,
    ArchiveUnavailable,
    Conflict,
    FeedPruned,
    Held,
    InvalidQuery,
    NotFound,
    NotRenderable,
    Recalling,
)
from audit.record import AuditUnavailable
from dicomweb.multipart import MediaTypeError, MultipartError
from workitems.errors import Gone
from worklist.performed_rules import InvalidPerformedStep

RETRY_AFTER_SECONDS = 5


class NotAcceptable(Exception):
    """None of the representations that exist is one the client accepts."""


class UnsupportedMediaType(Exception):
    """The request's body is of a type that this resource does not take."""


class BadRequest(Exception):
    """A parameter of the request is malformed."""


class RangeNotSatisfiable(Exception):
    """A byte range begins behind the end of what it is of, which has ``length`` bytes (RFC 9110 15.5.17)."""

    def __init__(self, length: int) -> None:
        super().__init__(f"there are {length} bytes")
        self.length = length


class TooLarge(Exception):
    """The request's body is larger, or names more, than this resource takes."""


class NoUpgrade(Exception):
    """The resource is a WebSocket, and the request asks for none, or for one of another version."""


class NoChannels(Exception):
    """The server that this process runs in can't give a connection away."""


class TooManyChannels(Exception):
    """There are as many event channels as there may be."""


class BodyAborted(Exception):
    """The client went away, or its body could not be read to its end."""


@dataclass(frozen=True, slots=True)
class Problem:
    """How an exception is answered. ``told`` says whether its own message goes to the client."""

    status: int
    code: str
    title: str
    told: bool = True


PROBLEMS: Mapping[type[Exception], Problem] = {
    Gone: Problem(410, "gone", "Gone"),
    FeedPruned: Problem(410, "feed-pruned", "Gone"),
    NotFound: Problem(404, "not-found", "Not found"),
    NotRenderable: Problem(406, "no-picture", "There is no such representation of this instance"),
    NotAcceptable: Problem(406, "not-acceptable", "No acceptable representation"),
    UnsupportedMediaType: Problem(415, "unsupported-media-type", "Unsupported media type"),
    MediaTypeError: Problem(415, "unsupported-media-type", "Unsupported media type"),
    MultipartError: Problem(400, "malformed-body", "Malformed multipart body"),
    BodyAborted: Problem(400, "malformed-body", "The body ended early"),
    InvalidQuery: Problem(400, "invalid-query", "Malformed query"),
    InvalidPerformedStep: Problem(400, "invalid-performed-step", "No such performed procedure step can be"),
    # A row that a Delete took away between two look-ups of one request.
    ObjectDoesNotExist: Problem(404, "not-found", "Not found", told=False),
    Held: Problem(409, "held", "Under legal hold"),
    Conflict: Problem(409, "conflict", "Conflict"),
    TooLarge: Problem(413, "too-large", "Too large"),
    RangeNotSatisfiable: Problem(416, "range-not-satisfiable", "No such range"),
    BadRequest: Problem(400, "bad-request", "Malformed request"),
    NoUpgrade: Problem(426, "upgrade-required", "This is a WebSocket"),
    NoChannels: Problem(501, "not-implemented", "There are no channels here"),
    TooManyChannels: Problem(503, "too-many-channels", "Temporarily unavailable"),
    ArchiveFull: Problem(507, "archive-full", "No room"),
    ArchiveDamaged: Problem(500, "object-damaged", "A stored object is damaged"),
    ArchiveUnavailable: Problem(503, "unavailable", "Temporarily unavailable"),
    AuditUnavailable: Problem(503, "audit-unavailable", "Temporarily unavailable"),
    OperationalError: Problem(503, "unavailable", "Temporarily unavailable", told=False),
    InterfaceError: Problem(503, "unavailable", "Temporarily unavailable", told=False),
    exceptions.NotAuthenticated: Problem(401, "not-authenticated", "Sign-in required"),
    exceptions.AuthenticationFailed: Problem(401, "not-authenticated", "Sign-in required"),
    exceptions.PermissionDenied: Problem(403, "forbidden", "Not permitted"),
    exceptions.MethodNotAllowed: Problem(405, "method-not-allowed", "Method not allowed"),
}


def problem_of(error: Exception) -> Problem | None:
    """The row of the table for ``error``, by its class or the nearest base; ``None`` for a defect of ours."""
    return next((PROBLEMS[base] for base in type(error).__mro__ if base in PROBLEMS), None)


def problem_response(problem: Problem, detail: str, **more: Any) -> HttpResponse:
    """``problem`` as ``application/problem+json``."""
    body = {"type": "about:blank", "title": problem.title, "status": problem.status, "code": problem.code}
    if detail:
        body["detail"] = detail
    response = HttpResponse(orjson.dumps(body | more), status=problem.status, content_type="application/problem+json")
    if problem.status in (503, 507):
        response["Retry-After"] = retry_after()
    return response


def error_response(error: Exception) -> HttpResponse | None:
    """The answer to ``error``; ``None`` if it isn't in the table."""
    problem = problem_of(error)
    if problem is None:
        return None
    response = problem_response(problem, str(getattr(error, "detail", error)) if problem.told else "")
    if isinstance(error, RangeNotSatisfiable):
        response["Content-Range"] = f"bytes */{error.length}"
    if isinstance(error, Recalling):
        response["Retry-After"] = str(error.seconds)
    if isinstance(error, NoUpgrade):
        response["Upgrade"], response["Connection"] = "websocket", "Upgrade"
        response["Sec-WebSocket-Version"] = "13"
    return response
