"""Passkeys: WebAuthn (Level 3) registration and assertion as a second factor, for the host of the public root.

Each ceremony has a challenge that stands in the session, is good for five minutes and for one answer.
"""

import ipaddress
import json
import logging
import struct
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.http import HttpRequest
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialParameters,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from access.models import User
from access.second_factor_models import PASSKEY, SecondFactor

# COSE algorithms (RFC 9053 2, RFC 8812 2): ES256, EdDSA, and RS256, which is all that many Windows machines have.
ALGORITHMS: Final = (-7, -8, -257)
CEREMONY_SECONDS: Final = 300
LONGEST_ANSWER: Final = 16_384
_CEREMONY: Final = "passkey_ceremony"
# What reading an answer of anybody's making may raise; RecursionError from nested CBOR.
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error, RecursionError)
# It writes every credential's identifier at INFO.
logging.getLogger("fido2").setLevel(logging.WARNING)


class PasskeyRefused(Exception):
    """The answer proves nothing: no or an old ceremony, another origin or challenge, a wrong signature or counter."""


def relying_party() -> str:
    """The host that passkeys are bound to; "" where browsers allow none: an address instead of a name, or no TLS."""
    root = urlsplit(settings.PACS.public_root)
    host = root.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        secure = root.scheme == "https" or host == "localhost" or host.endswith(".localhost")
        return host if secure else ""
    return ""


def registration(request: HttpRequest, user: User) -> str:
    """Options for ``navigator.credentials.create`` as JSON; begins a ceremony. Only where ``relying_party`` is."""
    known = [
        PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=bytes(factor.credential_id or b""))
        for factor in SecondFactor.objects.filter(user=user, kind=PASSKEY)
    ]
    person = PublicKeyCredentialUserEntity(id=user.external_id.bytes, name=user.username, display_name=user.username)
    options, state = _server().register_begin(
        person, known, ResidentKeyRequirement.DISCOURAGED, UserVerificationRequirement.PREFERRED
    )
    _begin(request, "create", state)
    return json.dumps(_plain(options.public_key))


def add_passkey(request: HttpRequest, user: User, name: str, answer: str) -> SecondFactor:
    """Store the passkey that the browser made. Raises PasskeyRefused."""
    state = _end(request, "create")
    try:
        parsed = RegistrationResponse.from_dict(_parsed(answer))
        made: AuthenticatorData = _server().register_complete(state, parsed)
        credential = made.credential_data
        _not_framed(parsed.response.client_data)
    except _MALFORMED as error:
        raise PasskeyRefused("the answer is not of this registration") from error
    if credential is None or credential.public_key.get(3) not in ALGORITHMS:
        raise PasskeyRefused("the passkey's algorithm is not offered")
    try:
        with transaction.atomic():
            return SecondFactor.objects.create(
                user=user,
                kind=PASSKEY,
                name=name,
                credential_id=credential.credential_id,
                credential=bytes(credential),
                sign_count=made.counter,
            )
    except IntegrityError as error:
        raise PasskeyRefused("this passkey is known already") from error


def assertion(request: HttpRequest, user: User) -> str:
    """Options for ``navigator.credentials.get`` as JSON; begins a ceremony. "" if the person has no passkey."""
    known = _credentials(user)
    if not known or not relying_party():
        return ""
    credentials = [credential for credential, _ in known.values()]
    options, state = _server().authenticate_begin(credentials, UserVerificationRequirement.PREFERRED)
    _begin(request, "get", state)
    return json.dumps(_plain(options.public_key))


def use_passkey(request: HttpRequest, user: User, answer: str) -> SecondFactor:
    """The person's passkey that signed this ceremony's challenge. Raises PasskeyRefused.

    A counter that doesn't grow means that a copy of the key is about (WebAuthn 6.1.1): refused.
    """
    state, known = _end(request, "get"), _credentials(user)
    try:
        parsed = AuthenticationResponse.from_dict(_parsed(answer))
        used = _server().authenticate_complete(state, [credential for credential, _ in known.values()], parsed)
        counter = parsed.response.authenticator_data.counter
        _not_framed(parsed.response.client_data)
    except _MALFORMED as error:
        raise PasskeyRefused("the answer is not of this sign-in") from error
    factor = known[used.credential_id][1]
    grown = Q(sign_count__lt=counter) | (Q(sign_count=0) if counter == 0 else Q())
    if not SecondFactor.objects.filter(grown, pk=factor.pk).update(sign_count=counter, used_at=Now()):
        raise PasskeyRefused("the passkey's counter did not grow: there may be a copy of it")
    return factor


def _credentials(user: User) -> dict[bytes, tuple[AttestedCredentialData, SecondFactor]]:
    """The person's passkeys by the identifiers of their credentials."""
    factors = SecondFactor.objects.filter(user=user, kind=PASSKEY)
    return {bytes(f.credential_id or b""): (AttestedCredentialData(bytes(f.credential)), f) for f in factors}


def _server() -> Fido2Server:
    """Bound to the public root: its host is the relying party, itself the only origin."""
    party = PublicKeyCredentialRpEntity(id=relying_party(), name="Lightbox")
    server = Fido2Server(party, verify_origin=_is_ours)
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=algorithm)
        for algorithm in ALGORITHMS
    ]
    server.timeout = CEREMONY_SECONDS * 1000  # type: ignore[assignment]
    return server


def _is_ours(origin: str) -> bool:
    """Whether this is the origin of the public root, as browsers write it: without the scheme's own port."""
    root = urlsplit(settings.PACS.public_root)
    own_port = root.port in (None, {"http": 80, "https": 443}.get(root.scheme))
    ours = f"{root.scheme}://{relying_party()}" + ("" if own_port else f":{root.port}")
    return bool(relying_party()) and origin == ours


def _not_framed(client_data: CollectedClientData) -> None:
    """Our pages stand in no frame of another site; an answer from one is none of ours (WebAuthn 7.1, 7.2)."""
    if client_data.cross_origin:
        raise ValueError


def _begin(request: HttpRequest, kind: str, state: Mapping[str, Any]) -> None:
    request.session[_CEREMONY] = {"kind": kind, "at": time.time(), "state": dict(state)}


def _end(request: HttpRequest, kind: str) -> dict[str, Any]:
    """The state of the ceremony, which is over now, whatever comes of it. Raises PasskeyRefused."""
    ceremony = request.session.pop(_CEREMONY, None)
    if ceremony is None or ceremony["kind"] != kind or time.time() - ceremony["at"] > CEREMONY_SECONDS:
        raise PasskeyRefused("there is no such ceremony, or it was used or took too long")
    state: dict[str, Any] = ceremony["state"]
    return state


def _parsed(answer: str) -> dict[str, Any]:
    """The browser's answer in its JSON form (RegistrationResponseJSON, AuthenticationResponseJSON)."""
    if len(answer) > LONGEST_ANSWER:
        raise ValueError
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise TypeError
    return found


def _plain(value: Any) -> Any:
    """The library's mappings as JSON has them: bytes are base64url in them already."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return value
