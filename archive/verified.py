"""Bytes of objects, compared with what was received before anybody gets them; from a second store where there is one.

A range is read with the rest of the blocks that it lies in (``archive.block_crcs``). What does not fit is never handed
out: it is taken from the second store, piece by piece if need be, or else the read ends with ``ObjectDamaged``, before
the first byte, or in the middle of a body, whose connection then breaks. Objects whose CRCs are not known (None) are
read as they are, until a scrub has counted them.
"""

from collections.abc import Iterator

from archive import damage
from archive.block_crcs import BLOCK, blocks_of, fits
from archive.object_store import object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from archive.object_store.parts import read_parts
from archive.object_store.port import ObjectStore, checked_range

# So many bytes are compared as a whole before the first of them goes out.
WHOLE = 4 << 20


def read(key: str, size: int, crcs: bytes | None, offset: int, length: int) -> bytes:
    """Exactly ``length`` bytes from ``offset`` of an object of ``size`` bytes.

    Raises ``ObjectStoreError``: what the first store that was asked had to say.
    """
    checked_range(offset, length)
    if not length:
        return b""
    if crcs is None:
        lengths = [0, length, 0]
    else:
        _check_within(key, offset + length, size)
        begin, end = blocks_of(offset, length, size)
        lengths = [offset - begin, length, end - offset - length]
    begin = offset - lengths[0]
    first: ObjectStoreError | None = None
    for store in _stores():
        try:
            parts = read_parts(store, key, begin, lengths)
            _check(key, crcs, begin, *parts)
            return parts[1]
        except ObjectStoreError as error:
            first = _told(key, error, first)
    raise first or ObjectMissing(f"no store has {key}", key)


def stream(key: str, size: int, crcs: bytes | None, offset: int, length: int) -> Iterator[bytes]:
    """The same in pieces, the first of them in hand; up to ``WHOLE`` bytes are all in hand."""
    if length <= WHOLE:
        data = read(key, size, crcs, offset, length)
        return iter((data,) if data else ())
    checked_range(offset, length)
    if crcs is not None:
        _check_within(key, offset + length, size)
    pieces = _pieces(key, size, crcs, offset, length)
    next(pieces)
    return pieces


def _pieces(key: str, size: int, crcs: bytes | None, offset: int, length: int) -> Iterator[bytes]:
    """An empty piece once the first real one is there, then the pieces."""
    begin, end = (offset, offset + length) if crcs is None else blocks_of(offset, length, size)
    at, stop = begin, offset + length
    first: ObjectStoreError | None = None
    begun = False
    for store in _stores():
        try:
            pieces = store.open_range(key, at, end - at)
            for data in pieces if crcs is None else _whole_blocks(pieces):
                _check(key, crcs, at, data)
                if not begun:
                    begun = True
                    yield b""
                piece = data[max(0, offset - at) : max(0, stop - at)]
                at += len(data)
                if piece:
                    yield piece
            return
        except ObjectStoreError as error:
            first = _told(key, error, first)
    raise first or ObjectMissing(f"no store has {key}", key)


def _whole_blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes cut where blocks end; only the last piece may end elsewhere."""
    held = b""
    for piece in pieces:
        data = held + piece if held else piece
        whole = len(data) - len(data) % BLOCK
        held = data[whole:]
        if whole:
            yield data[:whole] if held else data
    if held:
        yield held


def _stores() -> tuple[ObjectStore, ...]:
    """Where an object may be, in the order in which they are asked."""
    store = object_store()
    both: tuple[ObjectStore, ...] = getattr(store, "stores", None) or (store,)
    return both


def _check(key: str, crcs: bytes | None, begin: int, *parts: bytes) -> None:
    if crcs is not None and not fits(crcs, begin, *parts):
        end = begin + sum(map(len, parts))
        raise ObjectDamaged(f"{key} is not what was received, between bytes {begin} and {end}", key)


def _check_within(key: str, end: int, size: int) -> None:
    if end > size:
        raise ObjectDamaged(f"{key} has {size} bytes, expected at least {end}", key)


def _told(key: str, error: ObjectStoreError, first: ObjectStoreError | None) -> ObjectStoreError:
    """Have a closer look taken at what is missing or damaged; what the first store said is what the caller hears."""
    if isinstance(error, ObjectMissing | ObjectDamaged):
        damage.note(key, error)
    return first or error
