"""The place outside of the database where checkpoints are kept: a folder, or a bucket, to which files are only added.

    2030-01-31/000000001234.checkpoint            the signed checkpoint of the first 1234 events
    2030-01-31/000000001001-000000001234.leaves   for each event since the one before: sequence (8 bytes, big-endian)
                                                  and leaf hash (32 bytes)

The leaves are not signed, but their root is: with them it can be said which
event was changed, and not only that one was.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from audit.checkpoints import Checkpoint

LEAF: Final = struct.Struct(">q32s")
Leaf = tuple[int, bytes]
CHECKPOINT: Final = ".checkpoint"
LEAVES: Final = ".leaves"


class Kept(Protocol):
    """A checkpoint where it is kept; ``stem`` is its size."""

    @property
    def name(self) -> str: ...

    @property
    def stem(self) -> str: ...

    def read_text(self) -> str:
        """The signed note. Raises OSError, UnicodeDecodeError."""


class Place(Protocol):
    """Where checkpoints are kept. All of it may raise OSError."""

    def newest(self) -> Kept | None:
        """The checkpoint of the most events."""

    def checkpoints(self) -> Sequence[Kept]:
        """Those to verify by, by size."""

    def write_leaves(self, day: str, first: int, leaves: Iterable[Leaf]) -> None:
        """Those of the events from position ``first`` on."""

    def write_checkpoint(self, checkpoint: Checkpoint) -> Kept:
        """Durable when this returns; one that is there already stays."""

    def leaves(self, first: int, last: int) -> Iterator[tuple[int, Leaf]]:
        """(position, leaf) for positions ``first`` to ``last``, as far as there are any."""


class Folder:
    """A folder of checkpoints; it is made when the first one is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def newest(self) -> Path | None:
        """The checkpoint of the most events."""
        return max(self.path.glob(f"*/*{CHECKPOINT}"), key=lambda path: size(path.stem), default=None)

    def checkpoints(self) -> list[Path]:
        """All, by size."""
        return sorted(self.path.glob(f"*/*{CHECKPOINT}"), key=lambda path: size(path.stem))

    def write_leaves(self, day: str, first: int, leaves: Iterable[Leaf]) -> None:
        """Those of the events from position ``first`` on. Raises OSError."""
        self._write(*packed(day, first, leaves))

    def write_checkpoint(self, checkpoint: Checkpoint) -> Path:
        """Durable when this returns; one that is there already stays. Raises OSError."""
        return self._write(name_of(checkpoint), checkpoint.text.encode("utf-8"))

    def leaves(self, first: int, last: int) -> Iterator[tuple[int, Leaf]]:
        """(position, leaf) for positions ``first`` to ``last``, as far as there are any."""
        for path in sorted(self.path.glob(f"*/*{LEAVES}"), key=lambda path: span(path.stem)):
            begins, ends = span(path.stem)
            if first <= ends and begins <= last:
                with path.open("rb") as file:
                    file.seek(max(0, first - begins) * LEAF.size)
                    for position in range(max(first, begins), min(last, ends) + 1):
                        record = file.read(LEAF.size)
                        if len(record) == LEAF.size:
                            yield position, LEAF.unpack(record)

    def _write(self, name: str, data: bytes) -> Path:
        """As a whole or not at all, also if the power fails."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        # Where nothing may be removed the draft stays, and harms nobody.
        with suppress(OSError):
            draft.unlink()
        for folder in (path.parent, self.path):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return path


def name_of(checkpoint: Checkpoint) -> str:
    """Where a checkpoint lies in its place."""
    return f"{checkpoint.time:%Y-%m-%d}/{checkpoint.size:012}{CHECKPOINT}"


def packed(day: str, first: int, leaves: Iterable[Leaf]) -> tuple[str, bytes]:
    """Where leaves lie in their place, and their bytes."""
    records = b"".join(LEAF.pack(*leaf) for leaf in leaves)
    last = first + len(records) // LEAF.size - 1
    return f"{day}/{first:012}-{last:012}{LEAVES}", records


def size(stem: str) -> int:
    """How many events the checkpoint of that name is of; 0 for what is none."""
    return int(stem) if stem.isdigit() else 0


def span(stem: str) -> tuple[int, int]:
    """The first and last position of the leaves of that name; 0 and 0 for what holds none."""
    first, _, last = stem.partition("-")
    return (int(first), int(last)) if first.isdigit() and last.isdigit() else (0, 0)
