"""After the password the second factor is asked for, or set up. Nobody is signed in here yet."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from access import half_signed_in, passkeys
from access.half_signed_in import HalfSignedIn
from access.middleware import open_to_all
from access.recovery_codes import codes_left
from access.second_factor import add_app, add_passkey, factors, new_recovery_codes
from access.sign_in import SignInRefused, begin_session, finish
from access.throttle import TooManyAttempts
from portal.factor_forms import (
    APP_NAME,
    PASSKEY_NAME,
    WRONG_CODE,
    NewFactorForm,
    ShownForm,
    app_in_making,
)
from portal.sign_in import throttled

WRONG = "That did not work. A code can be used once only: wait for the next one, or try another way."
NO_PASSKEY = "The passkey was not added. Try again."


@open_to_all
@sensitive_post_parameters("code", "passkey", "recovery_code")
@require_http_methods(["GET", "HEAD", "POST"])
def prove(request: HttpRequest) -> HttpResponse:
    """Ask for the second factor; a POST signs in. 401 for a refusal, 429 after too many."""
    half = half_signed_in.found(request)
    if half is None:
        return HttpResponseRedirect(reverse("login"))
    if not half.has_factor:
        return HttpResponseRedirect(reverse("second-factor-set-up"))
    if request.method != "POST":
        return _ask(request, half)
    try:
        finish(request, half, ShownForm(request.POST).shown())
    except SignInRefused:
        return _ask(request, half, WRONG, status=401)
    except TooManyAttempts as error:
        response = _ask(request, half, throttled(error), status=429)
        response["Retry-After"] = str(error.retry_after)
        return response
    return HttpResponseRedirect(half.onward)


@open_to_all
@sensitive_post_parameters("code", "passkey")
@require_http_methods(["GET", "HEAD", "POST"])
def set_up(request: HttpRequest) -> HttpResponse:
    """Set up the first second factor; a POST that proves it signs in and shows the recovery codes, this once."""
    half = half_signed_in.found(request)
    if half is None:
        return HttpResponseRedirect(reverse("login"))
    if half.has_factor:
        return HttpResponseRedirect(reverse("second-factor"))
    if request.method != "POST":
        return _offer(request, half)
    form = NewFactorForm(request.POST)
    given = form.cleaned_data if form.is_valid() else {"name": "", "code": "", "passkey": ""}
    if given["passkey"]:
        try:
            add_passkey(request, half.user, given["name"] or PASSKEY_NAME, given["passkey"])
        except passkeys.PasskeyRefused:
            return _offer(request, half, NO_PASSKEY, status=400)
        proved_by = "password+passkey"
    elif add_app(request, half.user, app_in_making(request), given["name"] or APP_NAME, given["code"]):
        proved_by = "password+totp"
    else:
        return _offer(request, half, WRONG_CODE, status=400)
    begin_session(request, half.user, proved_by)
    codes = new_recovery_codes(request, half.user)
    return render(request, "portal/account_codes.html", {"codes": codes, "onward": half.onward}, status=201)


def _ask(request: HttpRequest, half: HalfSignedIn, error: str = "", status: int = 200) -> HttpResponse:
    kinds = {factor.kind for factor in factors(half.user)}
    context = {
        "error": error,
        "name": half.user.username,
        "has_app": "app" in kinds,
        "passkey_options": passkeys.assertion(request, half.user),
        "has_codes": codes_left(half.user) > 0,
    }
    return render(request, "portal/sign_in_second.html", context, status=status)


def _offer(request: HttpRequest, half: HalfSignedIn, error: str = "", status: int = 200) -> HttpResponse:
    new = app_in_making(request)
    context = {
        "error": error,
        "name": half.user.username,
        "picture": new.picture(half.user),
        "secret": new.groups(),
        "address": new.address(half.user),
        "passkey_options": passkeys.registration(request, half.user) if passkeys.relying_party() else "",
    }
    return render(request, "portal/sign_in_set_up.html", context, status=status)
