"""``create_device NAME --ae-title AE``: a modality that stores, with an API key printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.clients import create_device
from access.refused_change import RefusedChange


class Command(BaseCommand):
    """Make a modality."""

    help = "Make a modality that stores with an API key; prints the key once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name, the AE title, where it stands and how long its key works."""
        parser.add_argument("name")
        parser.add_argument("--ae-title", required=True)
        parser.add_argument(
            "--address", action="append", default=[], dest="addresses", metavar="CIDR",
            help="the key works from here only; may be repeated",
        )  # fmt: skip
        parser.add_argument("--days", type=int, help="how long the key works; default: until it is revoked")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key and its id."""
        try:
            client, key, secret = create_device(
                options["name"], options["ae_title"], days=options["days"], addresses=options["addresses"]
            )
        except (RefusedChange, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"device  {client.name}\nid      {key.external_id}\nkey     {secret}\nIt is shown this once.")
