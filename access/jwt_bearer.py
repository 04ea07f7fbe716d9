"""Signed tokens of issuers that the settings trust, taken as Bearer tokens (RFC 6750, RFC 9068).

One query, and no network but for keys that are not known yet.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from rest_framework.exceptions import AuthenticationFailed

from access.federation_models import FederatedIdentity
from access.federation_settings import TrustedIssuer
from access.given_roles import hold
from access.held_roles import held, row_of_client, rows_of_people, unlimited
from access.jwt_checks import Expected, Refused, claim, is_name, keys_of, look_into, roles_from, verified
from access.jwt_keys import issuer_keys, published_keys
from access.models import Client
from access.principal import HeldRole, Principal
from access.refused_change import RefusedChange
from access.trail import system_event
from audit.kinds import USER_CHANGED
from audit.record import record

REFUSED = "the token is unknown, expired or revoked"
_TYPES = frozenset({"", "jwt", "at+jwt"})
_log = logging.getLogger(__name__)


def is_jwt(token: str) -> bool:
    """Whether a token looks like a signed JWT; our own have no dots."""
    return token.startswith("eyJ") and token.count(".") == 2


def by_jwt(token: str) -> Principal:
    """The machine or person that a trusted issuer names. Raises AuthenticationFailed, always with the same text."""
    try:
        trusted, claims = _believed(token)
        return _principal(trusted, claims, hashlib.sha256(token.encode()).hexdigest()[:32])
    except Refused as error:
        _log.info("a token of another issuer was refused: %s", error)
        raise AuthenticationFailed(REFUSED) from error


def _believed(token: str) -> tuple[TrustedIssuer, Mapping[str, Any]]:
    _, unchecked = look_into(token)
    trusted = next((each for each in settings.PACS.trusted_issuers if each.issuer == unchecked.get("iss")), None)
    if trusted is None:
        raise Refused("its issuer is not trusted")
    published = published_keys(trusted.jwks_uri) if trusted.jwks_uri else issuer_keys(trusted.issuer)
    claims = verified(
        token, Expected(trusted.issuer, [trusted.audience], trusted.algorithms, _TYPES), keys_of(published)
    )
    if any(claim(claims, name) != value for name, value in trusted.require.items()):
        raise Refused("a claim has not the value that is required")
    return trusted, claims


def _principal(trusted: TrustedIssuer, claims: Mapping[str, Any], token_id: str) -> Principal:
    subject = claim(claims, trusted.subject_claim)
    if not isinstance(subject, str) or not is_name(subject):
        raise Refused("its subject is not a name")
    said = roles_from(claims, trusted.roles_claim, trusted.roles) if trusted.roles else None
    found = _person(trusted, subject) if trusted.kind == "person" else _client(trusted, subject)
    if found is None and trusted.create and said:
        found = _created(trusted, subject, claims, said)
    if found is None:
        raise Refused("nobody is linked to its subject")
    if not found.is_active:
        raise Refused("whoever is linked to its subject is switched off")
    if found.switched_on_at is not None and not _is_younger(claims, found.switched_on_at):
        raise Refused("it was issued before its holder was switched on again")
    roles = found.roles if said is None else _as_said(said, found)
    names = tuple(role.name for role in roles)
    return Principal(trusted.kind, found.id, found.name, names, "jwt", token_id, held=roles)


@dataclass(frozen=True, slots=True)
class _Account:
    """Whoever is linked to a subject, with the roles given here."""

    id: str
    name: str
    roles: tuple[HeldRole, ...]
    is_active: bool = True
    switched_on_at: datetime | None = None


def _client(trusted: TrustedIssuer, subject: str) -> _Account | None:
    rows = FederatedIdentity.objects.filter(issuer=trusted.issuer, subject=subject, user=None)
    return _account(rows, "client", "client__name", row_of_client("client"))


def _person(trusted: TrustedIssuer, subject: str) -> _Account | None:
    rows = FederatedIdentity.objects.filter(issuer=trusted.issuer, subject=subject, client=None)
    return _account(rows, "user", "user__username", rows_of_people("user"))


def _account(rows: QuerySet[FederatedIdentity], kind: str, name: str, roles: ArraySubquery) -> _Account | None:
    state = (f"{kind}__is_active", f"{kind}__switched_on_at")
    row = rows.values_list(f"{kind}__external_id", name, roles, *state).first()
    return _Account(str(row[0]), row[1], held(row[2]), *row[3:]) if row else None


def _is_younger(claims: Mapping[str, Any], moment: datetime) -> bool:
    issued = claims.get("iat")
    return isinstance(issued, int | float) and issued >= moment.timestamp()


def _as_said(names: tuple[str, ...], account: _Account) -> tuple[HeldRole, ...]:
    """The roles that the token says. One that the account has here as well keeps its limit."""
    here = {role.name: role for role in account.roles}
    return tuple(found for name in names for found in ([here[name]] if name in here else unlimited([name])))


def _created(trusted: TrustedIssuer, subject: str, claims: Mapping[str, Any], roles: tuple[str, ...]) -> _Account:
    """A new machine for the subject, with its event; two requests at once make one."""
    wish = claim(claims, trusted.name_claim)
    name = wish if isinstance(wish, str) and is_name(wish) else subject
    try:
        with transaction.atomic():
            client = machine_without_secret(name, roles[0])
            FederatedIdentity.objects.create(issuer=trusted.issuer, subject=subject, client=client)
            text = f"client {client.external_id} created for a subject of {trusted.issuer}"
            record([system_event(USER_CHANGED, text, principal_name="trusted issuer", auth_method="jwt")])
    except (IntegrityError, RefusedChange) as error:
        linked = _client(trusted, subject)
        if linked is None:
            raise Refused("the name of its machine is taken, or its role gone") from error
        return linked
    return _Account(str(client.external_id), client.name, unlimited([client.role]))


def machine_without_secret(name: str, role: str) -> Client:
    """A machine that proves itself otherwise: of its secret there is only the hash of one that nobody was told."""
    with transaction.atomic():
        hold([role])
        client: Client = Client.objects.create(name=name, role=role)
    return client
