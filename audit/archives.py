"""Old months of the trail leave the database as files; the log keeps their hashes, so that they stay provable.

A file has the canonical text of each event (``audit.canonical``) in a line, in the order of the log, compressed by
gzip: whoever has it, a signed checkpoint and the hashes beside it can prove each line without this product.
"""

import gzip
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from audit.archive_models import ArchivedPartition
from audit.bounded import bounded
from audit.canonical import CANONICAL_SQL
from audit.kinds import CONFIGURATION
from audit.merkle import leaf_hash
from audit.partitions import Partition, partitions
from audit.record import NewAccessEvent, record

LEAST_YEARS: Final = 6
LOCK_SECONDS: Final = 1.0
_NAME: Final = re.compile(r"[a-z0-9_]+")


class NotArchived(Exception):
    """A month stays in the database; the text says why."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What was written: the events, their positions as pairs of first and last, the file and its digest."""

    events: int
    positions: list[tuple[int, int]]
    file: Path
    sha256: str


def archive_folder() -> Path:
    """Where this installation puts the copies."""
    return Path(settings.PACS.audit.archive or settings.PACS.data / "audit-archive")


def due(now: datetime | None = None) -> list[Partition]:
    """The partitions all of whose events are older than ``PACS.audit.years``; none where nothing is set."""
    years = settings.PACS.audit.years
    if years is None:
        return []
    moment = now or timezone.now()
    # The first of a month is in every year.
    before = moment.astimezone(UTC).replace(
        year=moment.year - max(years, LEAST_YEARS), day=1, hour=0, minute=0, second=0, microsecond=0
    )
    return [part for part in partitions() if part.high is not None and part.high <= before]


def copy(part: Partition, folder: Path, signed: int) -> Copy:
    """Write the events of ``part`` to a file in ``folder``, and read it again against the log.

    Raises NotArchived unless every event is sealed, and under a checkpoint of ``signed`` events; OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{_named(part)}.jsonl.gz"
    half = path.with_suffix(".half")
    positions: list[tuple[int, int]] = []
    events = 0
    half.unlink(missing_ok=True)
    # Whoever may look into the folder reads no patient's trail there.
    half.touch(mode=0o600)
    with half.open("wb") as file, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
        for position, leaf, text in _sealed(part):
            line = text.encode()
            if leaf_hash(line) != leaf:
                raise NotArchived(f"the event at position {position} is not the one that was sealed")
            if position > signed:
                raise NotArchived(f"the event at position {position} is under no signed checkpoint yet")
            packed.write(line + b"\n")
            events += 1
            if positions and positions[-1][1] == position - 1:
                positions[-1] = (positions[-1][0], position)
            else:
                positions.append((position, position))
    if events != _count(part):
        raise NotArchived("it has events that are not sealed")
    with half.open("rb") as written:
        os.fsync(written.fileno())
    if sum(1 for _ in lines(half)) != events:
        raise NotArchived("its copy can't be read again")
    half.rename(path)
    _sync_folder(folder)
    return Copy(events, positions, path, digest(path))


def detach(part: Partition, copied: Copy) -> None:
    """Take ``part`` out of the trail: its table stays, under its name, but no question and no page reads it.

    In one transaction with the event that says so and the row that says where the copy is. Raises DatabaseError,
    AuditUnavailable.
    """
    if part.high is None:
        raise NotArchived("it is the partition for what has no month")
    with transaction.atomic():
        # Whoever writes waits behind this, so it waits for readers a moment only.
        with bounded(lock_seconds=LOCK_SECONDS), connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE audit_accessevent DETACH PARTITION {_named(part)}")
        ArchivedPartition.objects.create(
            name=part.name,
            low=part.low,
            high=part.high,
            events=copied.events,
            positions=copied.positions,
            file=copied.file.name,
            sha256=copied.sha256,
        )
        record(
            [
                NewAccessEvent(
                    kind=CONFIGURATION,
                    principal_kind="system",
                    principal_name="audit archive",
                    outcome_description=(
                        f"partition {part.name} of the trail detached: {copied.events} events before "
                        f"{part.high:%Y-%m-%d} are in {copied.file.name}, SHA-256 {copied.sha256}"
                    ),
                )
            ]
        )


class Archive:
    """The copy of a detached partition, read along with the log."""

    def __init__(self, row: ArchivedPartition, folder: Path) -> None:
        self.name = row.name
        self.missing = ""
        self._positions = [(int(first), int(last)) for first, last in row.positions]
        self._lines: Iterator[bytes] = iter(())
        path = folder / row.file
        if not path.is_file():
            self.missing = f"{row.file}, with the events of {row.name}, is not in {folder}"
        elif digest(path) != row.sha256:
            self.missing = f"{row.file} in {folder} is not the file that was written"
        else:
            self._lines = lines(path)

    def holds(self, position: int) -> bool:
        """Whether the event at ``position`` was taken out with this partition."""
        return any(first <= position <= last for first, last in self._positions)

    def text(self, position: int) -> str | None:
        """The canonical text of the event at ``position``, which it holds; None without the file. Reads up to there."""
        before = sum(min(last, position - 1) - first + 1 for first, last in self._positions if first < position)
        line = next(islice(self._lines, before, None), None)
        return line.decode() if line is not None else None

    def next_leaf(self) -> bytes | None:
        """The leaf hash of the next event in the file; None at its end, or without it."""
        line = next(self._lines, None)
        return leaf_hash(line) if line is not None else None


def archives(folder: Path | None = None) -> list[Archive]:
    """All that were detached. Raises DatabaseError, OSError."""
    rows = ArchivedPartition.objects.order_by("high")
    return [Archive(row, folder or archive_folder()) for row in rows]


def archived(positions: Collection[int]) -> set[int]:
    """Those of these places of the log whose events were taken out. Raises DatabaseError."""
    rows = ArchivedPartition.objects.values_list("positions", flat=True) if positions else ()
    spans = [(first, last) for places in rows for first, last in places]
    return {position for position in positions if any(first <= position <= last for first, last in spans)}


def archived_text(position: int) -> str | None:
    """The canonical text of an event that was taken out, from the file; None where none has it. Raises OSError."""
    texts = (archive.text(position) for archive in archives() if archive.holds(position))
    return next((text for text in texts if text is not None), None)


def lines(path: Path) -> Iterator[bytes]:
    """The canonical texts in a copy. Raises OSError, EOFError."""
    with gzip.open(path, "rb") as packed:
        for line in packed:
            yield line.rstrip(b"\n")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sealed(part: Partition) -> Iterator[tuple[int, bytes, str]]:
    sql = (
        f"COPY (SELECT s.position, s.leaf_hash, {CANONICAL_SQL} FROM audit_sealedevent s "  # noqa: S608 - our own names
        f"JOIN {_named(part)} e ON e.sequence = s.sequence ORDER BY s.position) TO STDOUT (FORMAT BINARY)"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        with cursor.copy(sql) as rows:
            rows.set_types(("int8", "bytea", "text"))
            yield from rows.rows()


def _count(part: Partition) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {_named(part)}")  # noqa: S608 - the same
        return int(cursor.fetchone()[0])


def _named(part: Partition) -> str:
    """The name of its table, which the database gave us and which is one of ours."""
    if not _NAME.fullmatch(part.name):
        raise NotArchived(f"{part.name} is no name of ours")
    return part.name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
