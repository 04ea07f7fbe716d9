"""One's own second factors: an app or a passkey is added, renamed or taken away. Each asks for the password anew."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from access import passkeys
from access.models import RecoveryCode, User
from access.second_factor import (
    MOST_FACTORS,
    LastFactor,
    add_app,
    add_passkey,
    factors,
    must_have,
    remove,
    rename,
)
from access.step_up import require_recent
from portal.account import own_account, shown_codes
from portal.factor_forms import APP_NAME, PASSKEY_NAME, WRONG_CODE, NewFactorForm, app_in_making, app_is_made
from portal.second_step import NO_PASSKEY

TOO_MANY = f"You have {MOST_FACTORS} already: take one away first."
NEEDED = "Your role needs a second factor. Add another one before you take this one away."


@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def app(request: HttpRequest) -> HttpResponse:
    """Add an authenticator app: its QR code, and a form for the first code. 400 for a wrong one."""
    user = _recent(request)
    error = TOO_MANY if len(factors(user)) >= MOST_FACTORS else ""
    new = app_in_making(request)
    if request.method == "POST" and not error:
        form = NewFactorForm(request.POST)
        given = form.cleaned_data if form.is_valid() else {"name": "", "code": ""}
        if add_app(request, user, new, given["name"] or APP_NAME, given["code"]):
            app_is_made(request)
            return _added(request, user, "The authenticator app is added.")
        error = WRONG_CODE
    context = {
        "error": error,
        "name": APP_NAME,
        "picture": new.picture(user),
        "secret": new.groups(),
        "address": new.address(user),
    }
    return render(request, "portal/account_app.html", context, status=400 if request.method == "POST" else 200)


@sensitive_post_parameters("passkey")
@require_http_methods(["GET", "HEAD", "POST"])
def passkey(request: HttpRequest) -> HttpResponse:
    """Add a passkey. 400 for an answer that proves nothing; 404 where there can't be passkeys."""
    user = _recent(request)
    if not passkeys.relying_party():
        raise Http404
    error = TOO_MANY if len(factors(user)) >= MOST_FACTORS else ""
    if request.method == "POST" and not error:
        form = NewFactorForm(request.POST)
        given = form.cleaned_data if form.is_valid() else {"name": "", "passkey": ""}
        try:
            add_passkey(request, user, given["name"] or PASSKEY_NAME, given["passkey"])
            return _added(request, user, "The passkey is added.")
        except passkeys.PasskeyRefused:
            error = NO_PASSKEY
    context = {
        "error": error,
        "name": PASSKEY_NAME,
        "passkey_options": passkeys.registration(request, user),
    }
    return render(request, "portal/account_passkey.html", context, status=400 if request.method == "POST" else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def factor(request: HttpRequest, factor: UUID) -> HttpResponse:
    """One second factor: rename it (``do=rename``), or take it away (``do=remove``). 404 for one of somebody else."""
    user = _recent(request)
    found = next((each for each in factors(user) if each.id == factor), None)
    if found is None:
        raise Http404
    context = {"factor": found, "error": "", "last": len(factors(user)) == 1, "must_have": must_have(user)}
    if request.method != "POST":
        return render(request, "portal/account_factor.html", context)
    if request.POST.get("do") == "remove":
        try:
            remove(request, user, factor)
        except LastFactor:
            return render(request, "portal/account_factor.html", {**context, "error": NEEDED}, status=409)
        return _done(request, f"“{found.name}” is taken away.")
    form = NewFactorForm(request.POST)
    if not form.is_valid() or not form.cleaned_data["name"]:
        context["error"] = "Give it a name of 1 to 60 characters."
        return render(request, "portal/account_factor.html", context, status=400)
    rename(request, user, factor, form.cleaned_data["name"])
    return _done(request, "The new name is kept.")


def _recent(request: HttpRequest) -> User:
    user = own_account(request)
    require_recent(request)
    return user


def _added(request: HttpRequest, user: User, what: str) -> HttpResponse:
    """Beside the first factor the recovery codes are shown."""
    if not RecoveryCode.objects.filter(user=user).exists():
        return shown_codes(request, user)
    return _done(request, what)


def _done(request: HttpRequest, what: str) -> HttpResponse:
    messages.success(request, what)
    return HttpResponseRedirect(reverse("account"))
