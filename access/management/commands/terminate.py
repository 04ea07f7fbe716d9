"""``terminate NAME --reason WHY``: the end of an account, at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import Unknown, holder
from access.refused_change import RefusedChange
from access.termination import terminate


class Command(BaseCommand):
    """Switch an account off and end all that it has."""

    help = "Switches a person or a machine off and ends sessions, tokens, keys, share links and emergency accesses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, and why."""
        parser.add_argument("name", help="a person's name, a machine's name or client id")
        parser.add_argument("--reason", required=True, help="why; it stands in the access trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what ended."""
        try:
            ended = terminate(holder(options["name"]), options["reason"])
        except (Unknown, RefusedChange) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['name']} is switched off; ended: {ended}")
