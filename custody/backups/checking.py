"""Is everything of a backup there, and is it what was written: read, decrypted and hashed to the last byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from archive.object_store import ObjectStore, ObjectStoreError
from custody.backups.contents import Entry, by_folder, held, read
from custody.backups.errors import BackupError, Damaged
from custody.backups.manifest import Manifest
from custody.backups.target import CONTENT, Target, part_key


@dataclass(slots=True)
class Checked:
    """What was read, and what is wrong, in words that name the part."""

    objects: int = 0
    bytes: int = 0
    soft_missing: int = 0
    findings: list[str] = field(default_factory=list)


def check_parts(target: Target, manifest: Manifest) -> None:
    """Read every file but the objects. Raises Damaged at the first that is not what the manifest says."""
    for part in manifest.parts:
        for _ in whole_part(target, manifest, part):
            pass


def whole_part(target: Target, manifest: Manifest, part: str) -> Iterator[bytes]:
    """The content of a part; Damaged at its end if it is not what the manifest says."""
    key = part_key(manifest.name, part)
    hashed, size = hashlib.sha256(), 0
    for piece in target.read(key):
        hashed.update(piece)
        size += len(piece)
        yield piece
    expected = manifest.parts[part]
    if (size, hashed.hexdigest()) != (expected.size, expected.sha256):
        raise Damaged(f"{key} is not the one of this backup", key)


def missing(store: ObjectStore, entries: Iterable[Entry], prefix: str = "") -> Iterator[Entry]:
    """Those of ``entries`` of which no object is in the store, hard and soft. Raises BackupError."""
    try:
        for folder, group in by_folder(entries):
            there = held(store, prefix + folder)
            yield from (entry for entry in group if prefix + entry.key not in there)
    except ObjectStoreError as error:
        raise BackupError(f"the objects can't be listed: {error}") from error


def content(target: Target, entry: Entry) -> Iterator[bytes]:
    """The bytes of an object; Damaged at their end if they are not what its row said."""
    key = CONTENT + entry.key
    hashed, size = hashlib.sha256(), 0
    for piece in target.read(key):
        hashed.update(piece)
        size += len(piece)
        yield piece
    if entry.size not in (None, size) or entry.sha256 not in (None, hashed.hexdigest()):
        raise Damaged(f"{key} is not the object that its row names", key)


def check_objects(target: Target, manifest: Manifest, tell: Callable[[int], None]) -> Checked:
    """Read every object of the backup. Raises BackupError where the target can't be read."""
    checked = Checked()
    absent = {e.key for e in missing(target.store, read(target, part_key(manifest.name, "objects")), CONTENT)}
    known = set(manifest.damaged)
    for entry in read(target, part_key(manifest.name, "objects")):
        if entry.key in absent:
            if entry.needed and entry.key not in known:
                checked.findings.append(f"{CONTENT}{entry.key} is missing")
            checked.soft_missing += not entry.needed
            continue
        try:
            for piece in content(target, entry):
                checked.bytes += len(piece)
        except Damaged as error:
            checked.findings.append(str(error))
        checked.objects += 1
        if checked.objects % 500 == 0:
            tell(checked.objects)
    checked.findings += [f"{key} was damaged before the backup was made, and is not in it" for key in manifest.damaged]
    return checked
