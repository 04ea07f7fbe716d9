"""``create_user NAME --role ROLE``: a person, with a password printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import create_user
from access.refused_change import RefusedChange
from access.roles import ROLES


class Command(BaseCommand):
    """Make a person with roles."""

    help = "Make a person who may sign in; prints the generated password once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name and at least one role."""
        parser.add_argument("name")
        parser.add_argument("--role", action="append", required=True, choices=sorted(ROLES), dest="roles")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print name and password."""
        try:
            user, password = create_user(options["name"], sorted(set(options["roles"])))
        except (RefusedChange, ValueError) as error:
            raise CommandError("the name is taken, or can't be one") from error
        self.stdout.write(f"name      {user.username}\npassword  {password}\nIt is shown this once.")
