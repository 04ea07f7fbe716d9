"""Say that a folder is a new file store, though the index knows of objects that should be there."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.object_store.errors import ObjectStoreError
from archive.object_store.founding import SECOND, Founding, folders
from archive.object_store.marks import TIERS
from audit import kinds
from audit.record import AuditUnavailable, NewAccessEvent, record


class Command(BaseCommand):
    """``./pacs manage new_store hot``: after what was there is lost. A volume that is not mounted is to be mounted."""

    help = "Marks the folder of a file store as ours, though none of the known objects are in it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which of the stores."""
        parser.add_argument("place", choices=[*TIERS, SECOND], help="a tier, or the second store")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the marker; the event comes first."""
        place = options["place"]
        folder = folders(settings.PACS).get(place)
        if folder is None:
            raise CommandError(f"{place} is no folder here: only file stores have a marker")
        founding = Founding(folder, place)
        if founding.is_there():
            self.stdout.write(f"{folder} is the {place} store already")
            return
        event = NewAccessEvent(
            kind=kinds.CONFIGURATION,
            principal_kind="system",
            principal_name="new_store",
            outcome_description=f"the {place} file store is said to be new: what was there before is missing",
        )
        try:
            record([event])
            founding.write()
        except (AuditUnavailable, ObjectStoreError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{folder} is the {place} store now; ./pacs scrub says what is missing")
