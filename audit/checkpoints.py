"""Checkpoints: the size and root of the log, signed, as text that other tools read too (c2sp.org/tlog-checkpoint).

lightbox.example.org/audit          origin
1234                                events in the tree
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2...  root, base64
time 2030-01-31T12:00:00Z           when it was signed
                                    (an empty line)
— lightbox.example.org/audit Az3g...  signature (c2sp.org/signed-note, Ed25519)
"""

import base64
import binascii
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519: Final = b"\x01"
_PRIVATE: Final = "PRIVATE+KEY+"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class BadCheckpoint(Exception):
    """No checkpoint, or none of this log, or not signed by one of the keys. The text says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log had ``size`` events and this ``root`` when it was signed at ``time``; ``text`` is the whole note."""

    origin: str
    size: int
    root: bytes
    time: datetime
    text: str


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whom to believe: a name and 32 bytes."""

    name: str
    key: bytes

    @property
    def key_id(self) -> bytes:
        """Four bytes that say which key signed (c2sp.org/signed-note)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        """The verifier key as text: ``name+keyid+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.key).decode()}"

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """From ``str(key)``. Raises BadCheckpoint."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raw = b""
        key = cls(name, raw[1:])
        if len(raw) != 33 or raw[:1] != _ED25519 or key.key_id.hex() != key_id:
            raise BadCheckpoint("a public key looks like name+1234abcd+base64; `audit_key` prints it")
        return key


class Signer:
    """The private key of one installation."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(name, private.public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes, time: datetime) -> Checkpoint:
        """A checkpoint of this tree; its origin is the name of the key."""
        moment = time.astimezone(UTC).strftime(_TIME)
        text = f"{self.public.name}\n{size}\n{base64.b64encode(root).decode()}\ntime {moment}\n"
        signature = base64.b64encode(self.public.key_id + self._private.sign(text.encode())).decode()
        return parse(f"{text}\n\u2014 {self.public.name} {signature}\n")


def signer(path: Path, name: str) -> Signer:
    """With the key in ``path``, which is made once, closed to others; ``name`` is for a new one.

    The file holds the name as well, so that it stays the same when the installation is called otherwise.
    Raises OSError, ValueError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except FileExistsError:
        pass
    else:
        with file:
            private = Ed25519PrivateKey.generate()
            key_id = Signer(name, private).public.key_id.hex()
            seed = base64.b64encode(_ED25519 + private.private_bytes_raw()).decode()
            file.write(f"{_PRIVATE}{name}+{key_id}+{seed}\n")
            file.flush()
            os.fsync(file.fileno())
    name, _, seed = path.read_text().strip().removeprefix(_PRIVATE).split("+", 2)
    return Signer(name, Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed)[1:]))


def read(text: str, keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint in ``text``, signed by one of ``keys``. Raises BadCheckpoint."""
    checkpoint = parse(text)
    body, _, signatures = text.rpartition("\n\n")
    for line in signatures.splitlines():
        mark, name, encoded = [*line.split(" "), "", ""][:3]
        try:
            raw = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            continue
        for key in keys:
            if mark == "\u2014" and (name, raw[:4]) == (key.name, key.key_id) and checkpoint.origin == key.name:
                try:
                    Ed25519PublicKey.from_public_bytes(key.key).verify(raw[4:], f"{body}\n".encode())
                except InvalidSignature:
                    continue
                return checkpoint
    raise BadCheckpoint("it is not signed by a key that is believed")


def parse(text: str) -> Checkpoint:
    """The checkpoint in ``text``, whoever signed it. Raises BadCheckpoint."""
    body, gap, _ = text.rpartition("\n\n")
    lines = body.split("\n")
    try:
        origin, size, root, moment = lines
        found = Checkpoint(
            origin=origin,
            size=int(size),
            root=base64.b64decode(root, validate=True),
            time=datetime.strptime(moment.removeprefix("time "), _TIME).replace(tzinfo=UTC),
            text=text,
        )
    except ValueError as error:
        raise BadCheckpoint("it does not look like a checkpoint") from error
    if not gap or not origin or len(found.root) != 32 or found.size < 1 or str(found.size) != size:
        raise BadCheckpoint("it does not look like a checkpoint")
    return found
