"""Draw the thumbnails, and check the images, of what is stored already."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.errors import ArchiveError
from archive.models import QualityFinding, Series
from archive.thumbnail_task import prepare

_SERIES_AT_ONCE = 500
_TURN_SECONDS = 60.0


class Command(BaseCommand):
    """``manage.py check_images``: workers do the same for what arrives; this is for what was there before."""

    help = (
        "Draws thumbnails and checks images of the whole archive, or of one study. What is done already is left out, "
        "so that a run that was broken off goes on where it stopped. Does no harm beside the workers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """``--study`` for one study alone."""
        parser.add_argument("--study", metavar="UID", help="only the study with this Study Instance UID")

    def handle(self, *args: Any, **options: Any) -> None:
        """Series after series; a line for every so many, and at the end the findings there are now."""
        rows = Series.objects.order_by("pk")
        if options["study"]:
            rows = rows.filter(study__study_instance_uid=options["study"])
            if not rows.exists():
                raise CommandError("there is no such study")
        done, last = 0, 0
        try:
            while chunk := list(rows.filter(pk__gt=last).values_list("pk", flat=True)[:_SERIES_AT_ONCE]):
                for series in chunk:
                    while not prepare(series, time.monotonic() + _TURN_SECONDS):
                        pass
                done, last = done + len(chunk), chunk[-1]
                self.stdout.write(f"{done} series done")
        except ArchiveError as error:
            raise CommandError(f"{error}; run it again to go on") from error
        found = QualityFinding.objects.all()
        if options["study"]:
            found = found.filter(instance__series__study__study_instance_uid=options["study"])
        self.stdout.write(f"{found.count()} findings; /api/quality/findings lists them")
