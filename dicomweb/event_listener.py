"""Who has news, as PostgreSQL tells it: a connection of its own that listens (``workitems.events.CHANNEL``).

Behind a pooler that gives connections to one transaction at a time nothing is heard; then, and while the connection is
away, subscribers are looked at every few seconds instead (``dicomweb.channels``).
"""

import logging
from typing import Any, Final

from django.db import DatabaseError, connections
from psycopg import Error, sql

from workitems.events import CHANNEL

log: Final = logging.getLogger(__name__)


class EventListener:
    """A connection that is made when it is needed and made again when it has gone."""

    def __init__(self) -> None:
        self._wrapper: Any = None

    def connect(self) -> bool:
        """Listen, if that isn't done yet; whether it is a new connection, of which ``fileno`` can be watched."""
        if self._wrapper is not None:
            return False
        wrapper = connections.create_connection("default")
        try:
            wrapper.ensure_connection()
            wrapper.connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
        except (DatabaseError, Error) as error:
            log.warning("events of workitems can't be listened for (%s); trying again", type(error).__name__)
            wrapper.close()
            return False
        self._wrapper = wrapper
        return True

    def fileno(self) -> int:
        """Of the connection; readable when there is news."""
        return int(self._wrapper.connection.fileno())

    def taken(self) -> set[int] | None:
        """The keys of subscribers of whom was told since; None if the connection has gone."""
        try:
            return {int(told.payload) for told in self._wrapper.connection.notifies(timeout=0)}
        except (DatabaseError, Error, OSError) as error:
            log.warning("the database's connection for events of workitems has gone (%s)", type(error).__name__)
            self.close()
            return None

    def close(self) -> None:
        """End the connection."""
        if self._wrapper is not None:
            self._wrapper.close()
            self._wrapper = None
