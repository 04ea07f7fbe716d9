"""The port to whoever keeps the key-encryption keys: a keyring file now, a KMS or an HSM behind the same two verbs.

A key service never gives a key away. It wraps the 32 bytes of a data key, bound to a context, and unwraps them again
for the same context only. Objects name their key-encryption key by an id of ``k`` and eight hexadecimal digits, so that
an implementation over a KMS keeps a table from such ids to names of its own.
"""

from __future__ import annotations

from typing import Final, Protocol

from archive.object_store.errors import ObjectStoreUnavailable

LONGEST_WRAPPED: Final = 400  # bytes of a wrapped data key; those of the common KMS are below 200


class KeyUnavailable(ObjectStoreUnavailable):
    """The key-encryption key is not there: unknown to the keyring, destroyed, or there is no keyring."""


class KeyDestroyed(KeyUnavailable):
    """The key-encryption key was destroyed, on purpose and for ever: so is whatever it seals."""


class KeyService(Protocol):
    """Wraps data keys. Safe from several threads."""

    def active(self) -> str:
        """The id of the key that new objects are sealed under. KeyUnavailable."""

    def wrap(self, key_id: str, data_key: bytes, context: bytes) -> bytes:
        """At most ``LONGEST_WRAPPED`` bytes. KeyUnavailable."""

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes | None:
        """The data key; None if ``wrapped`` or ``context`` is not what was wrapped. KeyUnavailable."""

    def check(self, key_id: str) -> None:
        """Raise KeyUnavailable unless data keys can be unwrapped by this one. Asked for each read."""
