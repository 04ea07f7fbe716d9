"""Objects sealed on their way into a store that is trusted with nothing but keeping them. See ``sealed_format``.

A key that names a seal is read as a sealed object and as nothing else, whatever lies there; one that names none is in
plaintext. So both may lie side by side, as they do while an archive is being sealed, and neither passes for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.object_store.errors import InvalidKey, ObjectDamaged
from archive.object_store.key_service import KeyService
from archive.object_store.marks import seal_of
from archive.object_store.parts import cut, read_parts
from archive.object_store.port import ObjectStore, Staged, checked_range
from archive.object_store.sealed_format import (
    CHUNK,
    HEADER,
    SEALED_CHUNK,
    Opened,
    header,
    new_data_key,
    opened,
    plain_size,
    seal_chunk,
)
from archive.object_store.sealed_staging import SealedStaged
from archive.object_store.staging import StagedFile

Found = TypeVar("Found")
_HEADERS_KEPT: Final = 4096  # proved headers, some hundred bytes each


class SealedObjectStore:
    """``inner`` with sealed objects in it. Sizes and offsets are those of the plaintext. See ``port``.

    With ``sealing`` every new object is sealed, and its key has to say so; without, none is. With ``only_sealed`` an
    object in plaintext is not taken for one of ours.
    """

    def __init__(self, inner: ObjectStore, keys: KeyService, *, sealing: bool, only_sealed: bool = False) -> None:
        self._inner = inner
        self._keys = keys
        self._sealing = sealing
        self._only_sealed = only_sealed
        self._headers: dict[str, Opened] = {}

    def stage(self) -> Staged:
        staged = self._inner.stage()
        if not self._sealing:
            return staged
        if not isinstance(staged, StagedFile):
            raise TypeError(f"objects are sealed on their way into local files, found {type(staged).__name__}")
        return SealedStaged(staged)

    def publish(self, items: Sequence[tuple[Staged, str]]) -> None:
        self._inner.publish([(self._published(staged, key), key) for staged, key in items])

    def put(self, key: str, data: bytes) -> None:
        seal = self._checked(key)
        if not seal:
            self._inner.put(key, data)
            return
        data_key = new_data_key()
        cipher, view = AESGCM(data_key), memoryview(data)
        pieces = [header(self._keys, seal, key, len(data), data_key)]
        begins = range(0, len(data), CHUNK) or (0,)
        for number, begin in enumerate(begins):
            pieces.append(seal_chunk(cipher, number, view[begin : begin + CHUNK], last=number == len(begins) - 1))
        self._inner.put(key, b"".join(pieces))

    def open_range(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if not self._seal(key):
            return self._inner.open_range(key, offset, length)
        checked_range(offset, length)
        return self._with_header(key, offset, lambda found: self._stream(found, offset, _stop(found, offset, length)))

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if not self._seal(key):
            return self._inner.read_range(key, offset, length)
        checked_range(offset, length)
        return self._with_header(key, offset, lambda found: self._read(found, offset, _stop(found, offset, length)))

    def read_parts(self, key: str, offset: int, lengths: Sequence[int]) -> list[bytes]:
        """See ``parts``."""
        if not self._seal(key):
            return read_parts(self._inner, key, offset, lengths)
        return cut(self.read_range(key, offset, sum(lengths)), lengths)

    def size(self, key: str) -> int:
        size = self._inner.size(key)
        return plain_size(size, key) if self._seal(key) else size

    def delete(self, key: str) -> None:
        self._headers.pop(key, None)
        self._inner.delete(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        return self._inner.keys(prefix)

    def check(self) -> None:
        if self._sealing:
            self._keys.active()
        self._inner.check()

    def clear_staging(self, older_than_seconds: float) -> int:
        return self._inner.clear_staging(older_than_seconds)

    def _seal(self, key: str) -> str:
        seal = seal_of(key)
        if not seal and self._only_sealed:
            raise ObjectDamaged(f"{key} is in plaintext, where only sealed objects are taken", key)
        return seal

    def _checked(self, key: str) -> str:
        """The seal that ``key`` names, for a new object."""
        seal = seal_of(key)
        if bool(seal) != self._sealing:
            raise InvalidKey(f"{key} is no key of new_key: it has to name its seal where objects are sealed", key)
        return seal

    def _published(self, staged: Staged, key: str) -> Staged:
        seal = self._checked(key)
        return staged.under(self._keys, seal, key) if isinstance(staged, SealedStaged) else staged

    def _opened(self, key: str) -> Opened:
        """The header, proved and kept. Written once, it nearly always stays what it is."""
        found = opened(self._keys, seal_of(key), key, self._inner.read_range(key, 0, HEADER))
        if len(self._headers) >= _HEADERS_KEPT:
            self._headers.clear()
        self._headers[key] = found
        return found

    def _with_header(self, key: str, offset: int, read: Callable[[Opened], Found]) -> Found:
        """By the header that is kept, unless from the beginning: such a reader may be one who proves the object."""
        kept = self._headers.get(key) if offset else None
        if kept is not None:
            # What a destroyed key sealed is not given out by those who happen to have its data key still.
            self._keys.check(seal_of(key))
            try:
                return read(kept)
            except ObjectDamaged:
                # Repaired from a copy, it has another data key than before.
                self._headers.pop(key, None)
        return read(self._opened(key))

    def _stream(self, found: Opened, start: int, stop: int) -> Iterator[bytes]:
        if stop - start <= CHUNK:
            data = self._read(found, start, stop)
            return iter((data,) if data else ())
        pieces = self._pieces(found, start, stop)
        next(pieces)  # runs it up to the first piece
        return pieces

    def _read(self, found: Opened, start: int, stop: int) -> bytes:
        """``start:stop`` of the plaintext; an empty range proves the chunk it is in."""
        first, begin, end = found.span(start, stop)
        plain = found.plain(first, self._inner.read_range(found.key, begin, end - begin))
        return _within(plain, start - first * CHUNK, stop - first * CHUNK)

    def _pieces(self, found: Opened, start: int, stop: int) -> Iterator[bytes]:
        """Yield an empty piece once the first real one has been opened, then the pieces."""
        number, begin, end = found.span(start, stop)
        sealed = self._inner.open_range(found.key, begin, end - begin)
        waiting = b""
        told = False
        for piece in sealed:
            data = memoryview(waiting + piece if waiting else piece)
            begin += len(piece)
            whole = len(data) if begin == end else len(data) // SEALED_CHUNK * SEALED_CHUNK
            waiting = bytes(data[whole:])
            if not whole:
                continue
            plain = found.plain(number, data[:whole])
            at = number * CHUNK
            number += len(plain)
            if not told:
                told = True
                yield b""
            yield _within(plain, max(0, start - at), stop - at)


def _within(chunks: list[bytes], start: int, stop: int) -> bytes:
    """``start:stop`` of what ``chunks`` are together, put together once: the copies are what a read costs most."""
    if chunks:
        chunks[-1] = chunks[-1][: max(0, stop - (len(chunks) - 1) * CHUNK)]
        chunks[0] = chunks[0][start:]
    return b"".join(chunks)


def _stop(found: Opened, offset: int, length: int | None) -> int:
    """The end of the range; ObjectDamaged if the object ends before it."""
    stop = found.size if length is None else offset + length
    if max(offset, stop) > found.size:
        raise ObjectDamaged(f"{found.key} has {found.size} bytes, expected at least {max(offset, stop)}", found.key)
    return stop
