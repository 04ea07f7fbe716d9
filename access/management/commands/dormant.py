"""``dormant [--disable]``: accounts that nobody has used for long."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from access.account_report import Account, dormant
from access.dormant import switch_off_dormant


class Command(BaseCommand):
    """List dormant accounts, or switch them off."""

    help = "Lists people and machines that were not used for PACS_DORMANT_DAYS days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--disable`` ends them."""
        parser.add_argument("--disable", action="store_true", help="switch them off, and end all that they have")

    def handle(self, *args: Any, **options: Any) -> None:
        """One line an account."""
        if not options["disable"]:
            for account in dormant():
                self._line(account, "")
            return
        off, stayed = switch_off_dormant()
        for account in off:
            self._line(account, "switched off")
        for account in stayed:
            self._line(account, "stays: nobody else may manage")

    def _line(self, account: Account, what: str) -> None:
        used = f"{account.last_used:%Y-%m-%d}" if account.last_used else "never used"
        self.stdout.write(f"{account.kind:<7} {account.name:<30} {used:<12} {what}".rstrip())
