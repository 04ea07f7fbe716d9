"""``disable NAME``: switch a person or a machine off."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import Unknown, holder
from access.refused_change import RefusedChange
from access.switching import set_active


class Command(BaseCommand):
    """Switch an account off."""

    help = "Switches a person or a machine off; counts from the next request on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say that it is off."""
        try:
            set_active(holder(options["name"]), active=False)
        except (Unknown, RefusedChange) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['name']} is switched off")
