"""Verification: is the trail what was sealed, and is what was sealed what was signed.

Every event is read and hashed anew; nothing that the database says about hashes is believed. Where the tree does not
lead to the root of a signed checkpoint, the leaves that were put down beside the checkpoint tell which event it is: if
they lead to the signed root, they are those that were signed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from audit import tree
from audit.archives import Archive
from audit.checkpoints import Checkpoint
from audit.merkle import Frontier, leaf_hash
from audit.places import Leaf, Place
from audit.reading import pieces

CHUNK: Final = 50_000
MOST_MISSING: Final = 1_000_000
_UNKNOWN: Final = bytes(32)
_NODES: Final = (
    "SELECT level, index, hash FROM audit_treenode WHERE (index + 1) << level > %s AND (index + 1) << level <= %s"
)
_WAITING: Final = """
    SELECT count(e.sequence), extract(epoch FROM now() - min(e.recorded_at))::float,
           array_agg(u.sequence ORDER BY u.sequence) FILTER (WHERE e.sequence IS NULL)
    FROM audit_unsealedevent u LEFT JOIN audit_accessevent e ON e.sequence = u.sequence
    WHERE NOT EXISTS (SELECT FROM audit_sealedevent s WHERE s.sequence = u.sequence)
"""
_NEXT: Final = """
    SELECT max(sequence) FROM (
        SELECT sequence FROM audit_accessevent WHERE sequence > %s ORDER BY sequence LIMIT %s) AS next
