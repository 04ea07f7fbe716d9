"""``revoke_link ID``: end a share link."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from access.links import revoke
from access.models import ShareLink


class Command(BaseCommand):
    """End a share link."""

    help = "Ends a share link; counts from the next request on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The id that was printed with the link, and stands on the page of shared studies."""
        parser.add_argument("id", type=UUID)

    def handle(self, *args: Any, **options: Any) -> None:
        """Say that it has ended."""
        link = ShareLink.objects.filter(external_id=options["id"]).first()
        if link is None:
            raise CommandError(f"there is no share link {options['id']}")
        self.stdout.write("revoked" if revoke(link, None, None) else "it was revoked already")
