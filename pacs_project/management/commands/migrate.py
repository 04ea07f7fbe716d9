"""``migrate``: Django's, made fit to run while the release before serves."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from pacs_project.migrating import alone, quick_locks, until_free


class Command(migrate.Command):
    """``manage.py migrate``: waits for others who migrate; waits for no lock longer than a second, but tries again."""

    def handle(self, *args: Any, **options: Any) -> None:
        """As Django's."""
        connection = connections[options["database"]]
        if options["plan"] or options["check_unapplied"] or connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        # Checked before its own connection is opened: a database that is away is told of as ever.
        connection.ensure_connection()
        with alone(connection, self._tell), quick_locks(connection):
            until_free(lambda: super(Command, self).handle(*args, **options), self._tell)

    def _tell(self, text: str) -> None:
        self.stderr.write(text)
