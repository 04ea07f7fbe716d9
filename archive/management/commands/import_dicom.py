"""Import files, folders and zip archives."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from archive.errors import ArchiveError
from archive.import_sources import sources
from archive.importing import Imported, import_all, record_import
from audit.record import AuditUnavailable


class Command(BaseCommand):
    """``manage.py import_dicom PATH...``: may be repeated; what is stored already stays as it is."""

    help = "Imports DICOM files, folders of them, and zip archives."

    def add_arguments(self, parser: CommandParser) -> None:
        """The paths."""
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, name each refused file with its reason, and count."""
        console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
        paths: list[Path] = options["paths"]
        missing = [path for path in paths if not os.path.lexists(path)]
        if missing:
            raise CommandError(f"no such file or folder: {_printable(str(missing[0]))}")
        counts = {"stored": 0, "there already": 0, "refused": 0}
        columns = (TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        try:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
                # Only a bar that is seen is worth the look ahead.
                total = sum(1 for _ in sources(paths)) if console.is_terminal else None
                task = progress.add_task("import", total=total)
                for imported in import_all(sources(paths), record_import):
                    counts[_kind(imported)] += 1
                    progress.advance(task)
                    if imported.stored.failure_reason is not None:
                        console.print(_line(imported))
        except (ArchiveError, AuditUnavailable) as error:
            raise CommandError(f"stopped: {error} ({counts['stored']} stored so far; run it again to go on)") from error
        console.print(", ".join(f"{count} {what}" for what, count in counts.items()))
        if counts["refused"] and not (counts["stored"] or counts["there already"]):
            raise CommandError("nothing was stored")


def _kind(imported: Imported) -> str:
    if imported.stored.failure_reason is not None:
        return "refused"
    return "there already" if imported.stored.duplicate else "stored"


def _line(imported: Imported) -> str:
    return f"refused ({imported.stored.failure_reason:04X}) {_printable(imported.source.name)}: {imported.stored.text}"


def _printable(name: str) -> str:
    """A file may have any name, one that moves the cursor of a terminal as well."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name)