"""
_UNKNOWN_EVENTS: Final = """
    SELECT e.sequence FROM audit_accessevent e WHERE e.sequence > %s AND e.sequence <= %s
        AND NOT EXISTS (SELECT FROM audit_sealedevent s WHERE s.sequence = e.sequence)
        AND NOT EXISTS (SELECT FROM audit_unsealedevent u WHERE u.sequence = e.sequence) ORDER BY e.sequence
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: at which place of the log, if it has one, and with which event, as far as that is known."""

    position: int | None
    sequence: int | None
    text: str


@dataclass(slots=True)
class Report:
    """What was looked at and what was found; ``findings`` in the order of the log, those without a place last."""

    events: int = 0
    checkpoints: int = 0
    signed: int = 0
    archived: int = 0
    waiting: int = 0
    oldest_waiting_seconds: float | None = None
    late: int = 0
    first_late: int | None = None
    findings: list[Finding] = field(default_factory=list)


def verify(
    checkpoints: Sequence[Checkpoint],
    place: Place | None,
    tell: Callable[[int], None] = lambda _: None,
    archives: Sequence[Archive] = (),
) -> Report:
    """Read the whole trail and hold it against ``checkpoints`` (their signatures are checked already).

    ``place`` is where the leaves lie; ``tell`` is told how many events were read; what was taken out of the database
    is read from ``archives``. Raises DatabaseError, OSError.
    """
    run = _Run(checkpoints, place, archives)
    for until, rows in pieces(tree.size()):
        for row in rows:
            run.row(*row)
        run.nodes_until(until)
        tell(run.report.events)
    run.end()
    _outside_the_log(run)
    run.report.findings = sorted(run.found.values(), key=lambda f: (f.position is None, f.position or 0)) + run.unplaced
    return run.report


class _Run:
    """The state of one pass: the tree as the events make it, and the part of it that is known to be what was signed."""

    def __init__(
        self, checkpoints: Sequence[Checkpoint], place: Place | None, archives: Sequence[Archive] = ()
    ) -> None:
        self._archives = archives
        self.report = Report(checkpoints=len(checkpoints), signed=max((c.size for c in checkpoints), default=0))
        self.found: dict[int, Finding] = {}
        self.unplaced = [Finding(None, None, archive.missing) for archive in archives if archive.missing]
        self._place = place
        self._due = sorted(checkpoints, key=lambda c: c.size, reverse=True)
        self._frontier = Frontier()
        self._signed = Frontier()
        self._leaves: list[bytes | None] = []  # since `_signed`, None for an event that is gone
        self._lost = False
        self._nodes_at = 0

    def row(self, position: int, sequence: int, stored: bytes, text: str | None, late: bool | None) -> None:
        """The next row of the log with the event it names."""
        expected = self._frontier.size + 1
        if position - expected > MOST_MISSING:
            self._find(expected, None, f"the log has no positions {expected} to {position - 1}")
            self._lost = True
        while expected < position and not self._lost:
            self._find(expected, None, "the log has no such position any more")
            self._add(None)
            expected += 1
        self.report.events += 1
        leaf = leaf_hash(text.encode()) if text is not None else self._archived(position, stored)
        if leaf is None:
            self._find(position, sequence, "the event is gone")
            self._add(None)
            return
        if leaf != stored:
            self._find(position, sequence, "the event is not the one that was sealed")
        if late:
            self.report.late += 1
            self.report.first_late = self.report.first_late or sequence
        self._add(leaf)

    def _archived(self, position: int, stored: bytes) -> bytes | None:
        """The leaf of an event that lies in an archive; where the file is gone, which is a finding, the one of the log.

        That one is only as good as the checkpoint above it.
        """
        for archive in self._archives:
            if archive.holds(position):
                self.report.archived += 1
                return stored if archive.missing else archive.next_leaf()
        return None

    def nodes_until(self, position: int) -> None:
        """Hold the stored levels of the tree against those that the events make."""
        made = {(level, index): hashed for level, index, hashed in self._frontier.kept}
        self._frontier.kept.clear()
        if self.found or self._lost:
            return
        rows = _rows(_NODES, self._nodes_at, position)
        self._nodes_at = position
        stored = {(level, index): bytes(hashed) for level, index, hashed in rows}
        for level, index in sorted(made.keys() | stored.keys()):
            if made.get((level, index)) != stored.get((level, index)):
                text = f"the stored tree is not that of the events (level {level}, number {index})"
                self.unplaced.append(Finding(None, None, text))
                return

    def end(self) -> None:
        """Checkpoints of more events than there are show what is gone from the end."""
        while self._due and not self._lost:
            self._compare(self._due.pop())

    def _add(self, leaf: bytes | None) -> None:
        if self._lost:
            return
        self._frontier.append(leaf or _UNKNOWN)
        if self._due:
            self._leaves.append(leaf)
            while self._due and self._due[-1].size == self._frontier.size and not self._lost:
                self._compare(self._due.pop())

    def _compare(self, checkpoint: Checkpoint) -> None:
        whole = self._frontier.size == checkpoint.size and None not in self._leaves
        if whole and self._frontier.root() == checkpoint.root:
            self._signed = self._frontier.copy()
        else:
            self._look_closer(checkpoint)
        self._leaves.clear()

    def _look_closer(self, checkpoint: Checkpoint) -> None:
        """Something between the last good checkpoint and this one is not what was signed: what."""
        first, last = self._signed.size + 1, checkpoint.size
        when = f"{checkpoint.time:%Y-%m-%dT%H:%M:%SZ}"
        outside = self._outside(first, last)
        signed = self._signed.copy()
        for position in range(first, last + 1):
            signed.append(outside[position][1] if position in outside else _UNKNOWN)
        if signed.root() != checkpoint.root:
            text = f"the events at positions {first} to {last} are not those of the checkpoint signed at {when}"
            known = [position for position in self.found if first <= position <= last]
            if known:
                self.unplaced.append(Finding(None, None, text))
            else:
                self._find(first, None, f"{text}, and no leaves beside it tell which; the first bad one is in there")
            self._lost = True
            return
        for offset, position in enumerate(range(first, last + 1)):
            sequence, leaf = outside[position]
            now = self._leaves[offset] if offset < len(self._leaves) else None
            if now is None:
                self._find(position, sequence, f"the event is gone; it was there at {when}")
            elif now != leaf:
                self._find(position, sequence, f"another event stood here at {when}; hashes were written anew")
        self._signed, self._frontier = signed, signed.copy()

    def _outside(self, first: int, last: int) -> dict[int, Leaf]:
        return dict(self._place.leaves(first, last)) if self._place is not None else {}

    def _find(self, position: int, sequence: int | None, text: str) -> None:
        known = self.found.get(position)
        if known is None or known.sequence is None:
            self.found[position] = Finding(position, sequence, known.text if known else text)


def _outside_the_log(run: _Run) -> None:
    """Events that are not in the log: those that wait to be, and those that should wait and don't."""
    [(run.report.waiting, run.report.oldest_waiting_seconds, gone)] = _rows(_WAITING)
    for sequence in gone or ():
        run.unplaced.append(Finding(None, sequence, "the event is gone; it was waiting to be sealed"))
    begins = 0
    while (ends := next(_rows(_NEXT, begins, CHUNK))[0]) is not None:
        for (sequence,) in _rows(_UNKNOWN_EVENTS, begins, ends):
            run.unplaced.append(Finding(None, sequence, "the event is neither sealed nor waiting: it was slipped in"))
        begins = ends


def _rows(sql: str, *values: int) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        yield from cursor.fetchall()
