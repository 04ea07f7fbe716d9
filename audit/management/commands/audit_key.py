"""The public key of the checkpoints."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.sealer import own_signer


class Command(BaseCommand):
    """``manage.py audit_key``: prints the key that auditors keep; the first call makes it."""

    help = "Prints the public key with which the checkpoints of the access trail are signed."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it as a verifier key (c2sp.org/signed-note)."""
        try:
            self.stdout.write(str(own_signer().public))
        except (OSError, ValueError) as error:
            raise CommandError(f"the key can't be read or made: {type(error).__name__}") from error
