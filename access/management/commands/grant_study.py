"""``grant_study NAME STUDY_UID [--until DATE] [--right RIGHT] [--all-of-patient] [--end]``: open one study, or more."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.grants import grant_study, revoke_study
from access.management.targets import moment
from access.people import Unknown
from access.rights import Right


class Command(BaseCommand):
    """Grant a study, or end its grants."""

    help = "Opens one study to a person or a machine whose roles reach granted studies only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, which study, and until when."""
        parser.add_argument("name", help="a person's name, a machine's name or client id")
        parser.add_argument("study", help="Study Instance UID")
        parser.add_argument(
            "--until", type=moment, help="2030-12-31 (to the end of that day) or 2030-12-31T18:00+01:00"
        )
        parser.add_argument(
            "--right",
            action="append",
            choices=[right.value for right in Right],
            dest="rights",
            help="narrows what the role allows; may be repeated; default: nothing is narrowed",
        )
        parser.add_argument("--all-of-patient", action="store_true", help="all studies of the study's patient")
        parser.add_argument("--series", default="", help="Series Instance UID: this series of the study alone")
        parser.add_argument("--end", action="store_true", help="end the grants of this study instead")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what was granted."""
        name, study = options["name"], options["study"]
        try:
            if options["end"]:
                self.stdout.write(f"{revoke_study(name, study)} grants ended")
                return
            rights = [Right(right) for right in options["rights"] or Right]
            grant_study(
                name,
                study,
                options["until"],
                rights=rights,
                whole_patient=options["all_of_patient"],
                series_instance_uid=options["series"],
            )
        except Unknown as error:
            raise CommandError(str(error)) from error
        end = f"until {options['until']:%Y-%m-%d %H:%M %Z}" if options["until"] else "without end"
        what = "the series" if options["series"] else "the study"
        what = "all studies of the patient" if options["all_of_patient"] else what
        self.stdout.write(f"{name} may reach {what} {end}")
