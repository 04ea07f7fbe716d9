"""List workitems whose claims have lapsed; take one away from who claimed it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.trail import system_event
from archive.errors import ArchiveError
from audit.kinds import PROCEDURE_RECORD
from audit.record import record
from workitems.leases import lapsed, release
from workitems.models import WorkItem

BY = "command line"


class Command(BaseCommand):
    """``manage.py release_workitem [UID]``."""

    help = "Lists workitems whose claims have lapsed; with a UID, makes that one free to be claimed again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which."""
        parser.add_argument("uid", nargs="?", help="SOP Instance UID of the workitem")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked; without a UID, list."""
        uid = options["uid"]
        if not uid:
            for each in lapsed():
                self.stdout.write(f"{each.uid}\t{each.updated_at:%Y-%m-%d %H:%M}\t{each.worklist_label}")
            return
        try:
            release(WorkItem.objects.all(), uid, BY)
        except ArchiveError as error:
            raise CommandError(str(error)) from error
        record([system_event(PROCEDURE_RECORD, "released", query=f"workitem {uid}")])
        self.stdout.write("released")
