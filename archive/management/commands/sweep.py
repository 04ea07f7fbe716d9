"""Remove objects that nothing points at any more."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.errors import ArchiveError
from archive.sweep import ORPHAN_GRACE, sweep_all
from audit.record import AuditUnavailable


class Command(BaseCommand):
    """``manage.py sweep``: workers do the same every few hours for the last days; this looks at the whole store."""

    help = "Removes deleted objects after their grace period, and objects that no row points at."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--dry-run`` only counts."""
        parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sweep and count."""
        try:
            swept = sweep_all(dry_run=options["dry_run"])
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(str(error)) from error
        would = "would be " if options["dry_run"] else ""
        self.stdout.write(f"{swept.removed} objects {would}removed, {swept.bytes} bytes")
        hours = int(ORPHAN_GRACE.total_seconds() // 3600)
        self.stdout.write(f"{swept.noted} objects without a row {would}noted; a sweep in {hours} hours removes them")
        for name, value in (
            ("objects can't be removed now: a later sweep tries again", swept.left),
            ("keys, or beginnings of keys, can't be read", swept.unread),
            ("objects are in the second store alone, and may be lost from the index: they stay", swept.doubtful),
        ):
            if value:
                self.stdout.write(f"{value} {name}")
        if swept.away:
            self.stdout.write(f"left out, being away: {', '.join(swept.away)}")
