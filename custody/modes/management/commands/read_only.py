"""``read_only on --reason WHY | off | show``: whether anything may be changed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from custody.modes import read_only


class Command(BaseCommand):
    """Begin, end or show read-only mode."""

    help = "Refuses all changes (stores, deletions, HL7 messages, administration) with 503, or takes them again."
    # While a migration waits it must still be possible.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to do, and why."""
        parser.add_argument("what", choices=["on", "off", "show"], nargs="?", default="show")
        parser.add_argument("--reason", default="", help="why; clients are told, and it stands in the access trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what is so now."""
        what, reason = options["what"], options["reason"].strip()
        if what == "on":
            if not reason:
                raise CommandError("--reason: say why; clients are told")
            begun = read_only.begin(reason)
            self.stdout.write("read-only from now on" if begun else "it is read-only already")
        elif what == "off":
            self.stdout.write("changes are taken again" if read_only.end(reason) else "it was not read-only")
        found = read_only.read_only()
        self.stdout.write(f"read-only since {found.since:%Y-%m-%d %H:%M} UTC: {found.reason}" if found else "normal")
