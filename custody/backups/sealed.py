"""The form of every file of a backup: encrypted in chunks, so that any size needs the memory of one.

    "lightbox-backup-1\\n"   18 bytes
    key id                   8 bytes: which key, in the clear
    salt                    32 random bytes; HKDF-SHA256 of the key with the salt and the name makes the file's own key
    chunks                  AES-256-GCM of 65,536 bytes each, the last one of 0 to 65,536, with 16 bytes of tag

The nonce of a chunk is its number (11 bytes) and whether it is the last (1 byte): chunks that are exchanged, left out
or cut off don't decrypt, and neither does a whole file under another name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from custody.backups.errors import Damaged, WrongKey
from custody.backups.keys import BackupKey

MAGIC: Final = b"lightbox-backup-1\n"
CHUNK: Final = 65_536
_TAG: Final = 16
_SALT: Final = 32
_KEY_ID: Final = 8
HEADER: Final = len(MAGIC) + _KEY_ID + _SALT


class Sink(Protocol):
    """Where the encrypted bytes go."""

    def write(self, data: bytes) -> object: ...


def sealed_size(plain: int) -> int:
    """Bytes of a file whose content has ``plain`` bytes."""
    return HEADER + plain + _TAG * max(1, -(-plain // CHUNK))


class Sealer:
    """Writes one file called ``name`` to ``sink``; it is whole only after ``finish``.

    ``size`` and ``sha256`` are those of the plain bytes written so far.
    """

    def __init__(self, sink: Sink, key: BackupKey, name: str) -> None:
        salt = os.urandom(_SALT)
        self._sink = sink
        self._cipher = _cipher(key, salt, name)
        self._held = bytearray()
        self._count = 0
        self._hash = hashlib.sha256()
        self.size = 0
        sink.write(MAGIC + key.id + salt)

    @property
    def sha256(self) -> bytes:
        """32 bytes."""
        return self._hash.digest()

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take ``data``; a full chunk leaves when more comes, because the last one is marked."""
        self._hash.update(data)
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            if len(self._held) == CHUNK:
                self._emit(last=False)
            room = CHUNK - len(self._held)
            self._held += rest[:room]
            rest = rest[room:]
        return len(data)

    def flush(self) -> None:
        """Nothing: files that want to be like others ask for it."""

    def finish(self) -> None:
        """Write the last chunk."""
        self._emit(last=True)

    def _emit(self, *, last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_nonce(self._count, last), bytes(self._held), None))
        self._held.clear()
        self._count += 1


def unseal(pieces: Iterable[bytes], key: BackupKey, name: str) -> Iterator[bytes]:
    """The plain bytes of the file ``name`` in chunks. Raises WrongKey, Damaged at the first chunk that is not right.

    What was yielded before is genuine, but only the end of the iteration says that it was all.
    """
    source = _Source(pieces)
    header = source.take(HEADER)
    if len(header) < HEADER or not header.startswith(MAGIC):
        raise Damaged(f"{name} is no file of a backup, or cut in its first bytes", name)
    key_id = header[len(MAGIC) : len(MAGIC) + _KEY_ID]
    if key_id != key.id:
        raise WrongKey(f"{name} was written with the key {key_id.hex()}; the one at hand is {key.id.hex()}.")
    cipher = _cipher(key, header[-_SALT:], name)
    count = 0
    sealed = source.take(CHUNK + _TAG)
    while True:
        following = source.take(CHUNK + _TAG)
        yield _open(cipher, sealed, count, last=not following, name=name)
        if not following:
            return
        sealed = following
        count += 1


def _open(cipher: AESGCM, sealed: bytes, count: int, *, last: bool, name: str) -> bytes:
    try:
        return cipher.decrypt(_nonce(count, last), sealed, None)
    except (InvalidTag, ValueError) as error:
        offset = count * CHUNK
        if last and _opens(cipher, sealed, count):
            raise Damaged(f"{name} is cut off after {offset + len(sealed) - _TAG} bytes", name) from error
        what = "altered or cut off" if last else "altered"
        raise Damaged(f"{name} was {what} at its bytes {offset} to {offset + CHUNK}", name) from error


def _opens(cipher: AESGCM, sealed: bytes, count: int) -> bool:
    """Whether it is genuine, but not the last one."""
    try:
        cipher.decrypt(_nonce(count, False), sealed, None)
    except (InvalidTag, ValueError):
        return False
    return True


def _nonce(count: int, last: bool) -> bytes:
    return count.to_bytes(11, "big") + bytes([last])


def _cipher(key: BackupKey, salt: bytes, name: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"lightbox backup\0" + name.encode()).derive(key.secret))


class _Source:
    """Pieces of any size, taken out in sizes that are asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()

    def take(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held += piece
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken
