"""Secrets that have to be read again are sealed: AES-256-GCM under a key derived from ``SECRET_KEY`` (HKDF, RFC 5869).

A copy of the database alone gives no codes. What was sealed for one row doesn't open for another.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_SALT: Final = 16
_NONCE: Final = 12
_INFO: Final = b"lightbox second factor 1"


class Unreadable(Exception):
    """Sealed for another row, or under another ``SECRET_KEY``, or changed since."""


def seal(secret: bytes, belongs_to: bytes) -> bytes:
    """Salt (16 bytes), nonce (12), then the ciphertext with its tag (16)."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return salt + nonce + AESGCM(_key(salt)).encrypt(nonce, secret, belongs_to)


def unseal(sealed: bytes, belongs_to: bytes) -> bytes:
    """The secret. Raises Unreadable."""
    salt, nonce, text = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    try:
        return AESGCM(_key(salt)).decrypt(nonce, text, belongs_to)
    except (InvalidTag, ValueError) as error:
        raise Unreadable from error


def _key(salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=_INFO).derive(settings.SECRET_KEY.encode())
