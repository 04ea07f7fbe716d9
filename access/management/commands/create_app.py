"""``create_app NAME --redirect-uri ADDRESS``: an app that acts for people, with id and secret printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.clients import create_app
from access.refused_change import RefusedChange
from access.smart import DEFAULT_OF_APPS


class Command(BaseCommand):
    """Make an app."""

    help = "Make an app that acts for people who allow it (authorization code with PKCE); prints id and secret once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name, where answers go, what it may ask for, and whether it can keep a secret."""
        parser.add_argument("name")
        parser.add_argument(
            "--redirect-uri", action="append", required=True, dest="redirect_uris", metavar="ADDRESS",
            help="https, or http to this computer; may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--scope", action="append", default=[], dest="scopes",
            help=f"what it may ask for, may be repeated; default: {' '.join(DEFAULT_OF_APPS)}",
        )  # fmt: skip
        parser.add_argument("--public", action="store_true", help="it runs in a browser or on a phone: no secret")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the id, and the secret if there is one."""
        scopes = options["scopes"] or list(DEFAULT_OF_APPS)
        try:
            client, secret = create_app(options["name"], options["redirect_uris"], scopes, public=options["public"])
        except (RefusedChange, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"client_id      {client.client_id}")
        if secret:
            self.stdout.write(f"client_secret  {secret}\nThe secret is shown this once.")
