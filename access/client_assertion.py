"""Machines that sign their requests instead of sending a secret (``private_key_jwt``, RFC 7523 2.2 and 3)."""

import hashlib
import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from access.client_keys import find_key_of
from access.federation_settings import EVERY_ALGORITHM
from access.jwt_checks import LEEWAY_SECONDS, Expected, Refused, is_name, look_into, verified
from access.models import Client, UsedAssertion

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOST_SECONDS: Final = 300
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})
_log = logging.getLogger(__name__)


def named_in(assertion: str) -> str:
    """The client id that an assertion names; nobody has checked it yet. "" if it can't be read."""
    try:
        _, claims = look_into(assertion)
    except Refused:
        return ""
    name = claims.get("sub")
    return name if isinstance(name, str) and is_name(name) else ""


def client_of(kind: str, assertion: str) -> Client | None:
    """The client that signed, None if it is not to be believed. It is used up then and can't be shown again."""
    try:
        if kind != TYPE:
            raise Refused("it is an assertion of another kind")
        return _proved(assertion)
    except Refused as error:
        _log.info("a client assertion was refused: %s", error)
        return None


def audiences() -> tuple[str, ...]:
    """For whom assertions are made: the token endpoint, or this server as an issuer."""
    root = settings.PACS.public_root
    return f"{root}/oauth/token/", root


def _proved(assertion: str) -> Client:
    client: Client | None = (
        Client.objects.select_related("keys")
        .filter(client_id=named_in(assertion), is_active=True, keys__isnull=False)
        .first()
    )
    if client is None:
        raise Refused("there is no such client with keys")
    expected = Expected(
        client.client_id, audiences(), EVERY_ALGORITHM, _TYPES, claims=("iss", "sub", "aud", "exp", "jti")
    )
    claims = verified(assertion, expected, find_key_of(client.keys))
    if claims["sub"] != client.client_id:
        raise Refused("it speaks of another client")
    if isinstance(claims["aud"], list) and len(claims["aud"]) != 1:
        raise Refused("it is meant for others as well")
    if claims["exp"] > time.time() + MOST_SECONDS + LEEWAY_SECONDS:
        raise Refused(f"it is good for more than {MOST_SECONDS} s")
    _use_up(client, claims)
    return client


def _use_up(client: Client, claims: dict[str, Any]) -> None:
    """Remember the assertion until it has expired. Raises Refused if it was shown before."""
    if not is_name(claims["jti"]):
        raise Refused("its jti is not a name")
    UsedAssertion.objects.filter(expires_at__lt=timezone.now()).delete()
    ends = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=LEEWAY_SECONDS + 1)
    digest = hashlib.sha256(claims["jti"].encode()).hexdigest()
    try:
        with transaction.atomic():
            UsedAssertion.objects.create(client=client, digest=digest, expires_at=ends)
    except IntegrityError as error:
        raise Refused("it was shown before") from error
