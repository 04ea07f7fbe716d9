"""``client_keys NAME --jwks FILE``: new keys for a machine that signs."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.client_keys import BadKeys, give_keys
from access.management.commands.create_client import read_keys
from access.models import Client
from access.people import Unknown, holder


class Command(BaseCommand):
    """Replace the keys of a machine."""

    help = "Give a machine the public keys with which it signs at /oauth/token/, instead of those it had."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A machine, and where its keys are."""
        parser.add_argument("name")
        keys = parser.add_mutually_exclusive_group(required=True)
        keys.add_argument("--jwks", metavar="FILE", help="its public keys (JWK Set)")
        keys.add_argument("--jwks-uri", metavar="ADDRESS", help="the same, fetched from an https:// address")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say that it is done."""
        try:
            client = holder(options["name"])
            if not isinstance(client, Client):
                raise CommandError("only machines have keys")
            give_keys(client, jwks=read_keys(options["jwks"]), jwks_uri=options["jwks_uri"] or "")
        except (BadKeys, Unknown) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{client.name} signs with these keys from now on.")
