"""Where a share link leads: the page that opens it, and its exchange for a cookie or a bearer token.

The secret stands in the fragment of the page's address, which no browser sends; a script of ours posts it.
"""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from access.authentication import CHALLENGE
from access.link_door import mount_of, set_cookie
from access.link_exchange import DOES_NOT_WORK, LinkRefused, Opened, PinNeeded, exchange
from access.middleware import open_to_all, problem
from access.policy import may_download
from access.throttle import TooManyAttempts

PIN_NEEDED = "This link asks for the PIN that was sent with it."
THROTTLED = "Too many failed attempts. Try again in {minutes} min."
MOST_ARCHIVES = 20


@open_to_all
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The page of every share link; which one it is, only the browser knows."""
    response = render(request, "portal/open_link.html")
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


@open_to_all
@sensitive_post_parameters("secret", "pin")
@require_POST
def open_link(request: HttpRequest) -> HttpResponse:
    """The exchange for a browser: sets the link's cookie, tells where to go on; 401 with one text for all reasons."""
    opened = _exchanged(request, timedelta(hours=settings.PACS.session_hours))
    if isinstance(opened, HttpResponse):
        return opened
    mount = mount_of(opened.principal.id)
    archives = opened.study_uids[:MOST_ARCHIVES] if may_download(opened.principal) else ()
    answer = {
        "viewer": _viewer(mount, opened),
        "archives": [f"{mount}/dicom-web/studies/{uid}?{urlencode({'accept': 'application/zip'})}" for uid in archives],
        "until": opened.expires_at.isoformat(timespec="seconds"),
    }
    response = JsonResponse(answer, headers={"Cache-Control": "no-store"})
    set_cookie(response, opened.principal.id, opened.token, opened.expires_at)
    return response


@open_to_all
@csrf_exempt
@sensitive_post_parameters("secret", "pin")
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    """The exchange for a program: a bearer token for ``/dicom-web/`` (RFC 6750). 401 as for a browser."""
    opened = _exchanged(request, timedelta(seconds=settings.PACS.access_token_seconds))
    if isinstance(opened, HttpResponse):
        return opened
    answer = {
        "access_token": opened.token,
        "token_type": "Bearer",
        "expires_in": _seconds_until(opened.expires_at),
        "studies": list(opened.study_uids),
    }
    return JsonResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _exchanged(request: HttpRequest, lifetime: timedelta) -> Opened | HttpResponse:
    secret, pin = request.POST.get("secret", "").strip(), request.POST.get("pin", "").strip()
    try:
        return exchange(request, secret[:200], pin[:50], lifetime)
    except PinNeeded:
        return _unauthorized("pin-needed", PIN_NEEDED)
    except LinkRefused:
        return _unauthorized("link-refused", DOES_NOT_WORK)
    except TooManyAttempts as error:
        minutes = -(-error.retry_after // 60)
        response = problem(429, "Too Many Requests", "too-many-attempts", THROTTLED.format(minutes=minutes))
        response["Retry-After"] = str(error.retry_after)
        return response


def _unauthorized(code: str, detail: str) -> HttpResponse:
    response = problem(401, "Unauthorized", code, detail)
    response["WWW-Authenticate"] = CHALLENGE
    return response


def _viewer(mount: str, opened: Opened) -> str:
    """One study opens at once; of several the viewer shows its list."""
    if len(opened.study_uids) != 1:
        return f"{mount}/viewer/"
    return f"{mount}/viewer/viewer?{urlencode({'StudyInstanceUIDs': opened.study_uids[0]})}"


def _seconds_until(moment: datetime) -> int:
    return max(0, int((moment - timezone.now()).total_seconds()))
