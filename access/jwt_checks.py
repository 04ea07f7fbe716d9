"""Signed tokens of others (JWT, RFC 7519): what must be right before a single claim is believed (RFC 8725)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import jwt

from access.federation_settings import EVERY_ALGORITHM, Algorithm
from access.jwt_keys import KeySet
from access.remembered import Away, BadAnswer, Remembered

MOST_BYTES: Final = 8192
LEEWAY_SECONDS: Final = 60
MOST_CHARACTERS: Final = 255
# They would bring a key, say where to fetch one, or change what is signed.
_NEVER: Final = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u", "zip"})
_REASONS: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not good yet",
    jwt.InvalidAudienceError: "it is meant for somebody else",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.MissingRequiredClaimError: "a claim is missing",
    jwt.InvalidSignatureError: "the signature is wrong",
}


class Refused(Exception):
    """The token is not believed. The message is plain, has nothing of the token in it, and is for logs and trail."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Who must have made a token, for whom, and how. ``types`` are values of the header's ``typ`` in small letters."""

    issuer: str
    audience: Sequence[str]
    algorithms: Sequence[Algorithm]
    types: frozenset[str] = frozenset({"", "jwt"})
    claims: Sequence[str] = ("iss", "sub", "aud", "exp")


FindKey = Callable[[str | None, Algorithm], jwt.PyJWK | None]


def look_into(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token that nobody has checked yet. Raises Refused for what is none, or too long."""
    if len(token) > MOST_BYTES:
        raise Refused(f"it has more than {MOST_BYTES} bytes")
    try:
        found = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Refused("it can't be read") from error
    return found["header"], found["payload"]


def verified(token: str, expected: Expected, find_key: FindKey) -> dict[str, Any]:
    """The claims of a token whose signature, issuer, audience and times are right. Raises Refused."""
    header, _ = look_into(token)
    algorithm, kid = _algorithm(header, expected), _kid(header)
    key = find_key(kid, algorithm)
    if key is None:
        raise Refused("it is signed with an unknown key")
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=expected.audience,
            issuer=expected.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(expected.claims)},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise Refused(_REASONS.get(type(error), "it is not well-formed")) from error
    if any(isinstance(claims.get(name, 0), bool | str) for name in ("exp", "iat", "nbf")):
        raise Refused("a time in it is no number")
    if not is_name(claims["sub"]):
        raise Refused("its subject is not a name")
    return claims


def keys_of(published: Remembered[KeySet]) -> FindKey:
    """Find a key among those that are published; a kid that nobody knows makes them be fetched again, once a minute."""

    def find(kid: str | None, algorithm: Algorithm) -> jwt.PyJWK | None:
        try:
            return published.get().find(kid, algorithm) or published.again().find(kid, algorithm)
        except (Away, BadAnswer) as error:
            raise Refused(f"its keys can't be had: {error}") from error

    return find


def is_name(text: object) -> bool:
    """Whether ``text`` may name somebody: not empty, of bounded length, without control characters or surrogates."""
    return isinstance(text, str) and 0 < len(text) <= MOST_CHARACTERS and text.isprintable()


def claim(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, or inside of others by a name with dots (``realm_access.roles``); None if it isn't there."""
    if name in claims:
        return claims[name]
    found: object = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def roles_from(claims: Mapping[str, Any], name: str, table: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The roles that the values of a claim give: a list, or text with spaces such as ``scope``. What isn't in the
    table gives nothing."""
    value = claim(claims, name)
    values = [value, *value.split()] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(sorted({role for each in values if isinstance(each, str) for role in table.get(each, ())}))


def _algorithm(header: Mapping[str, Any], expected: Expected) -> Algorithm:
    found = header.get("alg")
    if found not in EVERY_ALGORITHM or found not in expected.algorithms:
        raise Refused("its algorithm is not allowed")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in expected.types:
        raise Refused("it is a token of another kind")
    if _NEVER & header.keys():
        raise Refused("its header has a field that is not allowed")
    return cast(Algorithm, found)


def _kid(header: Mapping[str, Any]) -> str | None:
    kid = header.get("kid")
    if kid is not None and not is_name(kid):
        raise Refused("the name of its key is not a name")
    return cast("str | None", kid)
