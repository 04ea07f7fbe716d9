"""Who asks, asked again long after the request: for connections that stay open when their request is over.

A copy of what the request was proved by is kept; nothing that was found then counts, so that a token that has ended, a
person who signed out and a role that was taken away are known at the next question.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from rest_framework.exceptions import AuthenticationFailed

from access.authentication import authenticate
from access.idle import idle_seconds
from access.middleware import SEEN_AT, SIGNED_IN_AT
from access.principal import Principal

_PROOF = ("HTTP_AUTHORIZATION", "HTTP_USER_AGENT", "REMOTE_ADDR", "REQUEST_METHOD")
_SEEN = ("client_address", "request_id", "resolver_match")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request was proved by, and where it came from. ``session_key`` is "" for whoever sent a header."""

    meta: Mapping[str, str]
    path: str
    session_key: str
    seen: Mapping[str, Any]


def credentials_of(request: HttpRequest) -> Credentials:
    """What is needed to ask again."""
    by_header = "HTTP_AUTHORIZATION" in request.META
    return Credentials(
        meta={name: request.META[name] for name in _PROOF if name in request.META},
        path=request.path,
        session_key="" if by_header else request.session.session_key or "",
        seen={name: getattr(request, name, None) for name in _SEEN},
    )


def still(credentials: Credentials) -> Principal | None:
    """The principal as it is now; None for credentials that don't count any more.

    Asking doesn't keep a session alive: one that is idle for too long, or too old, is over here as well.
    """
    request = request_of(credentials)
    if credentials.session_key and _is_over(request):
        return None
    try:
        return authenticate(request)
    except AuthenticationFailed:
        return None


def request_of(credentials: Credentials) -> HttpRequest:
    """A request that stands for the one that is over, for look-ups and for events in the trail."""
    request = HttpRequest()
    request.META.update(credentials.meta)
    request.method = credentials.meta.get("REQUEST_METHOD")
    request.path = request.path_info = credentials.path
    for name, value in credentials.seen.items():
        setattr(request, name, value)
    if credentials.session_key:
        store = import_module(settings.SESSION_ENGINE).SessionStore
        request.session = store(credentials.session_key)
        request.user = get_user(request)
    return request


def _is_over(request: HttpRequest) -> bool:
    signed_in = request.session.get(SIGNED_IN_AT)
    if signed_in is None:
        return True
    now = time.time()
    idle = now - request.session.get(SEEN_AT, signed_in) > idle_seconds(request)
    return idle or bool(now - signed_in > settings.PACS.session_hours * 3600)
