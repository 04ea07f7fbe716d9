"""``backups``: what lies in a target, what is kept and why; removes the others."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from custody.backups import manifest
from custody.backups.errors import BackupError
from custody.backups.files import key_file
from custody.backups.keeping import kept, prune, rule_of
from custody.backups.keys import read
from custody.backups.programs import address
from custody.backups.running import tell_of_removal
from custody.backups.snapshot import alone
from custody.backups.target import Target, open_target


class Command(BaseCommand):
    """``manage.py backups [AT] [--prune [--dry-run]]``."""

    help = "Lists the backups in a folder or bucket; with --prune removes those that no rule keeps."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, and whether anything is to go."""
        parser.add_argument("at", nargs="?", help="a folder or s3://bucket/prefix (PACS_BACKUP__TARGET)")
        parser.add_argument("--prune", action="store_true", help="remove those that PACS_BACKUP__KEEP_... don't keep")
        parser.add_argument("--dry-run", action="store_true", help="with --prune: only say which")

    def handle(self, *args: Any, **options: Any) -> None:
        """List, or remove."""
        where = options["at"] or settings.PACS.backup.target
        if not where:
            raise CommandError("say where: ./pacs backups FOLDER, or set PACS_BACKUP__TARGET")
        try:
            target = open_target(where, read(key_file(settings.PACS)), settings.PACS)
            if options["prune"] or options["dry_run"]:
                self._prune(target, dry_run=options["dry_run"])
            else:
                self._list(target)
        except BackupError as error:
            raise CommandError(str(error)) from error

    def _list(self, target: Target) -> None:
        table = Table("backup", "complete until", "studies", "instances", "objects", "kept as", "", box=None)
        names, verified = target.names(), target.verified()
        reasons = kept(names, verified, rule_of(settings.PACS))
        for name in reversed(names):
            try:
                found = manifest.read(target, name)
            except BackupError as error:
                table.add_row(name, str(error))
                continue
            counts = found.facts.counts
            size = decimal(found.object_bytes) + ("" if found.objects_here else ", in the bucket")
            state = "verified" if name in verified else ""
            state += f" {len(found.damaged)} objects left out" if found.damaged else ""
            table.add_row(
                name,
                f"{found.facts.complete_until:%Y-%m-%d %H:%M:%S} UTC",
                str(counts["archive_study"]),
                str(counts["archive_instance"]),
                size,
                ", ".join(reasons.get(name, ["nothing: goes next"])),
                state,
            )
        Console(highlight=False, emoji=False, markup=False).print(table)
        for name in target.unfinished():
            self.stdout.write(f"{name}: never completed, or under way")

    def _prune(self, target: Target, *, dry_run: bool) -> None:
        with alone(address(connection.settings_dict)):
            rule, now = rule_of(settings.PACS), datetime.now(UTC)
            pruned = prune(target, rule, dry_run=dry_run, now=now, tell=self.stdout.write)
        if not dry_run:
            tell_of_removal(pruned.backups, target.name)
        would = "would go" if dry_run else "gone"
        for name in pruned.backups:
            self.stdout.write(f"{name} {would}")
        self.stdout.write(f"{len(pruned.backups)} backups and {pruned.objects} objects that only they named: {would}")
