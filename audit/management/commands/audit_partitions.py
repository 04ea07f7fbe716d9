"""The months of the trail and how large they are."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from audit.partitions import make_ahead, partitions


class Command(BaseCommand):
    """``manage.py audit_partitions``: lists them; makes those of the next months first, as the relay does each hour."""

    help = "Lists the monthly partitions of the access trail with their sizes."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing, then print."""
        make_ahead()
        table = Table("partition", "from", "until before", "events, about", "size with indexes", box=None)
        for part in partitions():
            events = f"{part.events:,}".replace(",", " ") if part.events >= 0 else "not counted yet"
            rest = "no month of its own" if part.high is None else ""
            table.add_row(part.name, rest or _day(part.low), _day(part.high), events, f"{part.bytes / 1e6:,.1f} MB")
        Console(highlight=False, emoji=False).print(table)
        self.stdout.write("Nothing takes events away, however old they are.")


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else ""
