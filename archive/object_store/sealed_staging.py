"""A sealed object on its way in: nothing but ciphertext and the tags of its chunks is ever on disk.

What is less than a chunk waits in memory, at most 64 KiB of each object. The header is written last, since only then
the key is known; until then the data key is in this process alone, and nobody can read what a killed process leaves.
"""

from __future__ import annotations

import hashlib
import threading
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.object_store.key_service import KeyService
from archive.object_store.sealed_format import (
    CHUNK,
    HEADER,
    SEALED_CHUNK,
    Opened,
    header,
    new_data_key,
    seal_chunk,
    sealed_size,
)
from archive.object_store.staging import StagedFile


class SealedStaged:
    """See ``port.Staged``: its size, hash and bytes are those of the plaintext. ``under`` gives what is published."""

    def __init__(self, inner: StagedFile) -> None:
        self._inner = inner
        self._data_key = new_data_key()
        self._cipher = AESGCM(self._data_key)
        self._hash = hashlib.sha256()
        self._size = 0
        self._chunks = 0
        self._tail = bytearray()
        self._sealed = False
        self._last_read: tuple[int, bytes] = (-1, b"")
        self._lock = threading.Lock()
        inner.reserve(HEADER)

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> bytes:
        return self._hash.digest()

    def write(self, data: bytes | memoryview) -> None:
        if self._sealed:
            raise ValueError("a sealed or discarded object takes no more bytes")
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._size += len(view)
        if self._tail:
            taken = min(len(view), CHUNK - len(self._tail))
            self._tail += view[:taken]
            view = view[taken:]
            if not view:
                return
            self._write_chunk(self._tail, last=False)
            self._tail.clear()
        # The last chunk is marked as such, so a full one waits until there is more.
        whole = max(0, len(view) - 1) // CHUNK * CHUNK
        for begin in range(0, whole, CHUNK):
            self._write_chunk(view[begin : begin + CHUNK], last=False)
        self._tail += view[whole:]

    def seal(self) -> None:
        with self._lock:
            if not self._sealed:
                self._write_chunk(self._tail, last=True)
                self._sealed = True
                self._inner.hasten()

    def read_at(self, offset: int, length: int) -> bytes:
        stop = min(self._size, offset + length)
        if offset >= stop:
            return b""
        first, last = offset // CHUNK, (stop - 1) // CHUNK
        found = b"".join(map(self._chunk, range(first, last + 1))) if first != last else self._chunk(first)
        return found[offset - first * CHUNK : stop - first * CHUNK]

    def under(self, keys: KeyService, key_id: str, key: str) -> StagedFile:
        """Complete the object that is to be published under ``key``. KeyUnavailable, ObjectStoreFull."""
        self.seal()
        self._inner.fill(header(keys, key_id, key, self._size, self._data_key))
        return self._inner

    def discard(self) -> None:
        self._sealed = True
        self._tail.clear()
        self._inner.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def _write_chunk(self, data: bytearray | memoryview, *, last: bool) -> None:
        self._inner.write(seal_chunk(self._cipher, self._chunks, data, last=last))
        self._chunks += 1

    def _chunk(self, number: int) -> bytes:
        """The plaintext of a chunk; that of the last one read is kept, since a parser reads many times from each."""
        if number == self._last_read[0]:
            return self._last_read[1]
        if number == self._chunks:  # not written yet
            return bytes(self._tail)
        # Its own size would make another chunk the last one while it is still being written.
        size = self._size if self._sealed else self._size + SEALED_CHUNK
        found = Opened("a staged object", size, self._cipher)
        begin = HEADER + number * SEALED_CHUNK
        end = min(begin + SEALED_CHUNK, sealed_size(size))
        [plain] = found.plain(number, self._inner.read_at(begin, end - begin))
        self._last_read = (number, plain)
        return plain
