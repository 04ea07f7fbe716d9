"""The roles of people and machines with their limits, brought along by the query that finds the account."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from access.attribute_groups import Group
from access.models import Client, CustomRole, User, UserRole
from access.principal import HeldRole, Limit, LimitKind
from access.roles import ROLES, Permission, Scope

# What a row of a role is made of, as JSON.
Row = Mapping[str, Any]


def rows_of_people(user: str = "pk") -> ArraySubquery:
    """An annotation: the rows of the roles of each person, for ``held``; ``user`` is the way to the person's key."""
    return ArraySubquery(_rows(UserRole.objects.filter(user=OuterRef(user)).order_by("role"), "role"))


def row_of_client(client: str = "pk") -> ArraySubquery:
    """The same of each machine, which has one; ``client`` is the way to the machine's key."""
    return ArraySubquery(_rows(Client.objects.filter(pk=OuterRef(client)).exclude(role=""), "role"))


def held_by(account: User | Client) -> tuple[HeldRole, ...]:
    """The roles of an account that is at hand, in one query."""
    if isinstance(account, User):
        return held(_rows(UserRole.objects.filter(user=account).order_by("role"), "role").values_list("row", flat=True))
    rows = Client.objects.filter(pk=account.pk).exclude(role="")
    return held(_rows(rows, "role").values_list("row", flat=True))


def held(rows: Iterable[Row]) -> tuple[HeldRole, ...]:
    """The roles that ``rows`` stand for; a name that nobody knows has no rights."""
    return tuple(_held(row) for row in rows)


def built_in(names: Iterable[str]) -> tuple[HeldRole, ...]:
    """The built-in roles of these names, without limits."""
    return tuple(HeldRole(role.name, role.rights, None, role.withheld) for name in names if (role := ROLES.get(name)))


def unlimited(names: Iterable[str]) -> tuple[HeldRole, ...]:
    """The roles of these names, of the house's own too, without limits; a query only for those. Unknown ones are
    left out."""
    asked = list(names)
    own = [name for name in asked if name not in ROLES]
    made = {role.name: role for role in CustomRole.objects.filter(name__in=own)} if own else {}
    rows = (
        {"name": name, "kind": "", "values": [], "own": {"rights": custom.rights, "withheld": custom.withheld}}
        for name, custom in made.items()
    )
    found = {role.name: role for role in (*built_in(asked), *held(rows))}
    return tuple(found[name] for name in asked if name in found)


def rights_of(custom: Mapping[str, Any]) -> Mapping[str, Scope]:
    """The rights of a CustomRole as a table; words that are none any more open nothing."""
    scopes = Scope.__members__
    return MappingProxyType(
        {Permission(word): scopes[name] for word, name in custom.items() if word in _WORDS and name in scopes}
    )


_WORDS = frozenset(permission.value for permission in Permission)


def _rows(holders: QuerySet[Any], role: str) -> QuerySet[Any]:
    own = CustomRole.objects.filter(name=OuterRef(role)).values(
        found=JSONObject(rights=F("rights"), withheld=F("withheld"))
    )
    row = JSONObject(name=F(role), kind=F("limit_kind"), values=F("limit_values"), own=Subquery(own))
    return holders.values(row=row)


def _held(row: Row) -> HeldRole:
    limit = Limit(LimitKind(row["kind"]), tuple(row["values"])) if row["kind"] else None
    role = ROLES.get(row["name"])
    if role is not None:
        return HeldRole(role.name, role.rights, limit, role.withheld)
    own = row["own"]
    if own is None:
        return HeldRole(row["name"], MappingProxyType({}), limit)
    # A word that is no group any more withholds everything: rather too little than too much is shown.
    known = all(word in Group.__members__.values() for word in own["withheld"])
    withheld = frozenset(Group(word) for word in own["withheld"]) if known else frozenset(Group)
    return HeldRole(row["name"], rights_of(own["rights"]), limit, withheld)
