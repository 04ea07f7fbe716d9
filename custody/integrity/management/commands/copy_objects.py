"""Bring what an archive has into its second store."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive import copying
from archive.errors import ArchiveError
from audit import kinds
from audit.record import AuditUnavailable, NewAccessEvent, record


class Command(BaseCommand):
    """``./pacs manage copy_objects``: what is there already is compared and left; broken off, it goes on next time."""

    help = "Copies every object that isn't there into the second store (PACS_COPIES__...)."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--status`` only counts."""
        parser.add_argument(
            "--status", action="store_true", help="how many objects are not copied yet; exit code 1 if any"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Copy and count."""
        if copying.second_store() is None:
            raise CommandError("there is no second store: PACS_COPIES__FOLDER or PACS_COPIES__S3__... names one")
        copied = 0
        try:
            if not options["status"]:
                for number in copying.copy_all():
                    copied += number
                    self.stderr.write(f"{copied} objects copied")
                text = f"{copied} objects copied to the second store"
                record(
                    [
                        NewAccessEvent(
                            kind=kinds.INTEGRITY,
                            principal_kind="system",
                            principal_name="copy_objects",
                            instance_count=copied,
                            outcome_description=text,
                        )
                    ]
                )
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"{error}; {copied} objects were copied, the next call goes on") from error
        waiting = copying.waiting()
        self.stdout.write(f"{waiting} objects are not in the second store")
        if waiting:
            raise SystemExit(1)
