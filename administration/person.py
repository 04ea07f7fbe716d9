"""One person: what they may do and why, how they sign in, and what can be changed about it."""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from access.acting import Acting
from access.api_keys import keys_of, revoke_key
from access.granting import of_accounts
from access.held_roles import held_by
from access.models import User
from access.people import change_person, reset_password, set_roles, told
from access.physician_names import names_of, set_physician_names
from access.refused_change import RefusedChange
from access.roles import Scope
from access.second_factor import factors
from access.second_factor import reset as reset_second_factor
from access.sessions_of import sessions
from access.step_up import require_recent
from access.switching import set_active
from access.termination import terminate
from administration.door import looking, managing, show
from administration.grant_rows import grant_rows, uids
from administration.people import shown_once
from administration.role_fields import WithRoles, lines_of
from administration.sentences import sentence
from administration.words import titles

HISTORY: Final = 50
OWN_FACTORS: Final = "your own second factors are changed on the page of your own account"


class Roles(WithRoles):
    """The roles that somebody has from now on, and why."""

    reason = forms.CharField(max_length=300)


class Details(forms.Form):
    """What a person is called and where mail reaches them."""

    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(required=False)


class PhysicianNames(forms.Form):
    """The names under which a person refers patients, one a line."""

    names = forms.CharField(max_length=5_000, required=False, strip=True)


class Reason(forms.Form):
    """Why something is done."""

    reason = forms.CharField(max_length=300)


@require_safe
def page(request: HttpRequest, person: UUID) -> HttpResponse:
    """Everything about a person that somebody who manages may know."""
    looking(request)
    return shown(request, find(person))


def find(person: UUID) -> User:
    """The person of this id. Raises Http404."""
    user = User.objects.prefetch_related("roles").filter(external_id=person).first()
    if user is None:
        raise Http404
    return user


def shown(request: HttpRequest, user: User, status: int = 200, **forms_with_errors: forms.Form) -> HttpResponse:
    """The page of ``user``; with the forms that were filled in wrongly, as they were."""
    roles = forms_with_errors.get("roles_form")
    details = forms_with_errors.get("details_form") or Details(
        initial={name: getattr(user, name) for name in Details.base_fields}
    )
    rows = grant_rows(request, of_accounts().filter(user=user))
    names = "\n".join(names_of(user))
    context = {
        "user": user,
        "own": request.user == user,
        "role_titles": titles(sorted(told(role) for role in user.roles.all())),
        "lines": roles.lines() if isinstance(roles, Roles) else lines_of(user),
        "roles_form": roles,
        "details_form": details,
        "sessions": sessions(user),
        "factors": factors(user),
        "keys": keys_of(user).open(),
        "physician_names": names,
        "refers": bool(names) or _refers(user) or "names_form" in forms_with_errors,
        "grants": rows,
        "history": [_change(change) for change in user.role_changes.order_by("-at", "-pk")[:HISTORY]],
        **forms_with_errors,
    }
    return show(
        request, "person.html", f"the page of person {user.external_id}", context, status=status, study_uids=uids(rows)
    )


@require_POST
def roles(request: HttpRequest, person: UUID) -> HttpResponse:
    """Other roles, with the reason why."""
    by = managing(request)
    require_recent(request)
    user, form = find(person), Roles(request.POST)
    if not form.is_valid():
        return shown(request, user, 400, roles_form=form)
    given = form.cleaned_data

    def change() -> str:
        done = set_roles(user, given["roles"], limits=form.limits, reason=given["reason"], by=by)
        return "The new roles count from now on." if done else "These are the roles as before: nothing was changed."

    return answered(request, user, change)


@require_POST
def physician(request: HttpRequest, person: UUID) -> HttpResponse:
    """The names under which a person refers patients, whose studies are then theirs to see."""
    by = managing(request)
    require_recent(request)
    user, form = find(person), PhysicianNames(request.POST)
    if not form.is_valid():
        return shown(request, user, 400, names_form=form)
    names = form.cleaned_data["names"].splitlines()

    def change() -> str:
        return "Saved. It counts from now on." if set_physician_names(user, names, by=by) else "Nothing was changed."

    return answered(request, user, change)


