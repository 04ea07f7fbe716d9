"""``set_scopes NAME SCOPE...``: what the tokens of a client may have, and whether it may ask about others'."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.clients import set_scopes
from access.models import Client
from access.people import Unknown, holder


class Command(BaseCommand):
    """Set what a client may ask for."""

    help = "Sets the scopes that a client may ask for; with --introspect it may ask what tokens of others are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A client and its scopes."""
        parser.add_argument("name")
        parser.add_argument("scopes", nargs="+", metavar="scope")
        parser.add_argument("--introspect", action="store_true", help="allow /oauth/introspect/ (RFC 7662)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what it may now."""
        try:
            client = holder(options["name"])
            if not isinstance(client, Client):
                raise CommandError("that is a person: people have roles")
            set_scopes(client, options["scopes"], may_introspect=options["introspect"])
        except (Unknown, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{client.name} may ask for {' '.join(client.scopes)}")
