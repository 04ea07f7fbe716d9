"""The Merkle tree of RFC 9162 2.1 over SHA-256: hashes, inclusion proofs and consistency proofs. Knows no database.

``HashOf`` stands for the leaves: ``hash_of(start, end)`` is MTH(D[start:end]), the root of those leaves alone.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

HashOf = Callable[[int, int], bytes]
EMPTY_ROOT: Final = sha256(b"").digest()
KEPT_LEVELS: Final = 8


def leaf_hash(entry: bytes) -> bytes:
    """HASH(0x00 || entry) (RFC 9162 2.1.1)."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """HASH(0x01 || left || right) (RFC 9162 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the whole subtrees that a tree of ``size`` leaves is made of: all that is needed to go on.

    ``peaks[level]`` is the root of a whole subtree of 2**level leaves, or None. ``kept`` collects the roots at each
    eighth level as they become whole: (level, index, hash); whoever wants them takes them out.
    """

    def __init__(self, peaks: Iterable[bytes | None] = ()) -> None:
        self.peaks = list(peaks)
        self.size = sum(1 << level for level, peak in enumerate(self.peaks) if peak is not None)
        self.kept: list[tuple[int, int, bytes]] = []

    def copy(self) -> "Frontier":
        """Another one that goes its own way."""
        return Frontier(self.peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        level, carried, peaks = 0, leaf, self.peaks
        self.size += 1
        while level < len(peaks) and (left := peaks[level]) is not None:
            carried = sha256(b"\x01" + left + carried).digest()
            peaks[level] = None
            level += 1
            if level % KEPT_LEVELS == 0:
                self.kept.append((level, (self.size >> level) - 1, carried))
        if level == len(peaks):
            peaks.append(None)
        peaks[level] = carried

    def root(self) -> bytes:
        """MTH of all leaves."""
        found: bytes | None = None
        for peak in self.peaks:
            if peak is not None:
                found = peak if found is None else node_hash(peak, found)
        return EMPTY_ROOT if found is None else found


def root_of(leaves: Iterable[bytes]) -> bytes:
    """MTH of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(index: int, size: int, hash_of: HashOf) -> list[bytes]:
    """PATH(index, D[0:size]) (RFC 9162 2.1.3.1), ``index`` from 0. Raises ValueError for an index beyond the tree."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(hash_of(middle, end))
            end = middle
        else:
            path.append(hash_of(start, middle))
            start = middle
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to (RFC 9162 2.1.3.2); None if it can't be a proof for this place."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf
    for hashed in path:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node_hash(hashed, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, hashed)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def consistency_proof(first: int, second: int, hash_of: HashOf) -> list[bytes]:
    """PROOF(first, D[0:second]) (RFC 9162 2.1.4.1). Raises ValueError unless 0 < first <= second."""
    if not 0 < first <= second:
        raise ValueError("the first tree must be a part of the second one, and not empty")
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(hash_of(middle, end))
            end = middle
        else:
            path.append(hash_of(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(hash_of(start, end))
    return path[::-1]


def is_consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of ``second`` leaves begins with the one of ``first`` (RFC 9162 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    nodes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not nodes:
        return False
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = nodes[0]
    for hashed in nodes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(hashed, old), node_hash(hashed, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, hashed)
        place, last = place >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1
