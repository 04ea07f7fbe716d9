"""Roles: what each may do, as the table has it, and how many have it."""

from dataclasses import dataclass

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from access.models import Client, UserRole
from administration.door import looking, show
from administration.words import RoleChoice, role_choices


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role with how many people and clients have it."""

    choice: RoleChoice
    people: int
    clients: int


@require_safe
def roles_list(request: HttpRequest) -> HttpResponse:
    """The table of roles in words."""
    looking(request)
    return show(request, "roles.html", "roles", {"rows": role_rows()})


def role_rows() -> list[RoleRow]:
    """All roles with their counts."""
    people = dict(UserRole.objects.values_list("role").annotate(Count("pk")))
    clients = dict(Client.objects.values_list("role").annotate(Count("pk")))
    return [RoleRow(each, people.get(each.name, 0), clients.get(each.name, 0)) for each in role_choices()]
