"""Public keys of others (JWK Sets, RFC 7517): which key may check which signature, and where they come from."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import jwt

from access.asking import get_json
from access.federation_settings import EVERY_ALGORITHM, Algorithm, is_safe
from access.remembered import BadAnswer, Remembered

MOST_KEYS: Final = 100
RSA_BITS: Final = 2048
# Which keys an algorithm takes: type and curve (RFC 7518 3.1, RFC 8037 3.1). Symmetric keys are nowhere in it.
_TAKES: Final[Mapping[Algorithm, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}


class KeySet:
    """The keys of a JWK Set that check signatures; keys for other uses, of other types and weak ones are left out."""

    def __init__(self, document: object) -> None:
        """Raises BadAnswer for what is no JWK Set."""
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list) or len(listed) > MOST_KEYS:
            raise BadAnswer("there is no set of keys")
        self._keys: dict[Algorithm, list[tuple[str | None, jwt.PyJWK]]] = {name: [] for name in EVERY_ALGORITHM}
        for key in listed:
            if isinstance(key, dict) and key.get("use", "sig") == "sig" and _verifies(key.get("key_ops", ["verify"])):
                self._take(key)

    def __bool__(self) -> bool:
        """Whether there is any key."""
        return any(self._keys.values())

    def find(self, kid: str | None, algorithm: Algorithm) -> jwt.PyJWK | None:
        """The key called ``kid``, or the only one for the algorithm where a token names none."""
        fitting = self._keys[algorithm]
        if kid is None:
            return fitting[0][1] if len(fitting) == 1 else None
        return next((key for name, key in fitting if name == kid), None)

    def _take(self, key: Mapping[str, Any]) -> None:
        kid = key.get("kid")
        for algorithm, (kind, curve) in _TAKES.items():
            if (key.get("kty"), key.get("crv")) != (kind, curve) or key.get("alg", algorithm) != algorithm:
                continue
            try:
                made = jwt.PyJWK({name: value for name, value in key.items() if name != "d"}, algorithm)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):
                continue
            if kind != "RSA" or made.key.key_size >= RSA_BITS:
                self._keys[algorithm].append((kid if isinstance(kid, str) else None, made))


def _verifies(operations: object) -> bool:
    return isinstance(operations, list) and "verify" in operations


@lru_cache(maxsize=256)
def published_keys(address: str) -> Remembered[KeySet]:
    """The keys at ``address``, kept for five minutes and for a day while nobody answers there."""
    return Remembered(f"the keys of {address}", lambda: KeySet(get_json(address)))


@lru_cache(maxsize=64)
def issuer_keys(issuer: str) -> Remembered[KeySet]:
    """The keys that the discovery document of ``issuer`` names, kept in the same way."""

    def fetch() -> KeySet:
        address = discovered(issuer).get("jwks_uri")
        if not isinstance(address, str) or not is_safe(address):
            raise BadAnswer("the discovery document names no safe jwks_uri")
        return KeySet(get_json(address))

    return Remembered(f"the keys of {issuer}", fetch)


def discovered(issuer: str) -> dict[str, Any]:
    """The discovery document (OpenID Connect Discovery 1.0, 4), fetched now. Raises Away, BadAnswer."""
    document = get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise BadAnswer("the discovery document is of another issuer; the setting must be letter for letter the same")
    return document
