"""The months of the trail and how large they are; old ones may leave the database."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from audit.archive_models import ArchivedPartition
from audit.archives import NotArchived, archive_folder, archives, copy, detach, due
from audit.checkpoints import BadCheckpoint, read
from audit.partitions import Partition, make_ahead, partitions
from audit.record import AuditUnavailable
from audit.sealer import folder, own_signer
from audit.verify import verify


class Command(BaseCommand):
    """``manage.py audit_partitions [--detach [--dry-run]]``: lists them, or takes out those that are old enough.

    It makes those of the next months first, as the relay does each hour.
    """

    help = "Lists the monthly partitions of the access trail with their sizes; takes old ones out."

    def add_arguments(self, parser: CommandParser) -> None:
        """What is to be taken out, if anything."""
        parser.add_argument(
            "--detach",
            action="store_true",
            help="verify the trail, copy the months older than PACS_AUDIT__YEARS, detach",
        )
        parser.add_argument("--dry-run", action="store_true", help="with --detach: only say which months")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing, then print or detach."""
        make_ahead()
        if options["detach"]:
            self._detach(dry=options["dry_run"])
            return
        table = Table("partition", "from", "until before", "events, about", "size with indexes", box=None)
        for part in partitions():
            events = f"{part.events:,}".replace(",", " ") if part.events >= 0 else "not counted yet"
            rest = "no month of its own" if part.high is None else ""
            table.add_row(part.name, rest or _day(part.low), _day(part.high), events, f"{part.bytes / 1e6:,.1f} MB")
        Console(highlight=False, emoji=False).print(table)
        for gone in ArchivedPartition.objects.order_by("high"):
            self.stdout.write(f"{gone.name}: {gone.events} events before {_day(gone.high)} are in {gone.file}")
        years = settings.PACS.audit.years
        self.stdout.write(
            f"What is older than {years} years is taken out by --detach, and by nothing else."
            if years
            else "Nothing takes events away, however old they are."
        )

    def _detach(self, *, dry: bool) -> None:
        if settings.PACS.audit.years is None:
            raise CommandError("PACS_AUDIT__YEARS is not set: the trail is kept for ever")
        found = due()
        if not found:
            self.stdout.write(f"no month is older than {settings.PACS.audit.years} years")
            return
        for part in found if dry else ():
            self.stdout.write(f"{part.name}, events before {_day(part.high)}, would be taken out")
        if dry:
            return
        signed = self._verified()
        for part in found:
            self._take_out(part, signed)

    def _verified(self) -> int:
        """How many events are signed of a trail that is whole."""
        try:
            keys = [own_signer().public]
            checkpoints = [read(kept.read_text(), keys) for kept in folder().checkpoints()]
            report = verify(checkpoints, folder(), archives=archives())
        except (BadCheckpoint, OSError, ValueError) as error:
            raise CommandError(f"the trail can't be verified: {error}") from error
        if report.findings:
            raise CommandError("the trail is not what it was: nothing is taken out; run audit_verify")
        return report.signed

    def _take_out(self, part: Partition, signed: int) -> None:
        try:
            copied = copy(part, archive_folder(), signed)
            detach(part, copied)
        except (NotArchived, OSError) as error:
            raise CommandError(f"{part.name} stays: {error}") from error
        except (DatabaseError, AuditUnavailable) as error:
            raise CommandError(f"{part.name} stays for now ({type(error).__name__}): try again") from error
        self.stdout.write(
            f"{part.name}: {copied.events} events are in {copied.file} (SHA-256 {copied.sha256}) and out of the trail; "
            f"the table stays in the database until somebody drops it"
        )


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else ""
