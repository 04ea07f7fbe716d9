"""Seal and sign now, instead of within a minute."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.sealer import checkpoint, folder, own_signer
from audit.sealing import seal
from audit.tree import TrailAltered


class Command(BaseCommand):
    """``manage.py audit_seal``: what the relay does all the time, once."""

    help = "Seals the events that wait and writes a signed checkpoint."

    def handle(self, *args: Any, **options: Any) -> None:
        """Seal, sign, say how many."""
        try:
            sealed = seal()
            made = checkpoint(folder(), own_signer())
        except TrailAltered as error:
            raise CommandError(f"the trail was altered, nothing is signed: {error}. Run audit_verify.") from error
        except (OSError, ValueError) as error:
            raise CommandError(f"no checkpoint could be written: {type(error).__name__}") from error
        self.stdout.write(
            f"{sealed} events sealed; " + (f"checkpoint of {made.size} events" if made else "nothing to sign")
        )
