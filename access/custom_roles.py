"""Roles of a house's own: permissions combined, each with a scope; each change with its event.

Whoever manages may give every role, and so may make one of any permissions; nobody else makes roles, and nobody changes
one that they have.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from access import policy
from access.acting import COMMAND_LINE, Acting
from access.attribute_groups import Group
from access.managers import LAST, in_turn, managers
from access.models import Client, CustomRole, UserRole
from access.refused_change import NameTaken, RefusedChange
from access.roles import ROLES, Permission, Scope
from audit.kinds import ROLES_CHANGED
from audit.record import record

MOST_TITLE: Final = 60
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,39}")
_LOCAL: Final = frozenset(
    {Permission.MANAGE, Permission.AUDIT_READ, Permission.MESSAGES, Permission.INTERFACES, Permission.HOLD}
)


def create_role(
    name: str,
    title: str,
    rights: Mapping[Permission, Scope],
    *,
    withheld: Collection[Group] = (),
    by: Acting = COMMAND_LINE,
) -> CustomRole:
    """A new role. Raises NameTaken, RefusedChange for what can't be a role, or not made by whoever acts."""
    _check(by, title, rights, withheld)
    if not _NAME.fullmatch(name):
        raise RefusedChange("a role's name has 2 to 40 small letters, digits and underscores, and begins with a letter")
    if name in ROLES:
        raise NameTaken("a built-in role has this name")
    with transaction.atomic():
        role, is_new = CustomRole.objects.get_or_create(
            name=name,
            defaults={
                "title": title.strip(),
                "rights": _words(rights),
                "withheld": _groups(withheld),
                "made_by": by.user,
            },
        )
        if not is_new:
            raise NameTaken("a role has this name")
        record([by.event(ROLES_CHANGED, f"role {name} made: {_told(role)}")])
    return role


def change_role(
    role: CustomRole,
    title: str,
    rights: Mapping[Permission, Scope],
    *,
    withheld: Collection[Group] = (),
    by: Acting = COMMAND_LINE,
) -> bool:
    """Change what a role may do, for all who have it, from the next request on; False if nothing is new.

    Raises RefusedChange, also for a role that whoever acts has: nobody widens their own.
    """
    _check(by, title, rights, withheld)
    with transaction.atomic():
        in_turn()
        row = _locked(role)
        if _has(by, row):
            raise RefusedChange("nobody changes a role they have: ask another administrator")
        before, title_before, managed = _told(row), row.title, Permission.MANAGE.value in row.rights
        row.title, row.rights, row.withheld = title.strip(), _words(rights), _groups(withheld)
        if (before, title_before) == (_told(row), row.title):
            return False
        row.changed_at = Now()
        row.save()
        if managed and not managers():
            raise RefusedChange(LAST)
        record([by.event(ROLES_CHANGED, f"role {row.name} changed: {_told(row)}; before: {before}")])
    return True


def delete_role(role: CustomRole, *, by: Acting = COMMAND_LINE) -> None:
    """Take a role out of the house. Raises RefusedChange as long as anybody has it, or for lack of the right.

    Whoever is just giving it (``access.given_roles``) is waited for, and counts.
    """
    _check_maker(by)
    with transaction.atomic():
        row = _locked(role)
        if count := holders(row.name):
            raise RefusedChange(f"{count} people and clients have this role: give them another first")
        row.delete()
        record([by.event(ROLES_CHANGED, f"role {role.name} deleted")])


def holders(name: str) -> int:
    """How many people and clients have the role of this name, switched off or not."""
    return UserRole.objects.filter(role=name).count() + Client.objects.filter(role=name).count()


def _locked(role: CustomRole) -> CustomRole:
    row = CustomRole.objects.select_for_update().filter(pk=role.pk).first()
    if row is None:
        raise RefusedChange("somebody has deleted this role")
    return row


def is_role(name: str) -> bool:
    """Whether there is a role of this name, built in or the house's own."""
    return name in ROLES or CustomRole.objects.filter(name=name).exists()


def _check(by: Acting, title: str, rights: Mapping[Permission, Scope], withheld: Collection[Group]) -> None:
    _check_maker(by)
    if not 1 <= len(title.strip()) <= MOST_TITLE:
        raise RefusedChange(f"a role's title has 1 to {MOST_TITLE} characters")
    if not any(reach is not Scope.NONE for reach in rights.values()):
        raise RefusedChange("a role has one right at least")
    for right in _LOCAL & rights.keys():
        if rights[right] not in (Scope.NONE, Scope.ALL):
            raise RefusedChange(f"the right to {right.value.replace('_', ' ')} is about no studies: all, or none")
    for right, broader in ((Permission.OBJECTS, Permission.RETRIEVE), (Permission.RETRIEVE, Permission.SEARCH)):
        if rights.get(right, Scope.NONE) > rights.get(broader, Scope.NONE):
            raise RefusedChange(f"the right to {right.value} reaches no further than that to {broader.value}")
    if withheld and rights.get(Permission.OBJECTS, Scope.NONE) is not Scope.NONE:
        raise RefusedChange("of whole objects nothing can be withheld: give one or the other")


def _check_maker(by: Acting) -> None:
    if by.principal is not None and not policy.may(by.principal, Permission.MANAGE):
        raise RefusedChange("only whoever may manage makes roles")


def _has(by: Acting, role: CustomRole) -> bool:
    return by.principal is not None and role.name in by.principal.roles


def _words(rights: Mapping[Permission, Scope]) -> dict[str, str]:
    return {Permission(right).value: reach.name for right, reach in rights.items() if reach is not Scope.NONE}


def _groups(withheld: Collection[Group]) -> list[str]:
    return sorted({Group(group).value for group in withheld})


def _told(role: CustomRole) -> str:
    rights = ", ".join(f"{right} {reach.lower()}" for right, reach in sorted(role.rights.items()))
    return f"{rights}; withheld: {', '.join(role.withheld)}" if role.withheld else rights
