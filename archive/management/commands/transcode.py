"""Transcoding at rest over what is stored already, its state, and labelled lossy copies."""

import os
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import Now
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from archive import outbox
from archive.at_rest import policy, transcode_for
from archive.at_rest_checking import KEPT, check
from archive.at_rest_making import Outcome
from archive.at_rest_pace import alone_with, pause, paused
from archive.at_rest_report import Amount, failures, report, sample
from archive.errors import ArchiveError
from archive.lossy import copies
from archive.models import DroppedOriginal, OutboxEntry, Representation, Series, TranscodingAttempt
from archive.outbox import Wish
from archive.standstill import refuse_writing
from audit.record import AuditUnavailable

LISTED = 50


class Command(BaseCommand):
    """``manage.py transcode``: may be ended at any time and repeated; what is done stays done."""

    help = "Writes lossless representations beside stored objects, as the policy table says."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, and with which part of the archive."""
        deeds = parser.add_mutually_exclusive_group()
        deeds.add_argument(
            "--dry-run", action="store_true", help="only say what there is to do, and what it would save"
        )
        deeds.add_argument("--status", action="store_true", help="what is done, open and failed")
        deeds.add_argument("--verify", action="store_true", help="read all representations back and compare each frame")
        deeds.add_argument(
            "--pause", action="store_true", help="let nobody begin with another instance, until --resume"
        )
        deeds.add_argument("--resume", action="store_true", help="go on")
        deeds.add_argument("--lossy", choices=("jpeg2000",), help="labelled lossy copies, as a series of their own")
        parts = parser.add_mutually_exclusive_group()
        parts.add_argument("--study", metavar="UID")
        parts.add_argument("--series", metavar="UID")
        parts.add_argument("--all", action="store_true", help="everything that is stored")
        parser.add_argument("--ratio", type=_ratio, help="with --lossy: how many times smaller, 2 to 100")
        parser.add_argument("--retry", action="store_true", help="also what has failed before")

    def handle(self, *args: Any, **options: Any) -> None:
        """One deed; transcoding if none is named."""
        self.console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        if not self.console.is_terminal:
            self.console.width = 160
        if options["pause"] or options["resume"]:
            self._pause(on=options["pause"])
            return
        chosen = self._series(options)
        try:
            if options["lossy"]:
                self._lossy(options)
            elif options["dry_run"]:
                self._report(chosen, sampled=True)
            elif options["status"]:
                self._report(chosen, sampled=False)
                self._status(chosen)
            elif chosen is None and not options["all"]:
                raise CommandError("expected --study UID, --series UID or --all")
            elif options["verify"]:
                self._verify(chosen)
            else:
                self._transcode(chosen, retry=options["retry"])
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error} (run it again to go on)") from error

    def _series(self, options: dict[str, Any]) -> list[int] | None:
        """The series that are meant, ``None`` for all."""
        if options["study"] is None and options["series"] is None:
            return None
        rows = Series.objects.order_by("pk")
        named = (
            rows.filter(study__study_instance_uid=options["study"])
            if options["study"] is not None
            else rows.filter(series_instance_uid=options["series"])
        )
        if not (found := list(named.values_list("pk", flat=True))):
            raise CommandError("nothing is stored under this UID")
        return found

    def _pause(self, *, on: bool) -> None:
        pause(on=on)
        if not on:
            OutboxEntry.objects.filter(kind=outbox.AT_REST, dead=False, not_before__gt=Now()).filter(
                attempts=0, generation__gt=1
            ).update(not_before=Now())
        self.console.print("paused; --resume goes on" if on else "transcoding goes on")

    def _report(self, chosen: list[int] | None, *, sampled: bool) -> None:
        rows = policy()
        table = Table(
            Column("row", no_wrap=True),
            "instances",
            "bytes",
            "done",
            "open",
            "saved",
            *(["would save"] if sampled else []),
        )
        for found in report(rows, chosen):
            left = found.open
            cells = [str(found.row), str(found.all.instances), decimal(found.all.bytes), str(found.made.instances)]
            cells += [str(left.instances), _saving(found.made, found.made_bytes)]
            if sampled:
                ratio = sample(found, rows, chosen) if left.instances else None
                cells.append(_saving(left, int(left.bytes * ratio)) if ratio is not None else "")
            table.add_row(*cells)
        self.console.print(table)
        self.console.print("Saved is what goes once originals are dropped; until then representations are kept beside.")

    def _status(self, chosen: list[int] | None) -> None:
        queue = OutboxEntry.objects.filter(kind=outbox.AT_REST)
        counts = queue.aggregate(open=Count("pk", filter=Q(dead=False)), dead=Count("pk", filter=Q(dead=True)))
        larger = TranscodingAttempt.objects.filter(outcome=Outcome.LARGER).count()
        dropped = DroppedOriginal.objects.count()
        self.console.print(
            f"{'paused' if paused() else 'not paused'}; series waiting: {counts['open']}, given up: {counts['dead']}; "
            f"would not get smaller: {larger}; originals dropped: {dropped}"
        )
        self._failures(chosen)

    def _failures(self, chosen: list[int] | None) -> None:
        for at, (uid, outcome, reason) in enumerate(failures(chosen)):
            if at == LISTED:
                self.console.print("... and more")
                return
            self.console.print(f"{outcome} {uid}: {reason}")

    def _transcode(self, chosen: list[int] | None, *, retry: bool) -> None:
        if paused():
            raise CommandError("transcoding is paused; --resume goes on")
        refuse_writing()
        os.nice(settings.PACS.at_rest.niceness)
        if retry:
            failed = TranscodingAttempt.objects.filter(outcome=Outcome.FAILED)
            (failed if chosen is None else failed.filter(instance__series__in=chosen)).delete()
        total = sum(found.open.instances for found in report(policy(), chosen))
        began = time.monotonic()
        last = Representation.objects.aggregate(last=Max("pk"))["last"] or 0
        counts: dict[Outcome, int] = {}
        size = before = busy = dropped = 0
        columns = (TextColumn("transcoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            bar = progress.add_task("transcode", total=total)
            for pk in _in_turn(chosen):
                refuse_writing()
                with alone_with(pk) as mine:
                    busy += not mine
                    if mine:
                        turn = transcode_for(pk, tell=lambda pk, outcome: progress.advance(bar))
                if not mine:
                    continue
                for outcome, count in turn.outcomes.items():
                    counts[outcome] = counts.get(outcome, 0) + count
                dropped += turn.dropped
                if turn.again is not None:
                    # What is tried again, or dropped later, is the workers' business.
                    outbox.wish([Wish(outbox.AT_REST, str(pk), turn.again)])
                made = Representation.objects.filter(instance__series=pk, pk__gt=last)
                sums = made.aggregate(size=Sum("object_size"), before=Sum("source_size"))
                size, before = size + (sums["size"] or 0), before + (sums["before"] or 0)
                if paused():
                    break
        seconds = max(time.monotonic() - began, 0.001)
        self.console.print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing to do")
        self.console.print(
            f"{_saving(Amount(0, before), size)} saved of {decimal(before)}, {decimal(int(before / seconds))}/s"
        )
        if dropped:
            self.console.print(f"{dropped} originals dropped")
        if busy:
            self.console.print(f"{busy} series are being transcoded by a worker")
        self._failures(chosen)
        if paused():
            raise CommandError("paused; --resume and the same command go on")

    def _verify(self, chosen: list[int] | None) -> None:
        sound = wrong = 0
        for uid, reason in check(chosen):
            sound += not reason
            wrong += bool(reason)
            if reason:
                self.console.print(f"{uid}: {reason}{'' if reason == KEPT else '; its representation is made again'}")
        self.console.print(f"{sound} representations are sound, {wrong} are not")
        if wrong:
            raise CommandError("some were not sound")

    def _lossy(self, options: dict[str, Any]) -> None:
        if options["study"] is None or options["ratio"] is None:
            raise CommandError("--lossy: expected --study UID and --ratio N")
        made = refused = 0
        for uid, reason in copies(options["study"], options["ratio"]):
            made += not reason
            refused += bool(reason)
            if reason:
                self.console.print(f"no copy of {uid}: {reason}")
        self.console.print(f"{made} lossy copies made, {refused} not")
        if not made:
            raise CommandError("nothing was made")


def _in_turn(chosen: list[int] | None) -> Iterator[int]:
    """The series, in steps, so that a large archive isn't listed at once."""
    if chosen is not None:
        yield from chosen
        return
    last = 0
    while step := list(Series.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:1000]):
        yield from step
        last = step[-1]


def _saving(before: Amount, size: int) -> str:
    if not before.bytes:
        return "-"
    return f"{decimal(before.bytes - size) if size <= before.bytes else '-'} ({1 - size / before.bytes:.0%})"


def _ratio(text: str) -> float:
    number = float(text)
    if not 2 <= number <= 100:
        raise ArgumentTypeError(f"{text} is no ratio (2 to 100)")
    return number
