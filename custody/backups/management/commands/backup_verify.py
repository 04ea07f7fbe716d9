"""``backup_verify``: a backup read to the last byte and restored into the empty database that it is called with.

`./pacs verify FROM` makes that database, and a data folder, for it alone and throws them away afterwards.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.filesize import decimal

from archive.object_store import ObjectStoreError, object_store
from audit.checkpoints import signer
from custody.backups import checking, contents, files, manifest
from custody.backups.checking import Checked
from custody.backups.database import is_empty, refuse_newer
from custody.backups.database import restore as restore_database
from custody.backups.errors import BackupError
from custody.backups.files import key_file
from custody.backups.keys import read
from custody.backups.manifest import Manifest
from custody.backups.programs import Address, address
from custody.backups.snapshot import counts
from custody.backups.target import Target, open_target, part_key


class Command(BaseCommand):
    """``manage.py backup_verify FROM`` in an installation that is empty and stays nobody's."""

    help = "Verifies a backup in a throw-away installation; use ./pacs verify."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which one."""
        parser.add_argument("source", metavar="FROM")
        parser.add_argument("--backup", metavar="NAME")
        parser.add_argument("--key", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 if anything is not what it should be."""
        self.console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        began = time.monotonic()
        try:
            target = open_target(options["source"], read(options["key"] or key_file(settings.PACS)), settings.PACS)
            found = manifest.newest(target, options["backup"])
            refuse_newer(found.facts.migrations)
            if not is_empty():
                raise BackupError("backup_verify needs an empty database; use ./pacs verify.")
            checked = self._verify(target, found)
        except BackupError as error:
            raise CommandError(str(error)) from error
        for finding in checked.findings[:50]:
            self.console.print(f"BAD {finding}")
        if checked.findings:
            raise CommandError(f"{len(checked.findings)} findings: the backup {found.name} is not whole")
        if found.name not in target.verified():
            note = {"at": datetime.now(UTC).isoformat(), "objects": checked.objects, "bytes": checked.bytes}
            try:
                target.write(part_key(found.name, "verified"), json.dumps(note).encode())
            except ObjectStoreError:
                self.console.print("the target can't be written, so it does not say that this backup was verified")
        self.console.print(
            f"The backup {found.name} is whole: {checked.objects} objects ({decimal(checked.bytes)}), the database and "
            f"the access trail, in {time.monotonic() - began:.1f} s"
        )

    def _verify(self, target: Target, found: Manifest) -> Checked:
        where = address(connection.settings_dict)
        checking.check_parts(target, found)
        self.console.print("every file is what was written")
        with self.console.status("reading objects") as status:
            if found.objects_here:
                checked = checking.check_objects(
                    target, found, lambda n: status.update(f"reading objects: {n} of {found.objects}")
                )
            else:
                checked = self._in_bucket(target, found)
            status.update("restoring the database into a throw-away server")
            extracted = Path(settings.PACS.data) / "extracted"
            extracted.mkdir(parents=True, mode=0o700)
            files.extract(target, part_key(found.name, "files"), extracted)
            restore_database(checking.whole_part(target, found, "database"), found, where)
        checked.findings += self._compare(target, found, where)
        checked.findings += _trail(extracted)
        return checked

    def _in_bucket(self, target: Target, found: Manifest) -> Checked:
        """The objects stay in the installation's bucket: they must be there."""
        checked = Checked(objects=found.objects)
        for entry in checking.missing(object_store(), contents.read(target, part_key(found.name, "objects"))):
            if entry.needed:
                checked.findings.append(f"{entry.key} is not in the bucket")
            checked.soft_missing += not entry.needed
        return checked

    def _compare(self, target: Target, found: Manifest, where: Address) -> list[str]:
        """The restored rows against the manifest and the list of objects."""
        with where.connect(autocommit=False) as restored:
            now = counts(restored)
            wrong = [
                f"{t} has {n} rows, expected {found.facts.counts.get(t)}"
                for t, n in now.items()
                if n != found.facts.counts.get(t)
            ]
            listed = contents.read(target, part_key(found.name, "objects"))
            for row, entry in zip(contents.of_database(restored), listed, strict=False):
                if row != entry:
                    return [*wrong, f"the rows of the dump name {row.key} where the list of objects has {entry.key}"]
        self.console.print(f"{sum(now.values())} rows in {len(now)} tables are as many as there were")
        return wrong


def _trail(extracted: Path) -> list[str]:
    """The restored trail against the checkpoints of the backup, with the key of the backup."""
    for kind in (files.CHECKPOINTS, files.ARCHIVE):
        (extracted / kind).mkdir(exist_ok=True)
    keys = [*extracted.glob(f"{files.AUDIT_KEY}/*"), extracted / files.SECRETS / "audit_key"]
    key = next((path for path in keys if path.is_file()), None)
    believed = [f"--key={signer(key, '').public}"] if key is not None else []
    where = [f"--checkpoint={extracted / files.CHECKPOINTS}", f"--archives={extracted / files.ARCHIVE}"]
    try:
        call_command("audit_verify", *where, *believed)
    except CommandError as error:
        return [f"access trail: {error}"]
    return []
