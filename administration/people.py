"""People: the list of all, and the form for a new one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from access.account_report import dormant
from access.managers import managing_roles
from access.models import User
from access.people import create_user
from access.refused_change import RefusedChange
from access.step_up import require_recent
from administration.door import looking, managing, show
from administration.role_fields import WithRoles
from administration.sentences import sentence
from administration.words import role_choices, titles

WRONG_NAME: Final = "Letters, digits and @ . + - _ only, without spaces."
PAGE_SIZE: Final = 50
SHOWN: Final = (
    ("", "Everybody"),
    ("active", "Switched on"),
    ("off", "Switched off"),
    ("managers", "Who may manage"),
    ("unproved", "Without a second factor"),
    ("dormant", "Not seen for long"),
)


class NewPerson(WithRoles):
    """What the form for a new person asks for. Field names are those of the page and of the API."""

    username = forms.CharField(
        label="Name to sign in with", max_length=150, validators=[UnicodeUsernameValidator(message=WRONG_NAME)]
    )
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(required=False)
    reason = forms.CharField(max_length=300, required=False)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as the list shows them."""

    id: UUID
    username: str
    name: str
    roles: list[str]
    is_active: bool
    last_seen: datetime | None
    second_factor: bool


def people(shown: str = "", role: str = "", words: str = "") -> QuerySet[User]:
    """People by name: those of a kind of ``SHOWN``, with a role, whose names have all ``words`` in them."""
    found = User.objects.prefetch_related("roles", "second_factors").order_by("username")
    match shown:
        case "active":
            found = found.filter(is_active=True)
        case "off":
            found = found.filter(is_active=False)
        case "managers":
            found = found.filter(is_active=True, roles__role__in=managing_roles()).distinct()
        case "unproved":
            found = found.filter(is_active=True, second_factors__isnull=True)
        case "dormant":
            found = found.filter(external_id__in=[each.id for each in dormant() if each.kind == "person"])
    if role:
        found = found.filter(roles__role=role)
    for word in words.split()[:5]:
        found = found.filter(Q(username__icontains=word) | Q(first_name__icontains=word) | Q(last_name__icontains=word))
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def people_list(request: HttpRequest) -> HttpResponse:
    """The list. Names are searched for by POST, so that they stand in no address: patients are people, too."""
    looking(request)
    asked = request.POST if request.method == "POST" else request.GET
    shown, role, words = (asked.get(name, "").replace("\0", "")[:150] for name in ("show", "role", "words"))
    start = (page_number(asked.get("page", "1")) - 1) * PAGE_SIZE
    found = list(people(shown, role, words)[start : start + PAGE_SIZE + 1])
    context = {
        "rows": [row(user) for user in found[:PAGE_SIZE]],
        "number": start // PAGE_SIZE + 1,
        "more": len(found) > PAGE_SIZE,
        "shown": shown,
        "kinds": SHOWN,
        "role": role,
        "role_choices": role_choices(),
        "words": words,
        "asked": bool(shown or role or words),
    }
    what = " ".join(part for part in ("people", shown, role, f"named {words}" if words else "") if part)
    return show(request, "people.html", what, context)


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_variables("password")
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new person; a POST makes them and shows the password, this once."""
    by = managing(request)
    require_recent(request)
    form = NewPerson(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            user, password = create_user(
                given["username"],
                given["roles"],
                given_name=given["first_name"],
                family_name=given["last_name"],
                email=given["email"],
                reason=given["reason"],
                limits=form.limits,
                by=by,
            )
        except RefusedChange as error:
            form.add_error("username", sentence(str(error)))
        else:
            return shown_once(request, user, password, title="New person")
    context = {"form": form, "lines": form.lines()}
    status = 400 if form.is_bound else 200
    return show(request, "person_new.html", "the form for a new person", context, status=status)


def shown_once(request: HttpRequest, user: User, password: str, *, title: str) -> HttpResponse:
    """The page with a password that is kept nowhere else. What it shows was just made and has its event."""
    context = {"title": title, "user": user, "password": password}
    return show(request, "password_once.html", "a new password", context, status=201)


def row(user: User) -> PersonRow:
    """A person, with roles, as a line of the list."""
    return PersonRow(
        id=user.external_id,
        username=user.username,
        name=user.get_full_name(),
        roles=titles(sorted(role.role for role in user.roles.all())),
        is_active=user.is_active,
        last_seen=user.last_login,
        second_factor=bool(user.second_factors.all()),
    )


def page_number(text: str) -> int:
    """The page that was asked for, from 1; anything else is the first."""
    return min(max(int(text), 1), 1_000) if text.isascii() and text.isdigit() and len(text) < 5 else 1
