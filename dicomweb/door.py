"""The way in to DICOMweb: asked for by the thousand, it passes by what Django does for pages.

What stands behind it in ``MIDDLEWARE`` is for browsers: sessions, forms, messages, static files. Here a request with a
token and without cookies needs none of that; with a session it needs the session and nothing else. Who asks, and
whether, is decided by the same functions as everywhere (``access.middleware``).
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from access.answer_fields import add_missing, pairs
from access.middleware import AbsoluteSessionLimit, kept_out
from dicomweb.look_ahead import LookAhead
from dicomweb.routes import PREFIX, Routes
from dicomweb.urls import urlpatterns

Answer = Callable[[HttpRequest], HttpResponseBase]
_SESSION: Final[tuple[Callable[[Any], Any], ...]] = (SessionMiddleware, AuthenticationMiddleware, AbsoluteSessionLimit)
_ROOT: Final = f"/{PREFIX}"
_ROUTES: Final = Routes(urlpatterns)
_LOOK_AHEAD: Final = LookAhead()


class DicomwebDoor:
    """Middleware that answers what is below ``/dicom-web/`` and passes on all else, unknown resources too."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response
        self._by_session = reduce(_around, reversed(_SESSION), _answering_errors(_answer))
        self._serve = _answering_errors(self._served)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer of the resource."""
        path = request.path_info
        found = _ROUTES.find(path[len(_ROOT) :]) if path.startswith(_ROOT) else None
        if found is None:
            return self.get_response(request)
        request.resolver_match = found
        response = self._serve(request)
        if isinstance(response, HttpResponse):
            add_missing(response, pairs({"Content-Length": str(len(response.content))}))
        return response

    def _served(self, request: HttpRequest) -> HttpResponseBase:
        request.get_host()  # raises DisallowedHost
        if "HTTP_AUTHORIZATION" not in request.META or request.META.get("HTTP_COOKIE"):
            return self._by_session(request)
        found: Any = request.resolver_match
        kind = found.func.view_class.looks_up if request.method == "GET" else ""
        return _LOOK_AHEAD.answer(request, kind, found.kwargs, _answer) if kind else _answer(request)


def _answering_errors(answer: Answer) -> Answer:
    answering: Answer = convert_exception_to_response(answer)  # type: ignore[assignment]
    return answering


def _around(inner: Answer, outer: Callable[[Any], Any]) -> Answer:
    return _answering_errors(outer(inner))


def _answer(request: HttpRequest) -> HttpResponseBase:
    found = request.resolver_match
    assert found is not None  # noqa: S101 - for the types
    return kept_out(request, found.func) or found.func(request, **found.kwargs)
