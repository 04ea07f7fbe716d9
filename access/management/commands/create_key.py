"""``create_key ACCOUNT --name WHAT``: an API key of a person or a machine, printed once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.acting import COMMAND_LINE
from access.api_keys import DEFAULT_DAYS, MOST_KEYS, READING, TooManyKeys, Wish, make_key
from access.people import Unknown, holder


class Command(BaseCommand):
    """Make a key."""

    help = "Make an API key of a person or a machine; prints it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose, what for, and what it may."""
        parser.add_argument("account")
        parser.add_argument("--name", required=True, help="what it is for")
        parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help=f"how long it works; default {DEFAULT_DAYS}")
        parser.add_argument("--read-only", action="store_true", help="find and open studies, nothing else")
        parser.add_argument(
            "--address", action="append", default=[], dest="addresses", metavar="CIDR",
            help="it works from here only; may be repeated",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the key and its id."""
        wish = Wish(
            name=options["name"],
            days=options["days"],
            permissions=READING if options["read_only"] else None,
            addresses=options["addresses"],
        )
        try:
            key, secret = make_key(holder(options["account"]), wish, COMMAND_LINE)
        except TooManyKeys as error:
            raise CommandError(f"the account has {MOST_KEYS} keys: revoke one first") from error
        except (Unknown, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"id   {key.external_id}\nkey  {secret}\nIt is shown this once.")
