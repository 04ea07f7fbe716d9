"""Bring a deleted study back while it is in its grace period."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.errors import ArchiveError
from archive.standstill import refuse_writing
from archive.undelete import undelete
from audit.record import AuditUnavailable


class Command(BaseCommand):
    """``manage.py undelete STUDY_UID``: may be repeated; what is there stays."""

    help = "Stores the deleted instances of a study again."

    def add_arguments(self, parser: CommandParser) -> None:
        """The study."""
        parser.add_argument("study_instance_uid", metavar="STUDY_UID")

    def handle(self, *args: Any, **options: Any) -> None:
        """Store, name what could not be brought back with its reason, and count."""
        back = refused = 0
        try:
            refuse_writing()
            for stored in undelete(options["study_instance_uid"]):
                if stored.failure_reason is None:
                    back += 1
                else:
                    refused += 1
                    self.stdout.write(f"not brought back ({stored.failure_reason:04X}): {stored.text}")
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error} ({back} brought back so far)") from error
        self.stdout.write(f"{back} instances brought back, {refused} not")
        if refused and not back:
            raise CommandError("nothing was brought back")
