"""Making a backup.

1. What lies in the object store is copied, as far as the target doesn't have it: the long part, under no lock.
2. The sweep is held; secrets and checkpoints are copied. They come before the snapshot, so that no checkpoint speaks of
   events that the dump doesn't have.
3. One snapshot of the database: facts, the list of objects, the dump.
4. The objects of that list that came since 1. None of them can have been removed.
5. The manifest, which makes it a backup.

Objects are written once and never changed, so whatever the list names is what the rows of the snapshot mean.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from archive.object_store import ObjectStore, ObjectStoreError
from custody.backups import contents, files, manifest
from custody.backups.copying import Copied, copy
from custody.backups.errors import BackupError
from custody.backups.manifest import Manifest, Part
from custody.backups.programs import Address, Programs, programs
from custody.backups.sealed import Sealer
from custody.backups.snapshot import Snapshot, alone, server_version, snapshot, stop_sweeping
from custody.backups.target import Target, part_key

Tell = Callable[[str], None]
_PIECE: Final = 1 << 20
_AHEAD: Final = """
    SELECT object_key, object_size, encode(object_sha256, 'hex') FROM archive_instance
    WHERE object_key > %s ORDER BY object_key LIMIT 5000
"""


def new_name(now: datetime) -> str:
    """Of the moment, so that names sort by age; two of one second differ."""
    return f"{now.astimezone(UTC):%Y%m%dt%H%M%Sz}-{secrets.token_hex(2)}"


def make(
    target: Target, name: str, address: Address, store: ObjectStore, config: Any, product: str, tell: Tell
) -> tuple[Manifest, Copied]:
    """Make the backup ``name``; returns its manifest and what was written. Raises BackupError; then it is none."""
    here = config.object_store != "s3" or config.backup.objects
    copied = Copied()
    with alone(address) as session:
        chosen = programs(server_version(session))
        if here:
            tell("copying objects")
            copy(store, target, _ahead(session), copied, lambda n: tell(f"copying objects: {n} looked at"), last=False)
        stop_sweeping(session)
        try:
            parts, facts, (count, size) = _parts(target, name, address, chosen, config, tell, copied)
            if here:
                entries = contents.read(target, part_key(name, "objects"))
                copy(store, target, entries, copied, lambda n: tell(f"objects: {n} of {count}"), last=True)
            made = Manifest(
                name=name,
                product=product,
                made_at=datetime.now(UTC),
                facts=facts,
                parts=parts,
                objects=count,
                object_bytes=size,
                objects_here=here,
                secret_key_id=secret_key_id(config),
                damaged=tuple(copied.damaged),
            )
            copied.bytes += manifest.write(target, made)
        except ObjectStoreError as error:
            raise BackupError(f"the backup can't be written to {target.name}: {error}") from error
    return made, copied


def secret_key_id(config: Any) -> str:
    """A name of PACS_SECRET_KEY that doesn't give it away: two-factor secrets need the same one after a restore."""
    return hmac.new(config.secret_key.get_secret_value().encode(), b"lightbox backup", hashlib.sha256).hexdigest()[:16]


def _parts(
    target: Target, name: str, address: Address, chosen: Programs, config: Any, tell: Tell, copied: Copied
) -> tuple[dict[str, Part], manifest.Facts, tuple[int, int]]:
    parts: dict[str, Part] = {}
    amount = (0, 0)

    def listed(sealer: Sealer) -> None:
        nonlocal amount
        amount = contents.write(contents.of_database(taken.connection), sealer)

    tell("copying secrets and checkpoints")
    parts["files"] = _part(target, name, "files", lambda sealer: files.write(sealer, config), copied)
    with snapshot(address) as taken:
        tell("listing objects")
        parts["objects"] = _part(target, name, "objects", listed, copied)
        tell("dumping the database")
        parts["database"] = _part(target, name, "database", lambda s: _dump(s, taken, address, chosen), copied)
    return parts, taken.facts, amount


def _part(target: Target, name: str, part: str, fill: Callable[[Sealer], None], copied: Copied) -> Part:
    key = part_key(name, part)
    with target.store.stage() as staged:
        sealer = Sealer(staged, target.key, key)
        fill(sealer)
        sealer.finish()
        target.store.publish([(staged, key)])
        copied.bytes += staged.size
    return Part(sealer.size, sealer.sha256.hex())


def _dump(sealer: Sealer, taken: Snapshot, address: Address, chosen: Programs) -> None:
    """pg_dump of the snapshot, encrypted on its way: nothing in the clear reaches a disk."""
    command = [chosen.dump, "--format=custom", "--compress=1", "--no-owner", "--no-privileges", "--no-password"]
    # The product's own: another (pg_stat_statements) only a superuser could make again, and nothing would be restored.
    command += ["--extension=pg_trgm", f"--snapshot={taken.name}", f"--dbname={address.conninfo}"]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, env=dict(address.environment), stdout=subprocess.PIPE, stderr=said) as dumping:
            try:
                while piece := dumping.stdout.read(_PIECE) if dumping.stdout else b"":
                    sealer.write(piece)
            except BaseException:
                dumping.kill()
                raise
        if dumping.returncode != 0:
            said.seek(0)
            raise BackupError(f"pg_dump failed: {last_line(said.read())}")


def last_line(text: bytes) -> str:
    """What a program said at last, without the values of rows (they stand in other lines)."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if "error:" in line]
    return lines[-1][:300] if lines else "it gave no reason"


def _ahead(session: psycopg.Connection[Any]) -> Iterator[contents.Entry]:
    """The instances as they are now, some at a time: what changes meanwhile is seen to under the snapshot."""
    key = ""
    while rows := session.execute(_AHEAD, [key]).fetchall():
        for key, size, sha256 in rows:
            yield contents.Entry(key, size, sha256, hard=True)
