"""``reset_second_factor NAME``: a person signs in with the password alone, and sets up a second factor anew."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import Unknown, person_called
from access.second_factor import reset


class Command(BaseCommand):
    """Take away the second factors of a person."""

    help = "Takes away all second factors and recovery codes of a person, and ends all sessions of that person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name."""
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say how many there were."""
        try:
            count = reset(person_called(options["name"]))
        except Unknown as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} second factors of {options['name']} are taken away")
