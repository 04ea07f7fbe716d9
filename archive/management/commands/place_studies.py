"""Read where the studies were made that a release stored which did not keep it, for limits of roles to places."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from archive.errors import ArchiveUnavailable
from archive.places import place_studies, unplaced


class Command(BaseCommand):
    """``manage.py place_studies``: once after an update; may be stopped and begun anew."""

    help = "Reads institution and department of studies that were stored before roles could be limited to them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Read them all, and say how many there were."""
        done, total = 0, unplaced()
        try:
            for done in place_studies():
                if done % 1000 == 0:
                    self.stdout.write(f"{done} of {total}")
        except ArchiveUnavailable as error:
            raise CommandError(f"stopped after {done} studies: {error}; run it again to go on") from error
        self.stdout.write(f"{done} studies placed")
