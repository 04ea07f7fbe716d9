"""Make the index anew from the object store."""

import os
import sys
import time
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from archive.errors import ArchiveError
from archive.object_store.errors import ObjectStoreError
from audit.record import AuditUnavailable
from custody.facts.rebuild import ADD_MISSING, EMPTY, RESUME, KeptOut, NotEmpty, Progress, accept, planned, rebuild

_TOLD_EVERY = 2.0


class Command(BaseCommand):
    """``./pacs rebuild``: progress goes to standard error, the summary to standard output as JSON."""

    help = "Recreates the index from the object store alone."

    def add_arguments(self, parser: CommandParser) -> None:
        """How, and with how many processes."""
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--resume", action="store_true", help="go on with a rebuild that was broken off")
        mode.add_argument("--add-missing", action="store_true", help="add what an index lacks that is not empty")
        mode.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
        mode.add_argument("--accept", action="store_true", help="end one that left something open: it stays as it is")
        parser.add_argument(
            "--without-facts",
            action="store_true",
            help="take in studies whose facts can't be read, as their objects say",
        )
        parser.add_argument("--processes", type=int, default=min(8, os.cpu_count() or 1), help="default: one a core")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild and tell."""
        self._told_at = 0.0
        mode = RESUME if options["resume"] else ADD_MISSING if options["add_missing"] else EMPTY
        try:
            if options["accept"]:
                summary = {"accepted": accept()}
            elif options["dry_run"]:
                summary = planned()
            else:
                progress = Progress(self._tell)
                summary = rebuild(
                    mode,
                    processes=max(1, options["processes"]),
                    progress=progress,
                    without_facts=options["without_facts"],
                )
        except (NotEmpty, KeptOut) as error:
            raise CommandError(str(error)) from error
        except (ArchiveError, ObjectStoreError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error}; --resume goes on") from error
        self.stdout.write(orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode())
        self._tell_kept_out(summary)

    def _tell_kept_out(self, summary: dict[str, Any]) -> None:
        kept_out = summary.get("problems", {}).get("kept_out", [])
        if kept_out:
            for text in kept_out:
                self.stderr.write(f"KEPT OUT  {text}")
            self.stderr.write(
                f"{summary['counts']['kept_out']} studies were kept out, as it isn't known what was deleted, closed or "
                "corrected of them. Put the documents back that are named (from the second store, or a backup of the "
                "bucket), then ./pacs rebuild --resume; --resume --without-facts takes them in as their objects say."
            )

    def _tell(self, progress: Progress) -> None:
        if time.monotonic() < self._told_at + _TOLD_EVERY and progress.done < progress.total:
            return
        self._told_at = time.monotonic()
        left = progress.seconds_left
        text = (
            f"{progress.phase}: {progress.done} of {progress.total}, {progress.instances} instances, "
            f"{progress.rate:.0f} a second" + (f", {_span(left)} to go" if left is not None else "")
        )
        end = "\n" if progress.done >= progress.total else "\r"
        self.stderr.write(text.ljust(79), ending=end if sys.stderr.isatty() else "\n")


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
