"""The key of the backups: one line in a file of its own, made at first use.

    lightbox-backup-key 6f0c2d1e9a47b385 bWFkZSBvZiAzMiByYW5kb20gYnl0ZXM...

Without it no backup can be read. It is never in a backup itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from custody.backups.errors import BackupError

_WORD: Final = "lightbox-backup-key"
SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class BackupKey:
    """32 secret bytes, and the 8 that name them in the clear."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """What a file says about the key that it was written with."""
        return hashlib.sha256(b"lightbox backup key\0" + self.secret).digest()[:8]

    def __str__(self) -> str:
        return f"{_WORD} {self.id.hex()} {base64.b64encode(self.secret).decode()}"


def read(path: Path) -> BackupKey:
    """The key in ``path``. Raises BackupError."""
    try:
        words = path.read_text().split()
        key = BackupKey(base64.b64decode(words[2], validate=True))
    except OSError as error:
        raise BackupError(
            f"The key of the backups can't be read from {path}: {error.strerror}. PACS_BACKUP__KEY names its file."
        ) from error
    except (IndexError, UnicodeDecodeError, binascii.Error):
        key = BackupKey(b"")
        words = []
    if len(key.secret) != SIZE or words[:2] != [_WORD, key.id.hex()]:
        raise BackupError(f"{path} holds no key of backups: one line, `{_WORD} ID BASE64`.")
    return key


def read_or_make(path: Path) -> tuple[BackupKey, bool]:
    """The key in ``path``, and whether it was made just now, closed to others. Raises BackupError."""
    made = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    except FileExistsError:
        pass
    except OSError as error:
        raise BackupError(f"The key of the backups can't be written to {path}: {error.strerror}.") from error
    else:
        with file:
            file.write(f"{BackupKey(secrets.token_bytes(SIZE))}\n")
            file.flush()
            os.fsync(file.fileno())
        made = True
    return read(path), made
