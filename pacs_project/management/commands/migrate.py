"""``migrate``: Django's, made fit to run while the release before serves."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connections

from custody.backups import unsettled
from custody.backups.afterwards import settle
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
        restored = unsettled.found()
        if restored is not None:
            self._take_over()
        with alone(connection, self._tell), quick_locks(connection):
            until_free(lambda: super(Command, self).handle(*args, **options), self._tell)
            ended = settle() if restored is not None else None
        if ended is not None:
            unsettled.end_other_sessions()
            self.stdout.write(f"{ended} sessions and tokens of the restored database: everybody signs in again")

    def _take_over(self) -> None:
        """A database that was restored is settled before anybody can use it, also by who comes after a restore that was
        killed."""
        if not unsettled.came_back():
            raise CommandError(
                "A restore was broken off before its database was there. Call the same ./pacs restore again, or begin "
                "with another, empty database."
            )
        unsettled.write_here()

    def _tell(self, text: str) -> None:
        self.stderr.write(text)
