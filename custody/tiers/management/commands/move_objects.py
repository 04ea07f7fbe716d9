"""Objects moved between tiers, by the policy table or by name, and brought back."""

from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from rich.filesize import decimal

from archive.models import Instance, Series, Study
from archive.object_store.errors import ObjectStoreError
from archive.object_store.marks import HOT
from custody.tiers.moving import Decision, decisions, move, tiers_there
from custody.tiers.priors import recall_priors
from custody.tiers.recalling import bytes_by_tier, wish_for
from custody.tiers.relocation import Moved


class Command(BaseCommand):
    """``manage.py move_objects``: may be ended at any time and repeated; what is done stays done."""

    help = "Moves objects between the hot, warm and cold tier, as the policy table says."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        deeds = parser.add_mutually_exclusive_group()
        deeds.add_argument("--dry-run", action="store_true", help="explain the decision on each object; move nothing")
        deeds.add_argument("--status", action="store_true", help="instances and bytes of each tier")
        deeds.add_argument("--recall", action="store_true", help="bring the study back to the hot tier")
        deeds.add_argument("--recall-priors", action="store_true", help="bring back priors of orders that are due soon")
        parser.add_argument("--study", metavar="UID")

    def handle(self, *args: Any, **options: Any) -> None:
        """One deed; moving if none is named."""
        study = self._study(options["study"])
        if options["status"]:
            self._status()
        elif options["recall_priors"]:
            self.stdout.write(f"{recall_priors()} series are brought back")
        elif options["recall"]:
            if study is None:
                raise CommandError("--recall: expected --study UID")
            self.stdout.write(f"{wish_for([study])} series are brought back")
        else:
            self._move(study, dry_run=options["dry_run"])

    def _study(self, uid: str | None) -> int | None:
        if uid is None:
            return None
        study = Study.objects.filter(study_instance_uid=uid).values_list("pk", flat=True).first()
        if study is None:
            raise CommandError("nothing is stored under this UID")
        return int(study)

    def _status(self) -> None:
        away = bytes_by_tier()
        instances, size = Instance.objects.count(), Instance.objects.aggregate(n=Sum("object_size"))["n"] or 0
        away[HOT] = (instances - sum(n for n, _ in away.values()), size - sum(n for _, n in away.values()))
        for tier in dict.fromkeys((*tiers_there(), *away)):
            count, of_tier = away.get(tier, (0, 0))
            self.stdout.write(f"{tier}: {count} instances, {decimal(of_tier)}")

    def _move(self, study: int | None, *, dry_run: bool) -> None:
        if not settings.PACS.tiers.rows:
            raise CommandError("the policy table is empty (PACS_TIERS__ROWS); nothing moves")
        series = None if study is None else list(Series.objects.filter(study=study).values_list("pk", flat=True))
        counts: Counter[str] = Counter()
        size = 0
        try:
            for _, found in decisions(series=series):
                for decision in found:
                    counts["looked at"] += 1
                    if dry_run:
                        self.stdout.write(_explained(decision))
                    if decision.moves:
                        outcome = "would move" if dry_run else str(move(decision))
                        counts[outcome] += 1
                        size += decision.kept.size if outcome in ("would move", Moved.MOVED) else 0
        except ObjectStoreError as error:
            raise CommandError(f"stopped: {error} (run it again to go on)") from error
        self.stdout.write(", ".join(f"{count} {word}" for word, count in counts.items()) or "nothing is stored")
        if size:
            self.stdout.write(f"{decimal(size)} {'would move' if dry_run else 'moved'}")


def _explained(decision: Decision) -> str:
    asked = decision.subject
    because = (
        f"{asked.modality or 'no modality'}, {asked.age} days old, not opened for {asked.unopened}, {asked.size} bytes"
    )
    goes = f"{decision.tier} -> {decision.wanted}" if decision.moves else f"stays {decision.tier}"
    return f"{decision.kept.holder.word[:-1]} of {decision.sop_instance_uid}: {goes}; {because}; row: {decision.row}"
