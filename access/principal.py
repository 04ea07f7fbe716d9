"""Who asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from access.attribute_groups import Group
from access.roles import Scope


class LimitKind(StrEnum):
    """What a limit given with a role goes by: Institution Name (0008,0080), Issuer of Patient ID (0010,0021) or
    Institutional Department Name (0008,1040)."""

    SITE = "site"
    ISSUER = "issuer"
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Limit:
    """The studies to which a role is limited: those whose attribute is one of ``values``, letter for letter."""

    kind: LimitKind
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as somebody has it: its rights, the limit given with it, and which attributes it is not shown."""

    name: str
    rights: Mapping[str, Scope]
    limit: Limit | None = None
    withheld: frozenset[Group] = frozenset()


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, a machine or the holder of a share link whose identity was proved for this request.

    ``id`` is the immutable external UUID of the User, Client or ShareLink; ``token_id`` a digest of the session or
    token, fit for the trail. People and machines have ``roles``, links have the ``rights`` of their grants.
    ``permissions`` are those that the token is limited to, None for all that the roles have; ``patient`` is the key of
    the only patient that the token reaches, None for no such limit. ``held`` are the roles with their limits
    (``access.held_roles``); None are the built-in ones of the names in ``roles``, without limits. ``emergencies`` are
    the keys of the person's emergency accesses that are running. ``maker`` is the person who made a link, with what
    they may now; None for a link of the command line.
    """

    kind: Literal["person", "client", "link"]
    id: str
    name: str
    roles: tuple[str, ...]
    auth_method: Literal["session", "oauth2", "link", "api_key", "jwt"]
    token_id: str
    rights: tuple[str, ...] = ()
    permissions: tuple[str, ...] | None = None
    patient: int | None = None
    held: tuple[HeldRole, ...] | None = None
    emergencies: tuple[int, ...] = ()
    maker: "Principal | None" = None
