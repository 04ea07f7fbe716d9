"""One's own API keys, shown once when they are made, and the apps that act for one; each can be ended."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access import app_sessions, policy
from access.acting import Acting
from access.api_keys import (
    DEFAULT_DAYS,
    MOST_DAYS,
    MOST_KEYS,
    READING,
    TooManyKeys,
    Wish,
    keys_of,
    make_key,
    revoke_key,
)
from access.authentication import principal_of
from access.authorize import able
from access.models import ApiKey
from access.roles import Permission
from access.smart import in_words
from access.step_up import require_recent
from portal.account import own_account
from portal.rows import name_of

TOO_MANY = f"You have {MOST_KEYS} keys. Revoke one that you no longer need, then make another."
LISTED = 100


class KeyForm(forms.Form):
    """What the page asks for; field names are those of the page."""

    name = forms.CharField(max_length=200)
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=DEFAULT_DAYS)
    reach = forms.ChoiceField(choices=[("read", "read only"), ("all", "all")], initial="read")

    def wish(self) -> Wish:
        """The key that a valid form asks for."""
        given = self.cleaned_data
        reading = given["reach"] == "read"
        return Wish(name=given["name"], days=given["days"], permissions=READING if reading else None)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as the list shows it."""

    id: UUID
    name: str
    able: str
    ends: datetime | None
    last_used: datetime | None
    state: str


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """The list of both."""
    user = own_account(request)
    now = timezone.now()
    principal = principal_of(request)
    withheld = policy.withheld(principal, Permission.SEARCH)
    context = {
        "keys": [_row(key, now) for key in keys_of(user)[:LISTED]],
        "apps": [
            {
                "session": session,
                "able": able(principal, session.scope.split()),
                "patient": name_of(session.patient, withheld) or "one patient" if session.patient else "",
            }
            for session in app_sessions.open_sessions(user)[:LISTED]
        ],
    }
    return render(request, "portal/api_keys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_key(request: HttpRequest) -> HttpResponse:
    """The form; a POST makes the key and shows it, this once. It asks for the password if that was long ago."""
    user = own_account(request)
    require_recent(request)
    form = KeyForm(request.POST if request.method == "POST" else None)
    context = {"form": form, "most_days": MOST_DAYS, "error": ""}
    if request.method != "POST":
        return render(request, "portal/api_key_new.html", context)
    if not form.is_valid():
        context["error"] = f"A key has a name, and works 1 to {MOST_DAYS} days."
        return render(request, "portal/api_key_new.html", context, status=400)
    try:
        key, secret = make_key(user, form.wish(), Acting(request, principal_of(request)))
    except TooManyKeys:
        return render(request, "portal/api_key_new.html", context | {"error": TOO_MANY}, status=400)
    return render(request, "portal/api_key_made.html", {"row": _row(key, timezone.now()), "secret": secret}, status=201)


@require_POST
def end_key(request: HttpRequest, key: UUID) -> HttpResponse:
    """Revoke one of one's own keys; 404 for one of somebody else."""
    found = keys_of(own_account(request)).filter(external_id=key).first()
    if found is None:
        raise Http404
    revoke_key(found, Acting(request, principal_of(request)))
    return _done(request, f"The key {found.name} opens nothing any more.")


@require_POST
def end_app(request: HttpRequest, session: UUID) -> HttpResponse:
    """An app may no longer act for one; 404 for one of somebody else."""
    found = app_sessions.open_sessions(own_account(request)).filter(external_id=session).first()
    if found is None:
        raise Http404
    app_sessions.end_one(found, Acting(request, principal_of(request)))
    return _done(request, f"{found.client.name} may no longer act for you.")


def _done(request: HttpRequest, text: str) -> HttpResponse:
    messages.success(request, text)
    return HttpResponseRedirect(reverse("account-keys"))


def _row(key: ApiKey, now: datetime) -> KeyRow:
    ended = key.expires_at is not None and key.expires_at <= now
    return KeyRow(
        id=key.external_id,
        name=key.name,
        able="all that you may" if key.permissions is None else ", ".join(in_words(key.permissions)),
        ends=key.expires_at,
        last_used=key.last_used_at,
        state="revoked" if key.revoked_at else "ended" if ended else "works",
    )
