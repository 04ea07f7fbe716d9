"""Which objects belong to a backup: every one that a row of the snapshot points at, sorted by key.

Kept as a gzip text of one line an object: key, bytes, SHA-256 (hex, or - where the row has none), and ``hard`` or
``soft``. A soft one was made from others and can be made again, so it may be missing.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from isal import igzip

from archive.object_store import ObjectStore
from archive.object_store.marks import tier_of
from custody.backups.sealed import Sealer
from custody.backups.target import Target

# What points at objects: rows of key, size (null: not known), SHA-256 (null: not known), hard.
_SOURCES: Final = (
    "SELECT object_key, object_size, object_sha256, true FROM archive_instance",
    "SELECT object_key, object_size, object_sha256, true FROM archive_representation",
    # What was deleted and can be brought back, and originals that were replaced at rest, which a legal hold may keep.
    "SELECT object_key, size, sha256, false FROM archive_deletedobject "
    "WHERE sop_instance_uid <> '' OR deleted_by = 'at rest'",
    "SELECT object_key, object_size, NULL::bytea, false FROM archive_seriesdocument",
    "SELECT object_key, NULL::bigint, NULL::bytea, false FROM archive_thumbnailpack",
)
_EVERY: Final = f"""
    SELECT object_key, max(size), max(encode(sha256, 'hex')), bool_or(hard)
    FROM ({" UNION ALL ".join(_SOURCES)}) AS held (object_key, size, sha256, hard)
    GROUP BY object_key COLLATE "C", object_key ORDER BY object_key COLLATE "C"
"""  # noqa: S608 - our own words alone
_ROWS: Final = 5_000
_AT_ONCE: Final = 64
_BYTES_AT_ONCE: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: ``size`` in bytes and ``sha256`` (hex), None where no row says it."""

    key: str
    size: int | None
    sha256: str | None
    hard: bool

    @property
    def needed(self) -> bool:
        """Whether a backup without it lacks something; one in the cold tier may stay there, where it takes a recall."""
        return self.hard and tier_of(self.key) != "cold"

    def line(self) -> bytes:
        """As it is kept."""
        size = "-" if self.size is None else self.size
        return f"{self.key} {size} {self.sha256 or '-'} {'hard' if self.hard else 'soft'}\n".encode()


def of_database(connection: psycopg.Connection[Any]) -> Iterator[Entry]:
    """In one snapshot, within an open transaction."""
    with connection.cursor(name="backup_objects") as cursor:
        cursor.itersize = _ROWS
        cursor.execute(_EVERY)
        for key, size, sha256, hard in cursor:
            yield Entry(key, size, sha256 or None, hard)


def write(entries: Iterable[Entry], sealer: Sealer) -> tuple[int, int]:
    """Put them into a file; how many there are and the bytes of the objects, as far as they are known."""
    count = size = 0
    with igzip.GzipFile(fileobj=_Writer(sealer), mode="wb", compresslevel=1, mtime=0) as lines:
        for entry in entries:
            lines.write(entry.line())
            count += 1
            size += entry.size or 0
    return count, size


def read(target: Target, key: str) -> Iterator[Entry]:
    """What ``write`` put there. Raises BackupError."""
    with igzip.GzipFile(fileobj=_Reader(target.read(key)), mode="rb") as lines:
        for line in lines:
            name, size, sha256, hard = line.decode().split()
            yield Entry(name, None if size == "-" else int(size), None if sha256 == "-" else sha256, hard == "hard")


def by_folder(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """The folder and its objects: those of one day, which are few enough to be held."""
    for folder, group in itertools.groupby(entries, lambda entry: entry.key.rpartition("/")[0]):
        yield folder, list(group)


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """As many as are made durable together."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size or 0
        if len(batch) == _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def held(store: ObjectStore, folder: str) -> set[str]:
    """The keys that lie in a folder. Raises ObjectStoreError."""
    return set(store.keys(f"{folder}/" if folder else ""))


class _Writer(io.RawIOBase):
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._sealer.write(bytes(data))


class _Reader(io.RawIOBase):
    """A file over pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._held:
            self._held = next(self._pieces, b"")
        taken = self._held[: len(buffer)]
        buffer[: len(taken)] = taken
        self._held = self._held[len(taken) :]
        return len(taken)


def stream(pieces: Iterator[bytes]) -> io.BufferedReader:
    """A file that reads these pieces."""
    return io.BufferedReader(_Reader(pieces), 1 << 16)