@require_POST
def details(request: HttpRequest, person: UUID) -> HttpResponse:
    """Another name or mail address."""
    by = managing(request)
    user, form = find(person), Details(request.POST)
    if not form.is_valid():
        return shown(request, user, 400, details_form=form)

    def change() -> str:
        return "Saved." if change_person(user, form.cleaned_data, by=by) else "Nothing was changed."

    return answered(request, user, change)


@require_POST
def password(request: HttpRequest, person: UUID) -> HttpResponse:
    """A new password, shown this once; all sessions of the person end."""
    by = managing(request)
    require_recent(request)
    user = find(person)
    try:
        made = reset_password(user, by=by)
    except RefusedChange as error:
        return refused(request, user, error)
    return shown_once(request, user, made, title="New password")


@require_POST
def second_factor(request: HttpRequest, person: UUID) -> HttpResponse:
    """Take the second factors away from somebody who lost theirs; all sessions of the person end."""
    by = managing(request)
    require_recent(request)
    user = find(person)

    def change() -> str:
        if by.is_account(user.external_id):
            raise RefusedChange(OWN_FACTORS)
        count = reset_second_factor(user, by=by)
        return f"{count} second factors were taken away. The person signs in with the password alone."

    return answered(request, user, change)


@require_POST
def switch_off(request: HttpRequest, person: UUID) -> HttpResponse:
    """Switch the account off, from the next request on."""
    by = managing(request)
    require_recent(request)
    user, form = find(person), Reason(request.POST)
    if not form.is_valid():
        return shown(request, user, 400, off_form=form)
    return answered(request, user, lambda: _switched(user, False, form.cleaned_data["reason"], by))


@require_POST
def switch_on(request: HttpRequest, person: UUID) -> HttpResponse:
    """Switch the account on again."""
    by = managing(request)
    require_recent(request)
    user = find(person)
    return answered(request, user, lambda: _switched(user, True, "", by))


@require_POST
def leave(request: HttpRequest, person: UUID) -> HttpResponse:
    """End everything that the person has: what ends here doesn't come back if the account is switched on again."""
    by = managing(request)
    require_recent(request)
    user, form = find(person), Reason(request.POST)
    if not form.is_valid():
        return shown(request, user, 400, leave_form=form)
    return answered(request, user, lambda: f"Ended: {terminate(user, form.cleaned_data['reason'], by=by)}.")


@require_POST
def revoke(request: HttpRequest, person: UUID, key: UUID) -> HttpResponse:
    """Revoke an API key of the person."""
    by = managing(request)
    user = find(person)
    found = keys_of(user).filter(external_id=key).first()
    if found is None:
        raise Http404
    return answered(request, user, lambda: "The key is revoked." if revoke_key(found, by) else "It was revoked before.")


def answered(request: HttpRequest, user: User, change: Callable[[], str]) -> HttpResponse:
    """Make the change and go back to the page, which says what was done or why it was refused."""
    try:
        messages.success(request, change())
    except RefusedChange as error:
        return refused(request, user, error)
    return HttpResponseRedirect(reverse("administration-person", args=[user.external_id]))


def refused(request: HttpRequest, user: User, error: RefusedChange) -> HttpResponse:
    """Back to the page, which says why."""
    messages.error(request, sentence(str(error)))
    return HttpResponseRedirect(reverse("administration-person", args=[user.external_id]))


def _refers(user: User) -> bool:
    """Whether one of the roles reaches what its person referred."""
    return any(Scope.REFERRED in role.rights.values() for role in held_by(user))


def _switched(user: User, active: bool, reason: str, by: Acting) -> str:
    set_active(user, active=active, reason=reason, by=by)
    return "The account is switched on." if active else "The account is switched off, from now on."


def _change(change: Any) -> dict[str, Any]:
    before, after = set(change.before), set(change.after)
    return {
        "at": change.at,
        "by": change.by_name,
        "reason": change.reason,
        "given": titles(sorted(after - before)),
        "taken": titles(sorted(before - after)),
    }
