"""The way in and the way out."""

from django import forms
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from access.middleware import open_to_all
from access.oidc_sign_in import leave_address
from access.sign_in import SignInRefused, Step, sign_in, sign_out
from access.throttle import TooManyAttempts

REFUSED = "This name and password don't belong together."
THROTTLED = "Too many failed attempts. Try again in {minutes} min."
# The name of the page that comes after the right password; None is where one wanted to go.
AFTER = {Step.IN: None, Step.SECOND_FACTOR: "second-factor", Step.SET_UP: "second-factor-set-up"}


class Credentials(forms.Form):
    """What the page asks for."""

    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=1024, strip=False)


@open_to_all
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The sign-in page; a POST leads on to ``next``, or to the second factor. 401 for a refusal, 429 after too many."""
    onward = next_address(request)
    if request.method != "POST":
        return HttpResponseRedirect(onward) if request.user.is_authenticated else _form(request, onward)
    form = Credentials(request.POST)
    if not form.is_valid():
        return _form(request, onward, REFUSED, status=401)
    try:
        step = sign_in(request, form.cleaned_data["username"], form.cleaned_data["password"], onward)
    except SignInRefused:
        return _form(request, onward, REFUSED, status=401)
    except TooManyAttempts as error:
        response = _form(request, onward, throttled(error), status=429)
        response["Retry-After"] = str(error.retry_after)
        return response
    after = AFTER[step]
    return HttpResponseRedirect(reverse(after) if after else onward)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Sign out; if the settings say so, at the provider of single sign-on too."""
    there = leave_address(request)
    sign_out(request)
    if there:
        return render(request, "portal/go_on.html", {"there": there, "title": "Signing out"})
    return HttpResponseRedirect(settings.LOGOUT_REDIRECT_URL)


def next_address(request: HttpRequest) -> str:
    """Where to go after signing in: an address of ours that starts with one slash, else the study list."""
    wish = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    ours = wish.startswith("/") and url_has_allowed_host_and_scheme(
        wish, allowed_hosts=None, require_https=request.is_secure()
    )
    return wish if ours else settings.LOGIN_REDIRECT_URL


def throttled(error: TooManyAttempts) -> str:
    """What a page says to somebody who has to wait."""
    return THROTTLED.format(minutes=-(-error.retry_after // 60))


def _form(request: HttpRequest, onward: str, error: str = "", status: int = 200) -> HttpResponse:
    context = {"next": onward, "error": error, "username": request.POST.get("username", "")[:150]}
    return render(request, "portal/sign_in.html", context, status=status)
