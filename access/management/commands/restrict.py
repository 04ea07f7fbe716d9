"""``restrict STUDY_UID | --patient ID, --mark MARK --reason WHY [--until DATE]``: close a study, or a patient."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from access.management.targets import add_target, moment, target
from access.marking import restrict
from access.restriction_models import Mark
from archive.models import Patient


class Command(BaseCommand):
    """Set a mark."""

    help = "Closes a study, or all studies of a patient, to those whose role alone would open it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, which mark, why, and until when."""
        add_target(parser)
        parser.add_argument("--mark", required=True, choices=Mark.values)
        parser.add_argument("--reason", required=True, help="why; it stands in the access trail")
        parser.add_argument(
            "--until", type=moment, help="2030-12-31 (to the end of that day) or 2030-12-31T18:00+01:00"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is closed, and how many share links ended."""
        found = target(options)
        made = restrict(found, Mark(options["mark"]), options["reason"], options["until"])
        what = "all studies of the patient are" if isinstance(found, Patient) else "the study is"
        self.stdout.write(f"{what} marked {options['mark']}; {made.links_ended} share links ended")
