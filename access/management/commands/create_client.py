"""``create_client NAME --role ROLE``: a machine, with id and secret printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError

from access.people import create_client
from access.roles import ROLES


class Command(BaseCommand):
    """Make a machine with a role."""

    help = "Make a machine that gets tokens at /oauth/token/ (client credentials); prints id and secret once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name and one role."""
        parser.add_argument("name")
        parser.add_argument("--role", required=True, choices=sorted(ROLES))

    def handle(self, *args: Any, **options: Any) -> None:
        """Print id and secret."""
        try:
            client, secret = create_client(options["name"], options["role"])
        except IntegrityError as error:
            raise CommandError("the name is taken") from error
        self.stdout.write(f"client_id      {client.client_id}\nclient_secret  {secret}\nThe secret is shown this once.")
