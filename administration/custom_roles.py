"""Roles of the house's own: the form that combines rights, for a new role or one that is there, and its end."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from access.attribute_groups import TITLES as GROUP_WORDS
from access.attribute_groups import Group
from access.custom_roles import MOST_TITLE, change_role, create_role, delete_role, holders
from access.held_roles import rights_of
from access.models import CustomRole
from access.refused_change import RefusedChange
from access.roles import Permission, Scope
from access.smart import IN_WORDS
from access.step_up import require_recent
from administration.door import looking, managing, show
from administration.sentences import sentence
from administration.words import OF_ACCOUNTS, SCOPE_WORDS

REACH: Final = [("", "No"), *((scope.name, words) for scope, words in SCOPE_WORDS.items())]
EVERYWHERE: Final = [("", "No"), (Scope.ALL.name, "Yes")]


def reaches(right: str) -> list[tuple[str, str]]:
    """How far a right may reach, as choices of a form."""
    return EVERYWHERE if right in OF_ACCOUNTS else REACH


class CustomRoleForm(forms.Form):
    """What the form asks for: a title, how far each right reaches, and what is withheld."""

    title = forms.CharField(max_length=MOST_TITLE)
    withheld = forms.MultipleChoiceField(choices=[(group.value, GROUP_WORDS[group]) for group in Group], required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for right in Permission:
            self.fields[right.value] = forms.ChoiceField(choices=reaches(right), required=False, label=IN_WORDS[right])

    def rights(self) -> dict[Permission, Scope]:
        """The rights of a valid form."""
        given = self.cleaned_data
        return {right: Scope[given[right.value]] for right in Permission if given[right.value]}

    def groups(self) -> list[Group]:
        """What a valid form withholds."""
        return [Group(name) for name in self.cleaned_data["withheld"]]

    def lines(self) -> list[tuple[str, str, list[tuple[str, str]], str]]:
        """Of each right its name, its words, how far it may reach, and what is chosen."""
        return [
            (right.value, IN_WORDS[right], reaches(right), str(self[right.value].value() or "")) for right in Permission
        ]


class NewRoleForm(CustomRoleForm):
    """The same with the name, which stays."""

    name = forms.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]+$", "Small letters, digits and underscores, a letter first.")],
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new role; a POST makes it."""
    by = managing(request)
    require_recent(request)
    form = NewRoleForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            role = create_role(
                form.cleaned_data["name"], form.cleaned_data["title"], form.rights(), withheld=form.groups(), by=by
            )
        except RefusedChange as error:
            form.add_error(None, sentence(str(error)))
        else:
            messages.success(request, f"The role {role.title} can be given now.")
            return HttpResponseRedirect(reverse("administration-roles"))
    return _form(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, role: str) -> HttpResponse:
    """What a role of the house's own may do; a POST changes it for all who have it."""
    looking(request)
    found = find(role)
    if request.method != "POST":
        return _form(request, CustomRoleForm(initial=_initial(found)), found)
    by = managing(request)
    require_recent(request)
    form = CustomRoleForm(request.POST)
    if form.is_valid():
        try:
            done = change_role(found, form.cleaned_data["title"], form.rights(), withheld=form.groups(), by=by)
        except RefusedChange as error:
            form.add_error(None, sentence(str(error)))
        else:
            messages.success(request, "The role is changed, from now on." if done else "Nothing was changed.")
            return HttpResponseRedirect(reverse("administration-roles"))
    return _form(request, form, found)


@require_POST
def delete(request: HttpRequest, role: str) -> HttpResponse:
    """Take a role out of the house that nobody has."""
    by = managing(request)
    require_recent(request)
    found = find(role)
    try:
        delete_role(found, by=by)
    except RefusedChange as error:
        messages.error(request, sentence(str(error)))
        return HttpResponseRedirect(reverse("administration-role", args=[found.name]))
    messages.success(request, f"The role {found.title} is gone.")
    return HttpResponseRedirect(reverse("administration-roles"))


def find(name: str) -> CustomRole:
    """The role of this name that the house made itself. Raises Http404."""
    found = CustomRole.objects.filter(name=name.replace("\0", "")).first()
    if found is None:
        raise Http404
    return found


def _initial(role: CustomRole) -> Mapping[str, Any]:
    rights = {Permission(right).value: scope.name for right, scope in rights_of(role.rights).items()}
    return {"title": role.title, "withheld": role.withheld, **rights}


def _form(request: HttpRequest, form: CustomRoleForm, role: CustomRole | None) -> HttpResponse:
    context = {
        "form": form,
        "role": role,
        "lines": form.lines(),
        "groups": list(GROUP_WORDS.items()),
        "withheld": form["withheld"].value() or [],
        "holders": holders(role.name) if role else 0,
    }
    what = f"the role {role.name}" if role else "the form for a new role"
    return show(request, "role.html", what, context, status=400 if form.is_bound else 200)
