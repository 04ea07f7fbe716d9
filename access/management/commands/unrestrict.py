"""``unrestrict STUDY_UID | --patient ID [--mark MARK]``: take marks away."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from access.management.targets import add_target, target
from access.marking import marks_of, unrestrict
from access.restriction_models import Mark


class Command(BaseCommand):
    """Take marks away."""

    help = "Takes the marks of a study, or of a patient, away; one of a patient and one of a study are two marks."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What, and which mark."""
        add_target(parser)
        parser.add_argument("--mark", choices=Mark.values, help="this one only; default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say how many there were."""
        found = marks_of(target(options))
        if options["mark"]:
            found = found.filter(mark=options["mark"])
        ended = sum(unrestrict(mark) for mark in found.select_related("patient"))
        self.stdout.write(f"{ended} marks taken away")
