"""One's own account: password, second factors, recovery codes and sessions; and the page that asks once more."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import passkeys
from access.authentication import principal_of
from access.models import User
from access.password_change import change_password
from access.recovery_codes import codes_left
from access.roles import ROLES
from access.second_factor import factors, must_have, new_recovery_codes
from access.sessions_of import end_all, end_session, sessions
from access.sign_in import SignInRefused, confirm_again, prove_password
from access.step_up import require_recent
from access.throttle import TooManyAttempts
from access.trail import event
from audit.kinds import REFUSED, USER_CHANGED, Outcome
from audit.record import record
from portal.browsers import described
from portal.factor_forms import ShownForm
from portal.sign_in import next_address, throttled

NOT_YOURS = "This is not your password."
NOT_CONFIRMED = "That did not work. Try again, or another way."


class PasswordForm(forms.Form):
    """The old password and the new one, twice."""

    current = forms.CharField(max_length=1024, strip=False)
    new = forms.CharField(max_length=1024, strip=False)
    again = forms.CharField(max_length=1024, strip=False)


def own_account(request: HttpRequest) -> User:
    """The person who asks, by a session. Raises PermissionDenied for machines and tokens, with its event."""
    principal = principal_of(request)
    if principal.auth_method != "session" or not isinstance(request.user, User):
        record([event(request, REFUSED, principal, decision="deny", rule="account", outcome=Outcome.MINOR_FAILURE)])
        raise PermissionDenied
    return request.user


@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Everything about one's own account on one page."""
    user = own_account(request)
    here = principal_of(request).token_id
    theirs = factors(user)
    context = {
        "person": user,
        "roles": [ROLES[name].title if name in ROLES else name for name in principal_of(request).roles],
        "has_password": user.has_usable_password(),
        "factors": theirs,
        "must_have": must_have(user),
        "codes_left": codes_left(user),
        "passkeys_work": bool(passkeys.relying_party()),
        "sessions": [
            {
                "session": session,
                "browser": described(session.user_agent),
                "proved_by": session.proved_by.replace("+", " and ").replace("totp", "app"),
                "here": session.token_id == here,
            }
            for session in sorted(sessions(user), key=lambda session: session.token_id != here)
        ],
    }
    return render(request, "portal/account.html", context)


@sensitive_post_parameters("current", "new", "again")
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Change the password; all other sessions end. 400 with the reason for one that can't be, 429 after too many."""
    user = own_account(request)
    if not user.has_usable_password():
        raise Http404
    if request.method != "POST":
        return render(request, "portal/account_password.html")
    form = PasswordForm(request.POST)
    try:
        prove_password(request, user, form.cleaned_data["current"] if form.is_valid() else "")
    except TooManyAttempts as error:
        return _too_many(request, "portal/account_password.html", error)
    except SignInRefused:
        return render(request, "portal/account_password.html", {"errors": [NOT_YOURS]}, status=400)
    if form.cleaned_data["new"] != form.cleaned_data["again"]:
        errors = ["The new password was typed in two ways."]
        return render(request, "portal/account_password.html", {"errors": errors}, status=400)
    try:
        ended = change_password(request, user, form.cleaned_data["new"])
    except ValidationError as error:
        return render(request, "portal/account_password.html", {"errors": error.messages}, status=400)
    others = f" {ended} other session{'s' if ended != 1 else ''} ended." if ended else ""
    return _done(request, f"Your password is changed.{others}")


@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes, shown this once; only beside a second factor."""
    user = own_account(request)
    require_recent(request)
    if not factors(user):
        raise Http404
    if request.method != "POST":
        return render(request, "portal/account_recovery.html", {"codes_left": codes_left(user)})
    return shown_codes(request, user)


def shown_codes(request: HttpRequest, user: User) -> HttpResponse:
    """New recovery codes, on the page that shows them once."""
    context = {"codes": new_recovery_codes(request, user), "onward": reverse("account")}
    return render(request, "portal/account_codes.html", context, status=201)


@require_POST
def end_one(request: HttpRequest, session: UUID) -> HttpResponse:
    """End one of one's own sessions; 404 for one of somebody else."""
    user = own_account(request)
    if session not in {each.id for each in sessions(user)}:
        raise Http404
    _record(request, user, f"session {session} ended")
    end_session(session)
    return _done(request, "The session is ended.")


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions but this one."""
    user = own_account(request)
    _record(request, user, "all other sessions ended")
    end_all(user, request.session.session_key)
    return _done(request, "All other sessions are ended, those of apps too.")


@sensitive_post_parameters("password", "code", "passkey", "recovery_code")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask for the password or a second factor once more, then go back to ``next``. 401 for a refusal, 429."""
    user = own_account(request)
    if request.method != "POST":
        return _ask(request, user)
    typed = request.POST.get("password", "")[:1024]
    try:
        confirm_again(request, user, typed, ShownForm(request.POST).shown())
    except SignInRefused:
        return _ask(request, user, NOT_CONFIRMED, status=401)
    except TooManyAttempts as error:
        response = _ask(request, user, throttled(error), status=429)
        response["Retry-After"] = str(error.retry_after)
        return response
    return HttpResponseRedirect(next_address(request))


def _ask(request: HttpRequest, user: User, error: str = "", status: int = 200) -> HttpResponse:
    kinds = {factor.kind for factor in factors(user)}
    context = {
        "error": error,
        "next": next_address(request),
        "has_password": user.has_usable_password(),
        "has_app": "app" in kinds,
        "passkey_options": passkeys.assertion(request, user),
    }
    return render(request, "portal/account_confirm.html", context, status=status)


def _too_many(request: HttpRequest, template: str, error: TooManyAttempts) -> HttpResponse:
    response = render(request, template, {"errors": [throttled(error)]}, status=429)
    response["Retry-After"] = str(error.retry_after)
    return response


def _done(request: HttpRequest, what: str) -> HttpResponse:
    messages.success(request, what)
    return HttpResponseRedirect(reverse("account"))


def _record(request: HttpRequest, user: User, what: str) -> None:
    text = f"person {user.external_id}: {what}"
    record([event(request, USER_CHANGED, principal_of(request), outcome_description=text)])
