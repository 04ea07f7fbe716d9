"""``reset_password NAME``: a new password, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import Unknown, person_called, reset_password


class Command(BaseCommand):
    """Give a person a new password."""

    help = "Gives a person a new generated password, printed once, and ends all sessions of that person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print name and password."""
        try:
            password = reset_password(person_called(options["name"]))
        except Unknown as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"name      {options['name']}\npassword  {password}\nIt is shown this once.")
