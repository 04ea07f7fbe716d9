"""Answers to what no view answered: a plain page for people, problem details (RFC 9457) for machines."""

import logging
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from rest_framework.views import exception_handler

from access.retrying import retry_after
from archive.errors import ArchiveUnavailable
from archive.object_store.errors import ObjectStoreUnavailable
from audit.record import AuditUnavailable

RETRY_SECONDS = 5
_log = logging.getLogger(__name__)

# What passes by itself: the client is told to come again.
UNAVAILABLE: Final[Mapping[type[BaseException], str]] = {
    AuditUnavailable: "the access trail can't be written, so nothing is shown",
    ArchiveUnavailable: "the archive can't be reached",
    ObjectStoreUnavailable: "the object store can't be reached",
    OperationalError: "the database can't be reached",
    InterfaceError: "the database can't be reached",
}
TITLES: Final[Mapping[int, str]] = {
    400: "Bad request",
    403: "Forbidden",
    404: "Not found",
    500: "Something went wrong",
    503: "Not available now",
}
# The same codes as dicomweb.errors has for these statuses.
CODES: Final[Mapping[int, str]] = {
    400: "bad-request",
    403: "forbidden",
    404: "not-found",
    500: "internal-error",
    503: "unavailable",
}


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return answer(request, 400, "the request can't be understood")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return answer(request, 403, "your roles don't include this")


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that doesn't come from our own pages, or is older than the session."""
    return answer(request, 403, "this form is out of date or comes from another site: open the page again")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return answer(request, 404, "there is nothing at this address")


def server_error(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After for what is away and comes back, 500 for the rest. Called while the exception is handled."""
    error = sys.exc_info()[1]
    for kind, detail in UNAVAILABLE.items():
        if isinstance(error, kind):
            _log.error("%s: %s", kind.__name__, detail)
            response = answer(request, 503, detail)
            response["Retry-After"] = retry_after()
            return response
    return answer(request, 500, f"the request id is {getattr(request, 'request_id', 'unknown')}")


def answer(request: HttpRequest, status: int, detail: str) -> HttpResponse:
    """A page if a browser asks for one outside the machines' paths, problem details otherwise."""
    if "text/html" in request.headers.get("Accept", "") and not request.path_info.startswith(settings.API_PREFIXES):
        return render(request, "pacs_project/message.html", {"title": TITLES[status], "detail": detail}, status=status)
    problem = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "code": CODES[status],
        "detail": detail,
    }
    return JsonResponse(problem, status=status, content_type="application/problem+json")


def api_problem(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """What a view of Django REST framework refuses, as problem details; None for a defect of ours."""
    found = exception_handler(error, dict(context))
    if found is None:
        return None
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(found.status_code).phrase,
        "status": found.status_code,
        "code": str(getattr(error, "default_code", "refused")).replace("_", "-"),
        "detail": str(getattr(error, "detail", "")),
    }
    headers = {name: value for name, value in found.items() if name in ("Allow", "WWW-Authenticate", "Retry-After")}
    return JsonResponse(problem, status=found.status_code, content_type="application/problem+json", headers=headers)
