"""``set_worklists NAME [LABEL...]``: the worklists of a person or a client, instead of those until now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from access.refused_change import RefusedChange
from workitems.members import holder_called, set_worklists, worklists_of


class Command(BaseCommand):
    """Say on whose workitems somebody works."""

    help = "Gives a person or a client the workitems of these Worklist Labels, and no others; without labels, of none."

    def add_arguments(self, parser: CommandParser) -> None:
        """A name and labels."""
        parser.add_argument("name")
        parser.add_argument("labels", nargs="*", metavar="label")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what there is now."""
        try:
            holder = holder_called(options["name"])
        except RefusedChange as error:
            raise CommandError(str(error)) from error
        set_worklists(holder, options["labels"])
        self.stdout.write(f"{options['name']} works on: {', '.join(worklists_of(holder)) or 'no worklist'}")
