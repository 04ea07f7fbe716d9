"""Django's PostgreSQL backend, whose health check before each request's first statement asks the kernel, not the
server: a connection on which nothing waits to be read has not been ended by the other side.
"""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's; ``is_usable`` costs a round trip only where there is something to read."""

    def is_usable(self) -> bool:
        """Whether the connection can be used: its end, or a message of the server's, can be read before it is.

        Not within a transaction that failed, as with Django's.
        """
        raw = self.connection
        if raw is None or raw.closed or raw.info.transaction_status == TransactionStatus.INERROR:
            return False
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(super().is_usable()) if waiting.poll(0) else True
