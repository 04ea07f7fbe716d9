"""The form of a sealed object: a header of 512 bytes, then chunks of 64 KiB, each with AES-256-GCM under its own nonce.

::

    0    8   "LBSEAL", zero, version 1
    8    9   id of the key-encryption key, ASCII
    17   8   bytes of the plaintext, big endian
    25   2   bytes of the wrapped data key, big endian
    27   n   the wrapped data key, then zeros up to byte 512
    512      chunks of 65536 bytes of plaintext and 16 of tag; the last one may be shorter, and is there if all is empty

Every object has a data key of its own, wrapped for exactly the first 25 bytes of this header and this object key, so
that a header fits no other object, no other length and no other version. The number of a chunk, and whether it is the
last one, are its nonce and its associated data: under a key used once no chunk can be swapped, left out or cut off, and
none is one of another object.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.object_store.errors import ObjectDamaged
from archive.object_store.key_service import LONGEST_WRAPPED, KeyService

HEADER: Final = 512
CHUNK: Final = 64 * 1024
TAG: Final = 16
SEALED_CHUNK: Final = CHUNK + TAG
_MAGIC: Final = b"LBSEAL\x00\x01"
_BOUND: Final = struct.Struct(">8s9sQ")
_LENGTH: Final = struct.Struct(">H")
_NONCE: Final = struct.Struct(">BxxxQ")


def chunks_of(size: int) -> int:
    """How many chunks hold ``size`` bytes."""
    return max(1, -(-size // CHUNK))


def sealed_size(size: int) -> int:
    """Bytes that an object of ``size`` bytes takes once it is sealed."""
    return HEADER + size + chunks_of(size) * TAG


def plain_size(sealed: int, key: str) -> int:
    """Bytes of the plaintext of a sealed object of this length. ObjectDamaged if none has it."""
    body = sealed - HEADER
    size = body - -(-body // SEALED_CHUNK) * TAG
    if size < 0 or sealed_size(size) != sealed:
        raise ObjectDamaged(f"{key} has {sealed} bytes, which no sealed object has", key)
    return size


def new_data_key() -> bytes:
    """32 random bytes for one object."""
    return secrets.token_bytes(32)


def seal_chunk(cipher: AESGCM, number: int, data: bytes | bytearray | memoryview, *, last: bool) -> bytes:
    """One chunk and its tag."""
    nonce = _NONCE.pack(last, number)
    return cipher.encrypt(nonce, data, nonce)


def header(keys: KeyService, key_id: str, key: str, size: int, data_key: bytes) -> bytes:
    """The header of an object that will lie under ``key``. KeyUnavailable."""
    bound = _BOUND.pack(_MAGIC, key_id.encode("ascii"), size)
    wrapped = keys.wrap(key_id, data_key, bound + key.encode("ascii"))
    if len(wrapped) > LONGEST_WRAPPED:
        raise ValueError(f"a wrapped data key has at most {LONGEST_WRAPPED} bytes, found {len(wrapped)}")
    return (bound + _LENGTH.pack(len(wrapped)) + wrapped).ljust(HEADER, b"\0")


@dataclass(frozen=True, slots=True)
class Opened:
    """A sealed object whose header was proved: its plaintext has ``size`` bytes."""

    key: str
    size: int
    cipher: AESGCM

    def span(self, start: int, stop: int) -> tuple[int, int, int]:
        """The first chunk, and from which to which byte of the sealed object those lie that hold ``start:stop``."""
        first = start // CHUNK
        end = max(first + 1, -(-stop // CHUNK))
        return first, HEADER + first * SEALED_CHUNK, min(HEADER + end * SEALED_CHUNK, sealed_size(self.size))

    def plain(self, first: int, sealed: bytes | memoryview) -> list[bytes]:
        """The plaintext of whole chunks, of which ``first`` is the number of the first one. ObjectDamaged."""
        last = chunks_of(self.size) - 1
        view = memoryview(sealed)
        found: list[bytes] = []
        try:
            for number, begin in enumerate(range(0, len(view), SEALED_CHUNK), first):
                nonce = _NONCE.pack(number == last, number)
                found.append(self.cipher.decrypt(nonce, view[begin : begin + SEALED_CHUNK], nonce))
        except InvalidTag as error:
            raise ObjectDamaged(f"{self.key} is not what was sealed: chunk {number}", self.key) from error
        return found


def opened(keys: KeyService, key_id: str, key: str, head: bytes) -> Opened:
    """Prove the header of the object under ``key``. ObjectDamaged, KeyUnavailable."""
    if len(head) == HEADER:
        bound, (length,) = head[: _BOUND.size], _LENGTH.unpack_from(head, _BOUND.size)
        begin = _BOUND.size + _LENGTH.size
        magic, named, size = _BOUND.unpack(bound)
        whole = magic == _MAGIC and named == key_id.encode("ascii") and not any(head[begin + length :])
        if whole and 0 < length <= LONGEST_WRAPPED:
            data_key = keys.unwrap(key_id, head[begin : begin + length], bound + key.encode("ascii"))
            if data_key is not None:
                return Opened(key, size, AESGCM(data_key))
    raise ObjectDamaged(f"the header of {key} is not what was sealed", key)
