"""Stored objects written anew under the active key: after a rotation, or after sealing was switched on or off."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.errors import ArchiveError
from archive.object_store.errors import ObjectStoreError
from audit.record import AuditUnavailable
from custody.tiers.holders import MOVABLE, sealed_otherwise
from custody.tiers.recorded import recorded
from custody.tiers.relocation import Moved
from custody.tiers.resealing import reseal, seal_now

_TOLD_EACH = 1000


class Command(BaseCommand):
    """``manage.py reseal``: may be ended at any time and repeated; what is done stays done."""

    help = "Writes stored objects anew under the active key-encryption key."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much of it."""
        parser.add_argument("--dry-run", action="store_true", help="only count what would be written anew")
        parser.add_argument("--limit", type=int, default=0, metavar="N", help="stop after so many objects")

    def handle(self, *args: Any, **options: Any) -> None:
        """Object by object."""
        try:
            seal = seal_now()
            self.stdout.write(f"sealed by {seal}" if seal else "into plaintext: PACS_ENCRYPTION__AT_REST is off")
            if options["dry_run"]:
                for holder in MOVABLE:
                    self.stdout.write(f"{sum(1 for _ in sealed_otherwise(holder, seal))} {holder.word} to write anew")
                return
            with recorded(f"stored objects written anew {f'under {seal}' if seal else 'unsealed'}") as counts:
                for done, (each, outcome) in enumerate(reseal(), 1):
                    counts[outcome] += 1
                    if outcome in (Moved.MISSING, Moved.DAMAGED):
                        self.stdout.write(f"{outcome}: {each.key}")
                    if done % _TOLD_EACH == 0:
                        self.stdout.write(f"{done} objects")
                    if done == options["limit"]:
                        break
        except (ObjectStoreError, ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error} (run it again to go on)") from error
        self.stdout.write(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing to do")
        if counts[Moved.MOVED]:
            days = settings.PACS.delete_grace_days
            self.stdout.write(f"what they were before is removed by the sweep after {days:g} days")
        if counts[Moved.MISSING] or counts[Moved.DAMAGED]:
            raise CommandError("some objects are not what they should be; they were left as they are")
