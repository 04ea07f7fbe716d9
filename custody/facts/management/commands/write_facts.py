"""Have facts written of everything that has none."""

from typing import Any

from django.core.management.base import BaseCommand

from archive.outbox import Wish, wish
from custody.facts.writing import WALK


class Command(BaseCommand):
    """``manage.py write_facts``: workers write them; an upgrade does the same by itself."""

    help = "Has facts documents written of the studies and patients that have none."

    def handle(self, *args: Any, **options: Any) -> None:
        """Wish for the walk."""
        wish([Wish(WALK, "0")])
        self.stdout.write("workers are writing the facts that are missing")
