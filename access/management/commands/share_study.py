"""``share_study STUDY_UID --recipient WHO --purpose WHY``: a share link, printed once."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from access.grants import series_of, study_of
from access.links import MOST_DAYS, Wish, make_link
from access.people import Unknown
from access.rights import OF_LINKS, Right


class Command(BaseCommand):
    """Make a share link."""

    help = "Makes a link that opens one study to somebody without an account; prints it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which study, for whom, what for, and how far."""
        parser.add_argument("study", help="Study Instance UID")
        parser.add_argument("--recipient", required=True, help="who gets the link; it stands in the access trail")
        parser.add_argument("--purpose", required=True, help="what for; it stands in the access trail")
        parser.add_argument("--days", type=int, default=7, help=f"how long it works, 1 to {MOST_DAYS}; default 7")
        parser.add_argument("--uses", type=int, help="how often it may be opened; default: as often as one likes")
        parser.add_argument("--pin", action="store_true", help="ask for a PIN, which is printed once as well")
        parser.add_argument(
            "--right", action="append", choices=[right.value for right in OF_LINKS], default=[], dest="rights"
        )
        parser.add_argument("--all-of-patient", action="store_true", help="all studies of the study's patient")
        parser.add_argument("--series", default="", help="Series Instance UID: this series of the study alone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the address, the PIN and the link's id."""
        if not 1 <= options["days"] <= MOST_DAYS or (options["uses"] is not None and options["uses"] < 1):
            raise CommandError(f"a link works 1 to {MOST_DAYS} days, and once at least")
        try:
            study = study_of(options["study"])
            series = series_of(study, options["series"]) if options["series"] else None
        except Unknown as error:
            raise CommandError(str(error)) from error
        wish = Wish(
            study=study,
            recipient=options["recipient"],
            purpose=options["purpose"],
            until=timezone.now() + timedelta(days=options["days"]),
            rights=[Right(right) for right in options["rights"]],
            pin=options["pin"],
            most_uses=options["uses"],
            whole_patient=options["all_of_patient"],
            series=series,
        )
        made = make_link(wish, None, None, None)
        self.stdout.write(f"id     {made.link.external_id}\nlink   {made.address}")
        if made.pin:
            self.stdout.write(f"PIN    {made.pin}    (send it another way than the link)")
        self.stdout.write("They are shown this once.")
