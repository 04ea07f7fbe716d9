"""Objects on their way into a target: each once, compared with what its row says while it is copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from archive.object_store import (
    ObjectDamaged,
    ObjectMissing,
    ObjectRecalling,
    ObjectStore,
    ObjectStoreError,
    Staged,
)
from archive.object_store.key_service import KeyDestroyed
from custody.backups.contents import Entry, batches, by_folder, held
from custody.backups.errors import BackupError
from custody.backups.sealed import Sealer
from custody.backups.target import CONTENT, Target

NAMED: Final = 100


@dataclass(slots=True)
class Copied:
    """What was copied: objects and bytes written. ``damaged``: those that are not what their row says, 100 at most."""

    objects: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)

    def damage(self, key: str) -> None:
        """Name it once."""
        if len(self.damaged) < NAMED and key not in self.damaged:
            self.damaged.append(key)


def copy(
    source: ObjectStore,
    target: Target,
    entries: Iterable[Entry],
    copied: Copied,
    tell: Callable[[int], None] = lambda _: None,
    *,
    last: bool,
) -> None:
    """Copy those of ``entries`` (sorted by key) that are not in the target yet.

    One that is not whole here is not copied, so that a good copy of an earlier backup stays; with ``last`` it is named,
    unless it is soft. Raises BackupError where either side can't be reached.
    """
    seen = 0
    try:
        for folder, group in by_folder(entries):
            there = held(target.store, f"{CONTENT}{folder}")
            missing = [entry for entry in group if CONTENT + entry.key not in there]
            for some in batches(missing):
                _copy(source, target, some, copied, last=last)
            seen += len(group)
            tell(seen)
    except ObjectStoreError as error:
        raise BackupError(f"objects can't be copied to {target.name}: {error}") from error


def _copy(source: ObjectStore, target: Target, entries: Sequence[Entry], copied: Copied, *, last: bool) -> None:
    with ExitStack() as stack:
        staged: list[tuple[Staged, str]] = []
        for entry in entries:
            one = stack.enter_context(target.store.stage())
            sealer = Sealer(one, target.key, CONTENT + entry.key)
            if _read(source, entry, sealer):
                staged.append((one, CONTENT + entry.key))
            elif entry.needed and last:
                copied.damage(entry.key)
        target.store.publish(staged)
        copied.objects += len(staged)
        copied.bytes += sum(one.size for one, _ in staged)


def _read(source: ObjectStore, entry: Entry, sealer: Sealer) -> bool:
    """Whether the object is what its row says."""
    try:
        for piece in source.open_range(entry.key):
            sealer.write(piece)
    except (ObjectMissing, ObjectDamaged, ObjectRecalling, KeyDestroyed):
        return False
    sealer.finish()
    return entry.size in (None, sealer.size) and entry.sha256 in (None, sealer.sha256.hex())
