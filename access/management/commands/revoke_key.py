"""``revoke_key ID``: end an API key."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from access.acting import COMMAND_LINE
from access.api_keys import revoke_key
from access.models import ApiKey


class Command(BaseCommand):
    """End a key."""

    help = "Ends an API key, from the next request on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The id that was printed with it."""
        parser.add_argument("key", metavar="id")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say that it is over."""
        try:
            key = ApiKey.objects.select_related("user", "client").get(external_id=UUID(options["key"]))
        except (ValueError, ApiKey.DoesNotExist) as error:
            raise CommandError("there is no such key") from error
        was_open = revoke_key(key, COMMAND_LINE)
        self.stdout.write("the key is revoked" if was_open else "the key was revoked already")
