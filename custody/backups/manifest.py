"""What belongs to one backup. It is a file like the others, so its encryption vouches for every word of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from custody.backups.errors import BackupError, Damaged
from custody.backups.target import Target, part_key

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup: bytes and SHA-256 (hex) of its content before encryption."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database said in the moment of the snapshot."""

    complete_until: datetime
    counts: Mapping[str, int]
    feed_position: int
    audit_sequence: int
    audit_sealed: int
    server_version: int
    migrations: Mapping[str, str]
    """The newest applied migration of each application."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``objects_here``: whether the objects are in the target (else they stay in the bucket of the installation).

    ``damaged`` names objects that could not be copied whole, a hundred at most.
    """

    name: str
    product: str
    made_at: datetime
    facts: Facts
    parts: Mapping[str, Part]
    objects: int
    object_bytes: int
    objects_here: bool
    secret_key_id: str
    damaged: tuple[str, ...]


def write(target: Target, manifest: Manifest) -> int:
    """Make the backup complete; the bytes it takes. Raises ObjectStoreError."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, default=lambda moment: moment.isoformat())
    return target.write(part_key(manifest.name, "manifest"), text.encode())


def read(target: Target, name: str) -> Manifest:
    """Raises BackupError, WrongKey, Damaged."""
    key = part_key(name, "manifest")
    found: dict[str, Any] = json.loads(b"".join(target.read(key)))
    if found.pop("format") != FORMAT:
        raise BackupError(f"{name} was written by a newer release, which is needed to read it.")
    facts = found["facts"]
    facts["complete_until"] = datetime.fromisoformat(facts["complete_until"])
    found["facts"] = Facts(**facts)
    found["made_at"] = datetime.fromisoformat(found["made_at"])
    found["parts"] = {part: Part(**each) for part, each in found["parts"].items()}
    found["damaged"] = tuple(found["damaged"])
    manifest = Manifest(**found)
    if manifest.name != name:
        raise Damaged(f"{key} is the manifest of {manifest.name}", key)
    return manifest


def newest(target: Target, name: str | None = None) -> Manifest:
    """The backup called ``name``, else the newest one. Raises BackupError where there is none."""
    names = target.names()
    if name is not None and name not in names:
        raise BackupError(f"There is no backup called {name} in {target.name}.")
    if not names:
        raise BackupError(f"There is no complete backup in {target.name}.")
    return read(target, name or names[-1])
