"""Store the sample studies: generated images without any patient."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import samples
from archive.errors import ArchiveError
from archive.import_sources import Source
from archive.importing import import_all, record_import


class Command(BaseCommand):
    """``manage.py load_samples``: may be repeated; what is there stays."""

    help = "Generates the sample studies and stores them."

    def add_arguments(self, parser: CommandParser) -> None:
        """``--small`` makes a thinner version of each study, for tests."""
        parser.add_argument("--small", action="store_true", help="fewer images of each study")

    def handle(self, *args: Any, **options: Any) -> None:
        """Generate, store, show progress."""
        console = Console(highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        try:
            with Progress(*columns, console=console) as progress:
                for study in samples.studies(small=options["small"]):
                    task = progress.add_task(study.description, total=study.instance_count)
                    for imported in import_all(_sources(study), record_import):
                        if imported.stored.failure_reason is not None:
                            raise CommandError(f"a sample was refused: {imported.stored.text}")
                        progress.advance(task)
        except ArchiveError as error:
            raise CommandError(str(error)) from error


def _sources(study: samples.SampleStudy) -> Iterator[Source]:
    for number, data in enumerate(study.generate(), 1):
        yield Source(f"{study.name}/{number}", lambda data=data: BytesIO(data))  # type: ignore[misc]
