"""The way back: into an empty installation, all of it or nothing.

What is small is read to its end before anything is changed. Then secrets and checkpoints, the objects, and last the
database in one transaction, so that there is no moment in which half of it can be used; if anything fails, what was
put there is taken away again. The database itself can't be used before it is settled (``unsettled``).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from django.db import DatabaseError, InterfaceError

from archive.object_store import ObjectStore, ObjectStoreError, Staged
from archive.object_store.marks import seal_of
from custody.backups import checking, contents, files, unsettled
from custody.backups.database import is_empty, refuse_newer
from custody.backups.database import restore as restore_database
from custody.backups.errors import BackupError, Damaged, Unknown
from custody.backups.files import Placed
from custody.backups.manifest import Manifest
from custody.backups.programs import Address
from custody.backups.target import CONTENT, Target, part_key
from custody.backups.unsettled import Note

Tell = Callable[[str], None]
Stores = Callable[[bool], ObjectStore]


@dataclass(slots=True)
class Restored:
    """What came back. ``left_out`` names objects that are damaged in the backup.

    ``database`` is whether the database is there, or may be: then what it names is not taken away any more.
    """

    objects: int = 0
    bytes: int = 0
    database: bool = False
    left_out: list[str] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)

    @property
    def aside(self) -> list[Path]:
        """Where that lies now which was in the way."""
        return [each.kept for each in self.placed if each.kept is not None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """``objects`` False: only the database. ``skip_damaged``: go on without objects that are damaged in the backup.

    ``person`` is who wants it, for the trail.
    """

    objects: bool = True
    skip_damaged: bool = False
    person: str = ""


def check_room(target: Target, manifest: Manifest, config: Any, wanted: Wanted) -> None:
    """Everything that can be known before a byte is written. Raises BackupError."""
    refuse_newer(manifest.facts.migrations)
    if unsettled.found() is not None and unsettled.came_back():
        raise BackupError(
            "A restore was broken off when its database was there already: ./pacs up (or ./pacs manage migrate) "
            "completes it."
        )
    if not is_empty():
        raise BackupError(
            "The database is not empty. A backup is restored into an empty one only: name another in "
            "PACS_DATABASE_URL, or another data folder in PACS_DATA, or move the old one away first."
        )
    checking.check_parts(target, manifest)
    if not wanted.objects or not manifest.objects_here:
        return
    folder = Path(config.data) / "store" / "objects"
    if config.object_store == "file" and folder.is_dir() and any(folder.iterdir()):
        raise BackupError(
            f"There are objects in {folder} already. Move them away first, or keep them and restore --database-only."
        )
    entries = contents.read(target, part_key(manifest.name, "objects"))
    absent = [e.key for e in checking.missing(target.store, entries, CONTENT) if e.needed]
    lost = sorted(set(absent) - set(manifest.damaged))
    if lost and not wanted.skip_damaged:
        raise Damaged(f"{len(lost)} objects are missing in the backup, the first is {CONTENT}{lost[0]}", lost[0])


def restore(
    target: Target,
    manifest: Manifest,
    address: Address,
    config: Any,
    stores: Stores,
    wanted: Wanted,
    tell: Tell,
) -> Restored:
    """Bring it back. ``check_room`` comes before. Raises BackupError, with everything as it was; ``Unknown`` where
    nobody can tell whether the database came, with everything as it is.

    ``stores`` gives the object store that takes sealed objects (True), and the one that takes the others.
    """
    done = Restored()
    data = Path(config.data)
    data.mkdir(parents=True, exist_ok=True)
    aside = data / f"before-restore-{datetime.now(UTC):%Y%m%dt%H%M%Sz}"
    # Keys may be many: which were published stands in a file, not in memory.
    with tempfile.TemporaryFile(dir=data) as published:
        try:
            tell("secrets and checkpoints")
            _files(target, manifest, config, aside, done.placed, keep=not wanted.objects)
            if wanted.objects and manifest.objects_here:
                _objects(target, manifest, stores, wanted, done, published, tell)
            tell("database")
            _database(target, manifest, address, done, _note(target, manifest, done, wanted))
        except BaseException:
            if not done.database:
                # A bucket keeps what it got: a further attempt goes on there.
                if config.object_store == "file":
                    _take_away(stores(False), published)
                files.put_back(done.placed)
            raise
    return done


def _database(target: Target, manifest: Manifest, address: Address, done: Restored, note: Note) -> None:
    try:
        unsettled.begin(note)
    except (DatabaseError, InterfaceError) as error:
        raise BackupError(f"The database can't be kept from others meanwhile ({type(error).__name__}).") from error
    done.database = True
    try:
        restore_database(checking.whole_part(target, manifest, "database"), manifest, address)
    except BaseException as error:
        try:
            done.database = unsettled.came_back()
        except (DatabaseError, InterfaceError) as away:
            if isinstance(error, Exception):
                raise Unknown(
                    f"{error}\nThe database can't be asked whether it came back ({type(away).__name__}), so all that "
                    "was restored stays where it is. Once it can: ./pacs up (or ./pacs manage migrate) completes the "
                    "restore, or says that it has to be begun again."
                ) from error
            raise error from None
        if done.database and type(error) is BackupError:
            return  # it lost its connection as it committed
        if not done.database:
            with suppress(DatabaseError, InterfaceError):
                unsettled.give_up()
        raise


def _note(target: Target, manifest: Manifest, done: Restored, wanted: Wanted) -> Note:
    return Note(
        name=manifest.name,
        made_at=manifest.made_at,
        complete_until=manifest.facts.complete_until,
        damaged=bool(manifest.damaged),
        where=target.name,
        person=wanted.person,
        objects=done.objects,
        bytes=done.bytes,
        left_out=len(done.left_out),
    )


def _files(target: Target, manifest: Manifest, config: Any, aside: Path, placed: list[Placed], *, keep: bool) -> None:
    data = Path(config.data)
    extracted = Path(tempfile.mkdtemp(prefix=".restoring-", dir=data))
    try:
        files.extract(target, part_key(manifest.name, "files"), extracted)
        files.put(extracted, config, aside, placed, keep=keep)
    except OSError as error:
        raise BackupError(f"{error.filename} can't be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(extracted, ignore_errors=True)


def _objects(
    target: Target,
    manifest: Manifest,
    stores: Stores,
    wanted: Wanted,
    done: Restored,
    published: IO[bytes],
    tell: Tell,
) -> None:
    listed = part_key(manifest.name, "objects")
    absent = {entry.key for entry in checking.missing(target.store, contents.read(target, listed), CONTENT)}
    # A bucket may have them already: a restore that was broken off goes on.
    lacking = checking.missing(stores(False), contents.read(target, listed))
    for batch in contents.batches(each for each in lacking if each.key not in absent):
        for sealed in (False, True):
            some = [entry for entry in batch if bool(seal_of(entry.key)) is sealed]
            if some:
                _put(target, stores(sealed), some, wanted, done, published)
        tell(f"objects: {done.objects} of {manifest.objects}")
    if done.left_out and not wanted.skip_damaged:
        named = ", ".join(done.left_out[:20])
        raise Damaged(
            f"{len(done.left_out)} objects are damaged in the backup: {named}. Nothing was restored; --skip-damaged "
            "goes on without them, or take another backup.",
            done.left_out[0],
        )


def _put(
    target: Target,
    store: ObjectStore,
    batch: list[contents.Entry],
    wanted: Wanted,
    done: Restored,
    published: IO[bytes],
) -> None:
    with ExitStack() as stack:
        staged: list[tuple[Staged, str]] = []
        for entry in batch:
            one = stack.enter_context(store.stage())
            try:
                for piece in checking.content(target, entry):
                    one.write(piece)
            except Damaged as error:
                done.left_out.append(error.part)
                continue
            staged.append((one, entry.key))
        if done.left_out and not wanted.skip_damaged:
            return  # nothing will stay; what follows is read only to name all that is damaged
        published.writelines(f"{key}\n".encode() for _, key in staged)
        try:
            store.publish(staged)
        except ObjectStoreError as error:
            raise BackupError(f"objects can't be written: {error}") from error
        done.objects += len(staged)
        done.bytes += sum(one.size for one, _ in staged)


def _take_away(store: ObjectStore, published: IO[bytes]) -> None:
    published.seek(0)
    for line in published:
        store.delete(line.decode().rstrip())
