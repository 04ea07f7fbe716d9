"""``set_roles NAME ROLE...``: the roles of a person, instead of those until now."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from access.people import Unknown, person_called, set_roles
from access.refused_change import RefusedChange
from access.roles import ROLES


class Command(BaseCommand):
    """Change the roles of a person."""

    help = "Gives a person these roles and takes away all others; counts from the next request on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """A name and at least one role."""
        parser.add_argument("name")
        parser.add_argument("roles", nargs="+", choices=sorted(ROLES), metavar="role")
        parser.add_argument("--reason", default="", help="why; it stands in the access trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what the person has now."""
        roles = sorted(set(options["roles"]))
        try:
            set_roles(person_called(options["name"]), roles, reason=options["reason"])
        except (Unknown, RefusedChange) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['name']} has now: {', '.join(roles)}")
