"""How far the trail is sealed, signed and sent."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from audit import sealer, sender


class Command(BaseCommand):
    """``manage.py audit_status``: a line for each way that an event goes."""

    help = "Says how far the access trail is sealed, signed and sent."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        sealing, sending = sealer.state(), sender.state()
        self.stdout.write(f"{sealing['sealed']:.0f} events sealed, {sealing['signed']:.0f} under a signed checkpoint")
        wanted = settings.PACS.syslog
        if not (wanted.host or sending["sent"] or sending["error"]):
            self.stdout.write("sent nowhere (PACS_SYSLOG__HOST is not set)")
            return
        waiting = sending["sealed"] - sending["sent"]
        self.stdout.write(
            f"syslog to {wanted.host or '(no host set)'}: {sending['sent']} sent, {sending['arrived']} known to have "
            f"arrived, {waiting} wait"
            + (f" since {sending['waits_since']:%Y-%m-%d %H:%M:%S} UTC" if waiting and sending["waits_since"] else "")
            + (f"; last failure: {sending['error']}" if sending["error"] else "")
        )
