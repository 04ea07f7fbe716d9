"""Sensitive actions ask again: who sits there must have shown a password or second factor in the last ten minutes.

A view calls ``require_recent(request)`` before it acts. A browser is then led to the page that asks, and back; a
program gets 403 with the code ``confirmation-needed``.
"""

import time
from typing import Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from access.authentication import principal_of
from access.sessions_of import PROVED_AT

RECENT_SECONDS: Final = 600
CONFIRM_URL: Final = "/account/confirm"


class ConfirmationNeeded(APIException):
    """The password or a second factor has to be shown again; ``access.middleware`` leads browsers to the page."""

    status_code = status.HTTP_403_FORBIDDEN
    default_code = "confirmation-needed"
    default_detail = f"confirm that it is you at {CONFIRM_URL}, then ask again"


def require_recent(request: HttpRequest | Request) -> None:
    """Go on if the person proved who they are within the last ten minutes; machines have nobody to ask and go on.

    A person's token can't be asked either and is refused. Raises ConfirmationNeeded, NotAuthenticated.
    """
    principal = principal_of(request)
    if principal.kind == "person" and not (principal.auth_method == "session" and is_recent(request)):
        raise ConfirmationNeeded


def is_recent(request: HttpRequest | Request) -> bool:
    """Whether the session was confirmed within the last ten minutes; signing in counts, if something was shown then."""
    age = time.time() - request.session.get(PROVED_AT, 0.0)
    return bool(age < RECENT_SECONDS)


def confirm(request: HttpRequest) -> None:
    """The person has shown a password or second factor just now."""
    request.session[PROVED_AT] = time.time()


def way_to_confirm(request: HttpRequest) -> HttpResponseRedirect:
    """To the page that asks; from there back to the page on which the action was chosen."""
    there = request.get_full_path()
    if request.method not in ("GET", "HEAD"):
        came_from = urlsplit(request.headers.get("Referer", ""))
        ours = came_from.netloc == request.get_host()
        there = came_from._replace(scheme="", netloc="", fragment="").geturl() if ours else settings.LOGIN_REDIRECT_URL
    return HttpResponseRedirect(f"{CONFIRM_URL}?{urlencode({'next': there})}")
