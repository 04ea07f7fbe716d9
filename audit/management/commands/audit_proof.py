"""What an outside auditor needs to check an event, or the growth of the log, without believing us."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.checkpoints import BadCheckpoint
from audit.kinds import READ_TRAIL
from audit.proofs import NoProof, consistency, inclusion
from audit.record import AuditUnavailable, NewAccessEvent, record
from audit.sealer import folder, own_signer
from audit.tree import TrailAltered


class Command(BaseCommand):
    """``manage.py audit_proof SEQUENCE`` or ``--from SIZE --to SIZE``: JSON on standard output."""

    help = "Prints the proof that an event is in the signed log, or that the log only grew between two checkpoints."

    def add_arguments(self, parser: CommandParser) -> None:
        """An event, or two sizes."""
        parser.add_argument("sequence", nargs="?", type=int, help="the event")
        parser.add_argument("--from", dest="first", type=int, help="the size of the older checkpoint")
        parser.add_argument("--to", dest="second", type=int, help="the size of the newer one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it; showing an event leaves one in the trail (PS3.15 A.5.3.2)."""
        sequence, first, second = options["sequence"], options["first"], options["second"]
        try:
            keys = [own_signer().public]
            if sequence is not None:
                proof = inclusion(sequence, folder(), keys)
                record([_shown(sequence)])
            elif first is not None and second is not None:
                proof = consistency(first, second, folder(), keys)
            else:
                raise CommandError("which event? Or which two sizes: --from SIZE --to SIZE")
        except (NoProof, TrailAltered, BadCheckpoint, AuditUnavailable, OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(proof, indent=1, ensure_ascii=False))


def _shown(sequence: int) -> NewAccessEvent:
    return NewAccessEvent(
        kind=READ_TRAIL,
        principal_kind="system",
        principal_name="command line",
        auth_method="shell",
        query=f"proof of sequence {sequence}",
        instance_count=1,
    )
