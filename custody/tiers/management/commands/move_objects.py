"""Objects moved between tiers, by the policy table or by name, and brought back."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from rich.filesize import decimal

from archive.errors import ArchiveError
from archive.models import Instance, Series, Study
from archive.object_store.errors import ObjectStoreError
from archive.object_store.marks import HOT
from archive.standstill import refuse_writing
from audit.record import AuditUnavailable
from custody.tiers.moving import Decision, decisions, move, tiers_there
from custody.tiers.priors import recall_priors
from custody.tiers.recalling import bytes_by_tier, wish_for
from custody.tiers.recorded import recorded
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
        uid: str | None = options["study"]
        study = self._study(uid)
        named = [uid] if uid is not None else []
        if options["recall"] and study is None:
            raise CommandError("--recall: expected --study UID")
        try:
            if options["status"]:
                self._status()
            elif options["dry_run"]:
                self._explain(self._series(study))
            elif options["recall_priors"]:
                self._wish("priors of orders that are due soon brought back", [], recall_priors)
            elif study is not None and options["recall"]:
                self._wish("a study brought back", named, lambda: wish_for([study]))
            else:
                self._move(self._series(study), named)
        except (ObjectStoreError, ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error} (run it again to go on)") from error

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

    def _series(self, study: int | None) -> list[int] | None:
        if not settings.PACS.tiers.rows:
            raise CommandError("the policy table is empty (PACS_TIERS__ROWS); nothing moves")
        return None if study is None else list(Series.objects.filter(study=study).values_list("pk", flat=True))

    def _wish(self, deed: str, study_uids: list[str], wish: Callable[[], int]) -> None:
        with recorded(f"objects moved between tiers: {deed}", study_uids) as counts:
            counts["series wished for"] = wish()
        self.stdout.write(f"{counts['series wished for']} series are brought back")

    def _explain(self, series: list[int] | None) -> None:
        counts: Counter[str] = Counter()
        size = 0
        for _, found in decisions(series=series):
            for decision in found:
                self.stdout.write(_explained(decision))
                counts["looked at"] += 1
                if decision.moves:
                    counts["would move"] += 1
                    size += decision.kept.size
        self._told(counts, size, "would move")

    def _move(self, series: list[int] | None, study_uids: list[str]) -> None:
        looked_at = size = 0
        with recorded("objects moved between tiers by the policy table", study_uids) as counts:
            for _, found in decisions(series=series):
                for decision in found:
                    looked_at += 1
                    if decision.moves:
                        refuse_writing()
                        outcome = move(decision)
                        counts[outcome] += 1
                        size += decision.kept.size if outcome == Moved.MOVED else 0
        self._told(Counter({"looked at": looked_at} if looked_at else {}) + counts, size, "moved")

    def _told(self, counts: Counter[str], size: int, word: str) -> None:
        self.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing is stored")
        if size:
            self.stdout.write(f"{decimal(size)} {word}")


def _explained(decision: Decision) -> str:
    asked = decision.subject
    because = (
        f"{asked.modality or 'no modality'}, {asked.age} days old, not opened for {asked.unopened}, {asked.size} bytes"
    )
    goes = f"{decision.tier} -> {decision.wanted}" if decision.moves else f"stays {decision.tier}"
    return f"{decision.kept.holder.word[:-1]} of {decision.sop_instance_uid}: {goes}; {because}; row: {decision.row}"
