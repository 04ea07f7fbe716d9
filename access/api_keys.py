"""API keys: secrets for programs that can't sign in, of a person or of a machine such as a modality.

A key has 256 bits and is kept as its hash. It can do what its holder may, or a part of that, and ends with the holder.
"""

import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from django.db import transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed

from access.acting import Acting
from access.held_roles import held, row_of_client, rows_of_people
from access.models import ApiKey, Client, User
from access.people import described
from access.principal import Principal
from access.refusals import SILENT, Allowance, refusals
from access.roles import Permission
from access.token_models import ApiKeyQuery
from access.trail import event
from audit.kinds import REFUSED, USER_CHANGED, Outcome
from audit.record import record

# Keys begin so, and no other token does.
MARK: Final = "lbk_"
DEFAULT_DAYS: Final = 90
MOST_DAYS: Final = 365
MOST_KEYS: Final = 50
READING: Final = (Permission.SEARCH.value, Permission.RETRIEVE.value)
ENDED: Final = "the API key is unknown, expired or revoked"
_NOTED_EVERY: Final = timedelta(minutes=1)


class TooManyKeys(Exception):
    """The holder has ``MOST_KEYS`` open ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A key to be made. ``days`` None is without end, for machines only; ``permissions`` None is all of the holder's;
    ``addresses`` are networks (CIDR) from which alone it works, none for everywhere."""

    name: str
    days: int | None = DEFAULT_DAYS
    permissions: Sequence[str] | None = None
    addresses: Sequence[str] = ()


def make_key(holder: User | Client, wish: Wish, by: Acting) -> tuple[ApiKey, str]:
    """The key and its secret, which is kept nowhere else.

    Raises TooManyKeys; ValueError for a name, a time or an address that can't be.
    """
    person, client = (holder, None) if isinstance(holder, User) else (None, holder)
    if not wish.name.strip() or "\0" in wish.name or len(wish.name) > 200:
        raise ValueError("a key has a name, of 200 characters at the most")
    days = wish.days if wish.days is not None or person is not None else 1
    if days is None or not 1 <= days <= _most_days(holder):
        raise ValueError(f"a key works 1 to {_most_days(holder)} days")
    addresses = [str(ipaddress.ip_network(address, strict=False)) for address in wish.addresses]
    secret = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        # The row of the holder is the lock: many at once must not get more.
        (User if person else Client).objects.select_for_update(no_key=True).get(pk=holder.pk)
        of_holder = keys_of(holder)
        if of_holder.open().count() >= MOST_KEYS:
            raise TooManyKeys
        key = ApiKey.objects.create(
            digest=digest(secret),
            name=wish.name.strip(),
            user=person,
            client=client,
            permissions=None if wish.permissions is None else sorted(wish.permissions),
            addresses=addresses,
            expires_at=None if wish.days is None else timezone.now() + timedelta(days=wish.days),
        )
        life = f"good for {wish.days} days" if wish.days else "without end"
        able = "all that the holder may" if key.permissions is None else ", ".join(key.permissions)
        where = f", from {', '.join(addresses)} only" if addresses else ""
        text = f"API key {key.external_id} of {described(holder)} made, {life}: {able}{where}"
        record([by.event(USER_CHANGED, text)])
    return key, secret


def revoke_key(key: ApiKey, by: Acting) -> bool:
    """End a key, from the next request on; False if it was revoked already."""
    with transaction.atomic():
        if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()):
            return False
        record([by.event(USER_CHANGED, f"API key {key.external_id} of {described(_holder(key))} revoked")])
    return True


def keys_of(holder: User | Client) -> ApiKeyQuery:
    """All keys of a person or a machine, the newest first."""
    found = ApiKey.objects.filter(user=holder) if isinstance(holder, User) else ApiKey.objects.filter(client=holder)
    return found.order_by("-created_at", "-pk")


def by_key(request: HttpRequest, secret: str) -> Principal:
    """The holder of a key. Raises AuthenticationFailed; if the key is one of ours, the trail has the refusal.

    One query, and an UPDATE of the time of its last use once a minute at the most.
    """
    checksum = digest(secret)
    found = (
        ApiKey.objects.open()
        .filter(digest=checksum)
        .select_related("user", "client")
        .annotate(of_person=rows_of_people("user"), of_client=row_of_client("client"))
        .first()
    )
    if found is None:
        _record_ended(request, checksum)
        raise AuthenticationFailed(ENDED)
    principal = _principal(found)
    if found.addresses and not _is_within(getattr(request, "client_address", ""), found.addresses):
        _record_refusal(request, principal, f"API key {found.external_id} came from an address that is not its own")
        raise AuthenticationFailed(ENDED)
    now = timezone.now()
    if found.last_used_at is None or now - found.last_used_at > _NOTED_EVERY:
        ApiKey.objects.filter(pk=found.pk, last_used_at=found.last_used_at).update(last_used_at=now)
    return principal


def digest(secret: str) -> str:
    """What is kept of a key: 256 random bits need no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _principal(key: ApiKey) -> Principal:
    holder = _holder(key)
    is_person = isinstance(holder, User)
    roles = held(getattr(key, "of_person" if is_person else "of_client", ()))
    return Principal(
        "person" if is_person else "client",
        str(holder.external_id),
        holder.username if isinstance(holder, User) else holder.name,
        tuple(role.name for role in roles),
        "api_key",
        key.digest[:32],
        permissions=None if key.permissions is None else tuple(key.permissions),
        held=roles,
    )


def _holder(key: ApiKey) -> User | Client:
    """The one it has (constraint api_key_one_holder)."""
    return key.user if key.user is not None else cast(Client, key.client)


def _most_days(holder: User | Client) -> int:
    return MOST_DAYS if isinstance(holder, User) else 10 * MOST_DAYS


def _is_within(address: str, networks: Sequence[str]) -> bool:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(known in ipaddress.ip_network(network) for network in networks)


def _record_ended(request: HttpRequest, checksum: str) -> None:
    key = ApiKey.objects.select_related("user", "client").filter(digest=checksum).first()
    if key is not None:
        _record_refusal(request, _principal(key), f"API key {key.external_id} has ended, or its holder is switched off")


def _record_refusal(request: HttpRequest, principal: Principal, text: str) -> None:
    allowed = refusals.allows(principal.id)
    if allowed is Allowance.NO:
        return
    fields = {"decision": "deny", "rule": "api_key", "outcome": Outcome.MINOR_FAILURE}
    text = text if allowed is Allowance.YES else f"{text}; {SILENT}"
    record([event(request, REFUSED, principal, outcome_description=text, **fields)])
