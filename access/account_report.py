"""Every person and machine with what they may, who gave it, and when they last used it: 45 CFR 164.308(a)(4)(ii)(C)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from access.managers import managing_roles
from access.models import Client, Grant, User, UserRole
from access.second_factor_models import SecondFactor
from access.token_models import ApiKey
from audit.models import AccessEvent

Kind = Literal["person", "client"]
# What somebody else may cause under a name that they don't have the password of.
_NOT_ONES_OWN: Final = ("sign_in_failed",)


@dataclass(frozen=True, slots=True)
class RoleGiven:
    """A role of an account; ``given_by`` "" if no person gave it: by command, by a sign-in server, for a machine."""

    name: str
    given_by: str
    given_at: datetime | None


@dataclass(frozen=True, slots=True)
class Account:
    """What a reviewer needs to know of one account.

    ``last_used`` is the last event of its own in the trail, failed sign-ins apart, None if there is none.
    ``second_factor`` is None for machines, which have no person to ask.
    """

    kind: Kind
    id: UUID
    name: str
    full_name: str
    is_active: bool
    manages: bool
    roles: tuple[RoleGiven, ...]
    made_at: datetime
    last_used: datetime | None
    grants: int
    keys: int
    second_factor: bool | None
    dormant: bool


def accounts(pks: dict[Kind, Iterable[int]] | None = None) -> list[Account]:
    """All accounts, or those of these keys, people first, by name. Some queries, whatever their number."""
    people = _people() if pks is None else _people().filter(pk__in=pks.get("person", ()))
    machines = _machines() if pks is None else _machines().filter(pk__in=pks.get("client", ()))
    oldest = timezone.now() - timedelta(days=settings.PACS.dormant_days)
    managing = managing_roles()
    return [
        *(_of_person(user, oldest, managing) for user in people),
        *(_of_machine(client, oldest, managing) for client in machines),
    ]


def dormant() -> list[Account]:
    """Those that could be used and have not been for ``PACS.dormant_days``, or never since they were made that long
    ago.
    """
    return [account for account in accounts() if account.dormant]


def _people() -> QuerySet[User]:
    found: QuerySet[User] = _annotated(User.objects.all(), "user").annotate(
        has_factor=Exists(SecondFactor.objects.filter(user=OuterRef("pk")))
    )
    return found.prefetch_related("roles__given_by").order_by("username")


def _machines() -> QuerySet[Client]:
    found: QuerySet[Client] = _annotated(Client.objects.all(), "client")
    return found.order_by("name")


def _annotated(found: QuerySet[Any], holder: str) -> QuerySet[Any]:
    own = AccessEvent.objects.filter(principal_id=Cast(OuterRef("external_id"), TextField()))
    newest = own.exclude(kind__in=_NOT_ONES_OWN).order_by("-sequence").values("recorded_at")[:1]
    annotated: QuerySet[Any] = found.annotate(
        used_at=Subquery(newest),
        grant_count=_count(Grant.objects.active().filter(emergency__isnull=True, **{holder: OuterRef("pk")}), holder),
        key_count=_count(ApiKey.objects.open().filter(**{holder: OuterRef("pk")}), holder),
    )
    return annotated


def _count(rows: QuerySet[Any], holder: str) -> Subquery:
    return Subquery(rows.order_by().values(holder).annotate(count=Count("pk")).values("count"))


def _of_person(user: Any, oldest: datetime, managing: frozenset[str]) -> Account:
    given: list[UserRole] = sorted(user.roles.all(), key=lambda row: row.role)
    roles = tuple(RoleGiven(row.role, row.given_by.username if row.given_by else "", row.given_at) for row in given)
    used = max((moment for moment in (user.used_at, user.last_login) if moment), default=None)
    return Account(
        kind="person",
        id=user.external_id,
        name=user.username,
        full_name=user.get_full_name(),
        is_active=user.is_active,
        manages=any(role.name in managing for role in roles),
        roles=roles,
        made_at=user.date_joined,
        last_used=used,
        grants=user.grant_count or 0,
        keys=user.key_count or 0,
        second_factor=user.has_factor,
        dormant=user.is_active and (used or user.date_joined) < oldest,
    )


def _of_machine(client: Any, oldest: datetime, managing: frozenset[str]) -> Account:
    return Account(
        kind="client",
        id=client.external_id,
        name=client.name,
        full_name="",
        is_active=client.is_active,
        manages=client.role in managing,
        roles=(RoleGiven(client.role, "", client.created),) if client.role else (),
        made_at=client.created,
        last_used=client.used_at,
        grants=client.grant_count or 0,
        keys=client.key_count or 0,
        second_factor=None,
        dormant=client.is_active and (client.used_at or client.created) < oldest,
    )
