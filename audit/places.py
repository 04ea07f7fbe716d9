"""The place outside of the database where checkpoints are kept: a folder to which files are only ever added.

    2030-01-31/000000001234.checkpoint            the signed checkpoint of the first 1234 events
    2030-01-31/000000001001-000000001234.leaves   for each event since the one before: sequence (8 bytes, big-endian)
                                                  and leaf hash (32 bytes)

The leaves are not signed, but their root is: with them it can be said which
event was changed, and not only that one was.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from audit.checkpoints import Checkpoint

LEAF: Final = struct.Struct(">q32s")
Leaf = tuple[int, bytes]
_CHECKPOINT: Final = ".checkpoint"
_LEAVES: Final = ".leaves"


class Folder:
    """A folder of checkpoints; it is made when the first one is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def newest(self) -> Path | None:
        """The checkpoint of the most events."""
        return max(self.path.glob(f"*/*{_CHECKPOINT}"), key=_size, default=None)

    def checkpoints(self) -> list[Path]:
        """All, by size."""
        return sorted(self.path.glob(f"*/*{_CHECKPOINT}"), key=_size)

    def write_leaves(self, day: str, first: int, leaves: Iterable[Leaf]) -> None:
        """Those of the events from position ``first`` on. Raises OSError."""
        records = b"".join(LEAF.pack(*leaf) for leaf in leaves)
        last = first + len(records) // LEAF.size - 1
        self._write(f"{day}/{first:012}-{last:012}{_LEAVES}", records)

    def write_checkpoint(self, checkpoint: Checkpoint) -> Path:
        """Durable when this returns; one that is there already stays. Raises OSError."""
        return self._write(
            f"{checkpoint.time:%Y-%m-%d}/{checkpoint.size:012}{_CHECKPOINT}", checkpoint.text.encode("utf-8")
        )

    def leaves(self, first: int, last: int) -> Iterator[tuple[int, Leaf]]:
        """(position, leaf) for positions ``first`` to ``last``, as far as there are any."""
        for path in sorted(self.path.glob(f"*/*{_LEAVES}"), key=_span):
            begins, ends = _span(path)
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


def _size(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0


def _span(path: Path) -> tuple[int, int]:
    first, _, last = path.stem.partition("-")
    return (int(first), int(last)) if first.isdigit() and last.isdigit() else (0, 0)
