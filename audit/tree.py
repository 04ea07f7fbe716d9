"""The Merkle tree as it stands in the database: from the hashes of sealed events and every eighth level above them."""

from audit.merkle import KEPT_LEVELS, Frontier, node_hash, root_of
from audit.models import SealedEvent, TreeNode


class TrailAltered(Exception):
    """The log is not what it was. The text names the first place that shows it."""


def size() -> int:
    """How many events are sealed."""
    last = SealedEvent.objects.order_by("-position").values_list("position", flat=True).first()
    return last or 0


def frontier(leaves: int) -> Frontier:
    """The tree of the first ``leaves`` events, in one query for each kept level. Raises TrailAltered."""
    peaks: list[bytes | None] = []
    level = 0
    while leaves >> level:
        within = Frontier()
        for hashed in _hashes(level, leaves >> level + KEPT_LEVELS << KEPT_LEVELS, leaves >> level):
            within.append(hashed)
        peaks += within.peaks + [None] * (KEPT_LEVELS - len(within.peaks))
        level += KEPT_LEVELS
    return Frontier(peaks)


def subtree(start: int, end: int) -> bytes:
    """MTH of the events at ``start`` to ``end`` (from 0, without the last), as proofs ask for it: an HashOf.

    Raises TrailAltered.
    """
    count = end - start
    if count & (count - 1):
        middle = start + (1 << count.bit_length() - 1)
        return node_hash(subtree(start, middle), subtree(middle, end))
    level = (count.bit_length() - 1) // KEPT_LEVELS * KEPT_LEVELS
    return root_of(_hashes(level, start >> level, end >> level))


def _hashes(level: int, first: int, last: int) -> list[bytes]:
    """The hashes ``first`` to ``last`` (from 0, without the last) of a kept level; there are at most 256."""
    if level == 0:
        rows = SealedEvent.objects.filter(position__gt=first, position__lte=last).order_by("position")
        found = dict(rows.values_list("position", "leaf_hash"))
        at = first + 1
    else:
        nodes = TreeNode.objects.filter(level=level, index__gte=first, index__lt=last).order_by("index")
        found = dict(nodes.values_list("index", "hash"))
        at = first
    hashes = [bytes(found[number]) for number in range(at, at + last - first) if number in found]
    if len(hashes) != last - first:
        missing = next(number for number in range(at, at + last - first) if number not in found)
        raise TrailAltered(f"level {level} of the tree has no entry {missing}")
    return hashes
