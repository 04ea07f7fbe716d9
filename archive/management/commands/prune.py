"""``prune``: rows that are older than their setting says go. The relay calls it once a day."""

from typing import Any

from django.core.management.base import BaseCommand

from archive.pruning import prune


class Command(BaseCommand):
    """``manage.py prune``: safe to repeat, and to break off."""

    help = "Clears away rows that are older than PACS_KEEP__* says: change feed, HL7 messages, state events."

    def handle(self, *args: Any, **options: Any) -> None:
        """All that is due, each with its number."""
        for name, removed in prune():
            self.stdout.write(f"{name}: {removed}")
