"""Plain words for what the tables of ``access`` hold: roles, their rights and limits, and the rights of grants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from access.attribute_groups import TITLES as GROUP_WORDS
from access.held_roles import rights_of
from access.models import CustomRole
from access.principal import LimitKind
from access.rights import Right
from access.roles import ROLES, Permission, Scope
from access.smart import IN_WORDS

# These reach no studies.
OF_ACCOUNTS: Final = frozenset(
    {Permission.AUDIT_READ, Permission.MANAGE, Permission.MESSAGES, Permission.INTERFACES, Permission.HOLD}
)
SCOPE_WORDS: Final[Mapping[Scope, str]] = {
    Scope.ALL: "Everywhere",
    Scope.LIMITED: "Within the limit given with the role, and what was granted",
    Scope.REFERRED: "Own patients, and what was granted",
    Scope.GRANTED: "Only what was granted",
}
LIMIT_WORDS: Final[Mapping[str, str]] = {
    LimitKind.SITE: "hospital or site",
    LimitKind.ISSUER: "issuer of patient IDs",
    LimitKind.DEPARTMENT: "department or ward",
}
RIGHT_WORDS: Final[Mapping[str, str]] = {
    Right.VIEW: "look at the images",
    Right.DOWNLOAD: "download",
    Right.ANNOTATE: "save measurements and reports",
    Right.UPLOAD: "store images of any kind",
    Right.RESHARE: "make share links",
}


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """A role as a line of a form. ``may`` has, for each scope in words, the rights in words; ``own`` if the house made
    it; ``limitable`` if it reaches studies that a limit can narrow; ``withheld`` is what it isn't shown."""

    name: str
    title: str
    may: tuple[tuple[str, tuple[str, ...]], ...]
    own: bool = False
    limitable: bool = False
    withheld: tuple[str, ...] = ()


def role_choices() -> list[RoleChoice]:
    """All roles: those of the table in its order, then those of the house's own by title."""
    found = [_choice(role.name, role.title, role.rights, role.withheld) for role in ROLES.values()]
    own = CustomRole.objects.order_by("title")
    return found + [_choice(role.name, role.title, rights_of(role.rights), role.withheld, own=True) for role in own]


def titles(told: Iterable[str]) -> list[str]:
    """The titles of roles by their names, with what stands behind a name; one that nobody knows stands as it is."""
    known = {name: role.title for name, role in ROLES.items()}
    known |= dict(CustomRole.objects.values_list("name", "title"))
    found = []
    for text in told:
        name, space, limit = text.partition(" ")
        found.append(f"{known.get(name, name)}{space}{limit}")
    return found


def _choice(
    name: str, title: str, rights: Mapping[str, Scope], withheld: Iterable[str], *, own: bool = False
) -> RoleChoice:
    narrow = any(scope >= Scope.LIMITED for right, scope in rights.items() if right not in OF_ACCOUNTS)
    hidden = tuple(words for group, words in GROUP_WORDS.items() if group in withheld)
    return RoleChoice(name, title, _may(rights), own, narrow, hidden)


def _may(rights: Mapping[str, Scope]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    by_scope: dict[Scope, list[str]] = {}
    for name, scope in rights.items():
        by_scope.setdefault(scope, []).append(IN_WORDS[name])
    return tuple((SCOPE_WORDS[scope], tuple(by_scope[scope])) for scope in SCOPE_WORDS if scope in by_scope)
