"""Print what ``/metrics`` shows, for a host without a web server."""

from typing import Any

from django.core.management.base import BaseCommand

from pacs_project.gauges import figures
from telemetry.exposition import exposition


class Command(BaseCommand):
    """``manage.py metrics``."""

    help = "Prints the counters of all processes of this host, and the gauges, in Prometheus' text format."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        self.stdout.write(exposition(figures()).decode(), ending="")
