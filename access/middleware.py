"""Nothing answers without a principal but what says so; sessions end when idle or old."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from rest_framework.exceptions import AuthenticationFailed

from access.authentication import authenticate, challenge, forget
from access.idle import idle_seconds
from access.link_door import is_open_to_links, mounted_link, record_out_of_place
from access.links import PAGE
from access.principal import Principal
from access.step_up import ConfirmationNeeded, way_to_confirm
from access.trail import event
from audit.kinds import SIGN_OUT
from audit.record import AuditUnavailable, record

Answer = Callable[[HttpRequest], HttpResponseBase]
View = TypeVar("View", bound=Callable[..., Any])
RENEW_SECONDS = 60
SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
_OPEN = "open_to_all"
_DICOMWEB = "/dicom-web/"
# What says that the database is away has to be seen by whoever is signed in as well.
_WITHOUT_DATABASE = frozenset({"/livez", "/readyz", "/status"})
_log = logging.getLogger(__name__)


def open_to_all(view: View) -> View:
    """Mark a view that answers without a principal. Every use is listed in tests/access/test_every_url.py."""
    setattr(view, _OPEN, True)
    return view


class SignInRequired:
    """Deny by default: a view runs only for a proved principal, unless it is marked ``open_to_all``.

    A browser that asks for a page is sent to the sign-in page; everything else gets 401 (RFC 9457 body).
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass on; the decision needs the view (``process_view``)."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        """401 or the way to the sign-in page, or None to go on."""
        return None if getattr(view, _OPEN, False) else kept_out(request, view)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Lead a person to the page that asks for the password again, where a view wants that (``access.step_up``)."""
        if not isinstance(exception, ConfirmationNeeded):
            return None
        if _wants_page(request):
            return way_to_confirm(request)
        return problem(403, "Forbidden", exception.default_code, str(exception.detail))


def kept_out(request: HttpRequest, view: Any) -> HttpResponse | None:
    """The answer to whoever may not ask ``view`` at all: 401, the way to the sign-in page, or 403; None to go on."""
    try:
        principal = authenticate(request)
        if principal is not None:
            return None if principal.kind != "link" or is_open_to_links(view) else _out_of_place(request, principal)
        if request.method == "OPTIONS" and request.path_info.startswith(_DICOMWEB) and (methods := _methods(view)):
            return HttpResponse(status=204, headers={"Allow": methods, "Cache-Control": "no-store"})
        detail = "sign in, or send a Bearer token"
    except AuthenticationFailed as error:
        detail = str(error.detail)
    return refuse(request, detail)


def _methods(view: Any) -> str:
    """What a DICOMweb resource can be asked, which is no secret; "" if it has an answer of its own to OPTIONS."""
    resource = getattr(view, "view_class", None)
    if resource is None or "options" in vars(resource):
        return ""
    found = [name for name in resource.http_method_names if hasattr(resource, name)]
    return ", ".join(name.upper() for name in (*found, *(["head"] if "get" in found else [])))


def _out_of_place(request: HttpRequest, principal: Principal) -> HttpResponse:
    """403 for the holder of a share link outside of what is for links, with its event."""
    record_out_of_place(request, principal)
    return problem(403, "Forbidden", "forbidden", "share links do not open this")


def refuse(request: HttpRequest, detail: str) -> HttpResponse:
    """The answer to somebody unknown."""
    if _wants_page(request) and "Authorization" not in request.headers:
        if mounted_link(request):
            return HttpResponseRedirect(PAGE)
        there = request.get_full_path() if request.method in ("GET", "HEAD") else settings.LOGIN_REDIRECT_URL
        return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({'next': there})}")
    response = problem(401, "Unauthorized", "not-authenticated", detail)
    response["WWW-Authenticate"] = challenge(request)
    return response


def _wants_page(request: HttpRequest) -> bool:
    return "text/html" in request.headers.get("Accept", "") and not request.path_info.startswith(settings.API_PREFIXES)


def problem(status: int, title: str, code: str, detail: str) -> HttpResponse:
    """Problem details (RFC 9457) that nobody keeps."""
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    headers = {"Cache-Control": "no-store"}
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


class AbsoluteSessionLimit:
    """End a session that is idle for ``PACS.idle_minutes``, or as long as its person's roles may be, or that is older
    than ``PACS.session_hours``.

    The time of the last request is written at most once a minute, so that reading frames doesn't write the session.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """End the session or renew it, then pass on."""
        by_session = "Authorization" not in request.headers and not mounted_link(request)
        if by_session and settings.SESSION_COOKIE_NAME in request.COOKIES:
            try:
                self._look_at(request)
            except DatabaseError:
                if request.path_info not in _WITHOUT_DATABASE:
                    raise
        return self.get_response(request)

    def _look_at(self, request: HttpRequest) -> None:
        signed_in = request.session.get(SIGNED_IN_AT)
        now = time.time()
        if signed_in is None:
            if SESSION_KEY in request.session:
                request.session[SIGNED_IN_AT] = request.session[SEEN_AT] = now
            return
        idle = idle_seconds(request)
        seen = request.session.get(SEEN_AT, signed_in)
        if now - seen > idle or now - signed_in > settings.PACS.session_hours * 3600:
            self._end(request, "idle" if now - seen > idle else "session_hours")
        elif now - seen > min(RENEW_SECONDS, idle / 4):
            request.session[SEEN_AT] = now

    def _end(self, request: HttpRequest, rule: str) -> None:
        """Sign out even if the trail is away: an ended session shows nothing to anybody."""
        principal = authenticate(request)
        logout(request)
        forget(request)
        try:
            record([event(request, SIGN_OUT, principal, rule=rule, outcome_description="the session timed out")])
        except AuditUnavailable:
            _log.exception("a session that timed out is not in the trail")
