"""Somebody must always be there who may manage the house."""

from collections.abc import Collection
from typing import Final

from django.db import connection

from access.held_roles import rights_of
from access.models import CustomRole, User
from access.refused_change import RefusedChange
from access.roles import ROLES, Permission

LAST: Final = "this is the last person who may manage: give somebody else the right first"
_LOCK: Final = 0x11684B0E


def managing_roles() -> frozenset[str]:
    """The names of roles that have the right to manage."""
    built_in = {name for name, role in ROLES.items() if Permission.MANAGE in role.rights}
    own = {role.name for role in CustomRole.objects.all() if Permission.MANAGE in rights_of(role.rights)}
    return frozenset(built_in | own)


def managers() -> set[int]:
    """The keys of the people who may manage and are switched on."""
    found = User.objects.filter(is_active=True, roles__role__in=managing_roles())
    return set(found.values_list("pk", flat=True))


def keep_a_manager(user: User, roles: Collection[str]) -> None:
    """Raises RefusedChange if with these ``roles`` for ``user``, none for one who goes, nobody is left who manages.

    In a transaction: two who are about to remove each other wait for one another.
    """
    in_turn()
    if managing_roles().isdisjoint(roles) and managers() == {user.pk}:
        raise RefusedChange(LAST)


def in_turn() -> None:
    """Wait for whoever else is about to change who may manage. In a transaction, at whose end the next one goes on."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
