"""Single sign-on through the provider of the settings: away to it, and back."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_safe

from access.middleware import open_to_all
from access.oidc_sign_in import SignOnFailed, begin, finish
from access.throttle import TooManyAttempts
from portal.sign_in import THROTTLED, next_address

RETRY_SECONDS = 5


@open_to_all
@require_http_methods(["GET", "HEAD", "POST"])
def begin_page(request: HttpRequest) -> HttpResponse:
    """A POST, which only our own pages can make, leads to the provider; whoever just looks is shown the sign-in page.

    The way there is a page that goes on by itself: browsers hold redirects after a form against ``form-action``.
    """
    if request.method != "POST":
        return HttpResponseRedirect(settings.LOGIN_URL)
    try:
        there = begin(request, next_address(request))
    except SignOnFailed as error:
        return _failed(request, error.status, str(error))
    return render(request, "portal/go_on.html", {"there": there, "title": settings.PACS.oidc.title})


@open_to_all
@require_safe
def return_page(request: HttpRequest) -> HttpResponse:
    """The provider sends the browser back: on to where it wanted, or a page that says why not."""
    try:
        return HttpResponseRedirect(finish(request))
    except SignOnFailed as error:
        return _failed(request, error.status, str(error))
    except TooManyAttempts as error:
        response = _failed(request, 429, THROTTLED.format(minutes=-(-error.retry_after // 60)))
        response["Retry-After"] = str(error.retry_after)
        return response


def _failed(request: HttpRequest, status: int, message: str) -> HttpResponse:
    context = {"message": message, "title": settings.PACS.oidc.title, "again": settings.PACS.oidc.issuer}
    response = render(request, "portal/single_sign_on.html", context, status=status)
    if status == 503:
        response["Retry-After"] = str(RETRY_SECONDS)
    return response
