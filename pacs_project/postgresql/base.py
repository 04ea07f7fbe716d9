"""Django's PostgreSQL backend, whose health check before each request's first statement asks the kernel, not the
server: a connection on which nothing waits to be read has not been ended by the other side. It may have gone without a
word (a failover, a firewall that forgot the connection), so the server is asked where it was not for a while.
"""

import select
import time
from typing import Any, Final

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

BELIEVED_SECONDS: Final = 30.0
_USABLE: Final = (TransactionStatus.IDLE, TransactionStatus.INTRANS)


class DatabaseWrapper(base.DatabaseWrapper):
    """As Django's; ``is_usable`` costs a round trip only where there is something to read, and now and then."""

    heard_of_at = 0.0

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """As Django's."""
        raw = super().get_new_connection(conn_params)
        self.heard_of_at = time.monotonic()
        return raw

    def is_usable(self) -> bool:
        """Whether the connection can be used: its end, or a message of the server's, can be read before it is.

        Not within a transaction that failed nor with a statement under way, as with Django's.
        """
        raw = self.connection
        if raw is None or raw.closed or raw.info.transaction_status not in _USABLE:
            return False
        now = time.monotonic()
        waiting = select.poll()
        waiting.register(raw.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        if not waiting.poll(0) and now - self.heard_of_at < BELIEVED_SECONDS:
            return True
        usable = bool(super().is_usable())
        if usable:
            self.heard_of_at = now
        return usable
