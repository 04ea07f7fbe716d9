"""``emergencies``: the end of emergency accesses whose time is over is recorded, and new ones are told by mail."""

from typing import Any

from django.core.management.base import BaseCommand

from access.alerts import tell_of_emergencies
from access.emergency import write_down_expired


class Command(BaseCommand):
    """What the relay does every few seconds."""

    help = "Records emergency accesses that have ended by themselves and writes mails about new ones."

    def handle(self, *args: Any, **options: Any) -> None:
        """Say nothing if there is nothing to do."""
        ended, told = write_down_expired(), tell_of_emergencies()
        if ended or told:
            self.stdout.write(f"{ended} emergency accesses have ended, {told} mails were sent")
