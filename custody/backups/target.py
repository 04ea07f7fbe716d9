"""Where backups lie: a folder or a bucket, as a write-once object store of its own.

backups/20300131t020000z-1f2e/manifest    what belongs to it; written last, so that half a backup is none
backups/20300131t020000z-1f2e/database    the dump
backups/20300131t020000z-1f2e/files       secrets, checkpoints and archives of the trail
backups/20300131t020000z-1f2e/objects     which objects belong to it, with size and SHA-256
backups/20300131t020000z-1f2e/verified    that all of it was read and found whole
content/...                               the objects under their keys, once for all backups
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archive.object_store import ObjectMissing, ObjectStore, ObjectStoreError
from custody.backups.errors import BackupError, Damaged
from custody.backups.keys import BackupKey
from custody.backups.sealed import Sealer, unseal

CONTENT: Final = "content/"
_BACKUPS: Final = "backups/"
_S3: Final = "s3://"


@dataclass(frozen=True, slots=True)
class Target:
    """A place of backups and the key to it; ``name`` is what people call it."""

    name: str
    store: ObjectStore
    key: BackupKey

    def names(self) -> list[str]:
        """Those of complete backups, the oldest first. Raises BackupError."""
        return sorted({name for name, part in self._parts() if part == "manifest"})

    def verified(self) -> set[str]:
        """Those that ``verify`` found whole."""
        return {name for name, part in self._parts() if part == "verified"}

    def parts(self, name: str) -> list[str]:
        """What lies in one backup."""
        return [part for found, part in self._parts(f"{_BACKUPS}{name}/") if found == name]

    def unfinished(self) -> list[str]:
        """Those without a manifest: under way, or left by one that was broken off."""
        parts = list(self._parts())
        whole = {name for name, part in parts if part == "manifest"}
        return sorted({name for name, _ in parts} - whole)

    def write(self, key: str, data: bytes) -> int:
        """A small file; the bytes it takes. Raises ObjectStoreError."""
        with self.store.stage() as staged:
            sealer = Sealer(staged, self.key, key)
            sealer.write(data)
            sealer.finish()
            self.store.publish([(staged, key)])
            return staged.size

    def read(self, key: str) -> Iterator[bytes]:
        """The content of a file in chunks. Raises WrongKey, Damaged, BackupError."""
        try:
            yield from unseal(self.store.open_range(key), self.key, key)
        except ObjectMissing as error:
            raise Damaged(f"{key} is missing", key) from error
        except ObjectStoreError as error:
            raise BackupError(f"{key} can't be read from {self.name}: {error}") from error

    def remove(self, name: str) -> None:
        """One backup, its manifest first; not the objects it shares with others. Raises ObjectStoreError."""
        for part in sorted(self.parts(name), key=lambda part: part != "manifest"):
            self.store.delete(part_key(name, part))

    def _parts(self, prefix: str = _BACKUPS) -> Iterator[tuple[str, str]]:
        try:
            for key in self.store.keys(prefix):
                name, _, part = key.removeprefix(_BACKUPS).partition("/")
                yield name, part
        except ObjectStoreError as error:
            raise BackupError(f"{self.name} can't be read: {error}") from error


def part_key(name: str, part: str) -> str:
    """Where a part of a backup lies."""
    return f"{_BACKUPS}{name}/{part}"


def open_target(where: str, key: BackupKey, config: Any, *, make: bool = False) -> Target:
    """The folder, or ``s3://bucket/prefix`` with the access of ``config.backup.s3`` (`pacs_project.config.Config`).

    Raises BackupError where it isn't there (a folder is made with ``make``).
    """
    try:
        store = _bucket(where, config) if where.startswith(_S3) else _folder(where, config, make=make)
        store.check()
    except ObjectStoreError as error:
        raise BackupError(f"{where} can't be reached: {error}") from error
    return Target(where, store, key)


def _folder(where: str, config: Any, *, make: bool) -> ObjectStore:
    from archive.object_store.file import FileObjectStore

    path = Path(where).expanduser().absolute()
    if not make and not (path / "objects").is_dir():
        raise BackupError(f"There are no backups in {path}.")
    own = (Path(config.data) / "store").absolute()
    if path == own or own in path.parents:
        raise BackupError(f"{path} lies in the object store itself: a backup belongs on another disk.")
    return FileObjectStore(path)


def _bucket(where: str, config: Any) -> ObjectStore:
    # boto3 takes a good part of a second to import: only where it is used
    from archive.object_store.s3 import S3ObjectStore

    bucket, _, prefix = where.removeprefix(_S3).partition("/")
    access = config.backup.s3
    return S3ObjectStore(
        endpoint_url=access.endpoint_url,
        bucket=bucket,
        region=access.region,
        access_key_id=access.access_key_id,
        secret_access_key=access.secret_access_key.get_secret_value(),
        prefix=prefix,
        spool_dir=Path(config.data) / "spool",
    )
