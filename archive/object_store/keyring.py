"""Key-encryption keys in a file of one's own: the key service of an installation without a KMS.

The file is JSON of mode 0600, replaced as a whole. Each key has 64 random bytes for AES-256-SIV (RFC 5297), which wraps
any number of data keys without a nonce that could repeat. A destroyed key keeps its line, without its bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from archive.object_store.key_service import KeyDestroyed, KeyUnavailable

State = Literal["active", "old", "destroyed"]
_KEY_BYTES: Final = 64
_LOOK_SECONDS: Final = 1.0  # how old the picture of the file may be


@dataclass(frozen=True)
class SealingKey:
    """One key of the ring. ``made`` and ``since`` (of its state) are ISO 8601 moments in UTC."""

    id: str
    state: State
    made: str
    since: str
    secret: bytes = field(default=b"", repr=False)

    @cached_property
    def cipher(self) -> AESSIV:
        """AES-256-SIV under this key. KeyDestroyed for a destroyed one."""
        if self.state == "destroyed":
            raise KeyDestroyed(f"the key-encryption key {self.id} is destroyed")
        return AESSIV(self.secret)


class Keyring:
    """The keys in ``path``, read anew when the file has been replaced. See ``key_service.KeyService``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self._keys: Mapping[str, SealingKey] = {}

    def keys(self) -> Mapping[str, SealingKey]:
        """All keys by id, in the order they were made. KeyUnavailable for a file that can't be read."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            with self._lock:
                self._look()
        return self._keys

    def active(self) -> str:
        for key in self.keys().values():
            if key.state == "active":
                return key.id
        raise KeyUnavailable(f"no active key-encryption key in {self._path.name}: encryption_keys add makes one")

    def wrap(self, key_id: str, data_key: bytes, context: bytes) -> bytes:
        return self._key(key_id).cipher.encrypt(data_key, [context])

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes | None:
        try:
            return self._key(key_id).cipher.decrypt(wrapped, [context])
        except InvalidTag:
            return None

    def check(self, key_id: str) -> None:
        _ = self._key(key_id).cipher

    def _key(self, key_id: str) -> SealingKey:
        found = self.keys().get(key_id)
        if found is None:
            raise KeyUnavailable(f"the key-encryption key {key_id} is not in the keyring")
        return found

    def _look(self) -> None:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            self._seen, self._keys = None, {}
        except OSError as error:
            raise KeyUnavailable(f"the keyring can't be read: {error.strerror}") from error
        else:
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if seen != self._seen:
                self._keys, self._seen = read_keyring(self._path), seen
        self._looked = time.monotonic()


def keyring_path(config: Any) -> Path:
    """Where the keyring of `config` (pacs_project.config.Config) is."""
    found: Path = config.encryption.keyring or config.data / "secrets" / "keyring.json"
    return found


@cache
def keyring_in(path: Path) -> Keyring:
    """The keyring in ``path``, one for the whole process."""
    return Keyring(path)


# A lock that another thread held at the fork would never be released.
os.register_at_fork(after_in_child=keyring_in.cache_clear)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Nobody else changes the keyring meanwhile: of two that read and then write, one would lose the other's key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_keyring(path: Path) -> dict[str, SealingKey]:
    """The keys in a keyring file, none if there is no file. KeyUnavailable for one that is damaged."""
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_bytes())["keys"]
        return {row["id"]: SealingKey(**{**row, "secret": b64decode(row["secret"])}) for row in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyUnavailable(f"the keyring can't be read: {type(error).__name__}") from error


def added(keys: Mapping[str, SealingKey]) -> dict[str, SealingKey]:
    """``keys`` with a new active key, beside which the active one of before is old."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    older = {k.id: replace(k, state="old", since=now) if k.state == "active" else k for k in keys.values()}
    key_id = next(i for i in iter(lambda: f"k{secrets.token_hex(4)}", "") if i not in keys)
    return older | {key_id: SealingKey(key_id, "active", now, now, secrets.token_bytes(_KEY_BYTES))}


def destroyed(keys: Mapping[str, SealingKey], key_id: str) -> dict[str, SealingKey]:
    """``keys`` without the bytes of one of them."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return dict(keys) | {key_id: replace(keys[key_id], state="destroyed", since=now, secret=b"")}


def write_keyring(path: Path, keys: Mapping[str, SealingKey]) -> None:
    """Replace the file as a whole, durably. KeyUnavailable, and nothing written, if a key would be left out."""
    if left_out := read_keyring(path).keys() - keys.keys():
        raise KeyUnavailable(f"the keyring has keys that would be lost: {', '.join(sorted(left_out))}")
    rows = [
        {"id": k.id, "state": k.state, "made": k.made, "since": k.since, "secret": b64encode(k.secret).decode()}
        for k in keys.values()
    ]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    anew = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(anew, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"keys": rows}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(anew, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
