"""``create_client NAME --role ROLE``: a machine, with id and secret printed once, or with keys of its own."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from access.client_keys import BadKeys, give_keys
from access.people import create_client
from access.refused_change import RefusedChange
from access.roles import ROLES


class Command(BaseCommand):
    """Make a machine with a role."""

    help = "Make a machine that gets tokens at /oauth/token/ (client credentials); prints id and secret once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name, one role, and where the keys are if the machine signs."""
        parser.add_argument("name")
        parser.add_argument("--role", required=True, choices=sorted(ROLES))
        keys = parser.add_mutually_exclusive_group()
        keys.add_argument("--jwks", metavar="FILE", help="its public keys (JWK Set): it signs and has no secret")
        keys.add_argument("--jwks-uri", metavar="ADDRESS", help="the same, fetched from an https:// address")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the id, and the secret if there is one."""
        signs = options["jwks"] is not None or options["jwks_uri"] is not None
        try:
            with transaction.atomic():
                client, secret = create_client(options["name"], options["role"])
                if signs:
                    give_keys(client, jwks=read_keys(options["jwks"]), jwks_uri=options["jwks_uri"] or "")
        except (BadKeys, RefusedChange) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"client_id      {client.client_id}")
        if signs:
            self.stdout.write("It signs with its keys and has no secret.")
        else:
            self.stdout.write(f"client_secret  {secret}\nThe secret is shown this once.")


def read_keys(file: str | None) -> Any:
    """The JSON in a file, None for no file. Raises BadKeys."""
    try:
        return json.loads(Path(file).read_text()) if file is not None else None
    except (OSError, ValueError, RecursionError) as error:
        raise BadKeys(f"{file} can't be read as JSON") from error
