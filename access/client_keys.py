"""The public keys of machines: giving them, and finding the one that signed."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from access.acting import COMMAND_LINE, Acting
from access.federation_models import ClientKeys
from access.federation_settings import is_safe
from access.jwt_checks import FindKey, Refused, keys_of
from access.jwt_keys import KeySet, published_keys
from access.models import Client
from access.remembered import BadAnswer
from audit.kinds import USER_CHANGED
from audit.record import record

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})


class BadKeys(Exception):
    """These are no keys for a client; the message says why."""


def give_keys(client: Client, *, jwks: Any = None, jwks_uri: str = "", by: Acting = COMMAND_LINE) -> None:
    """Let the client sign with the keys of a JWK Set, or with those at an address. Replaces what it had.

    Raises BadKeys. The keys at the address are not looked at yet.
    """
    if (jwks is None) == (not jwks_uri):
        raise BadKeys("give either a set of keys or an address")
    if jwks is not None:
        _check(jwks)
    elif not is_allowed(jwks_uri):
        raise BadKeys("the address of keys must be https://")
    with transaction.atomic():
        ClientKeys.objects.update_or_create(client=client, defaults={"jwks": jwks, "jwks_uri": jwks_uri})
        where = "at an address" if jwks_uri else "in a set"
        record([by.event(USER_CHANGED, f"client {client.external_id} given keys {where}")])


def find_key_of(keys: ClientKeys) -> FindKey:
    """The way to find a key of the client for a signature."""
    if keys.jwks_uri:
        if not is_allowed(keys.jwks_uri):
            raise Refused("the address of its keys is not allowed")
        return keys_of(published_keys(keys.jwks_uri))
    try:
        return KeySet(keys.jwks).find
    except BadAnswer as error:
        raise Refused("it has no keys") from error


def is_allowed(address: str) -> bool:
    """Whether keys of a client may be fetched there: https; with ``PACS_DEBUG`` also http on this machine."""
    return is_safe(address) and (settings.PACS.debug or urlsplit(address).scheme == "https")


def _check(jwks: Any) -> None:
    try:
        found = KeySet(jwks)
    except BadAnswer as error:
        raise BadKeys('expected a JWK Set: {"keys": [...]}') from error
    if any(isinstance(key, dict) and _PRIVATE & key.keys() for key in jwks["keys"]):
        raise BadKeys("there is a private or secret key in it: give the public ones only")
    if not found:
        raise BadKeys("there is no key in it for RS256, PS256 (2048 bits at least), ES256, ES384 or EdDSA")
