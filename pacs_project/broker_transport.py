"""The way to the broker: what lies in its lists and is no message is dropped, and told.

By itself the client would let the worker end over it, and the next one over the next piece. Nothing is lost by it: the
outbox sends its tasks again until they are done.
"""

import logging
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

log = logging.getLogger("pacs_project.broker")


class Channel(redis.Channel):
    """Reads what is no JSON, or JSON that is no message, as if nothing had come."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, TypeError, KeyError) as error:
            log.error("something in the broker is no message (%s); it is dropped", type(error).__name__)
            raise Empty from error


class Transport(redis.Transport):
    """Of Redis and Valkey, with our channel."""

    Channel = Channel


def use() -> None:
    """For every connection to the broker that is made from now on."""
    ours = f"{__name__}:{Transport.__name__}"
    TRANSPORT_ALIASES.update(redis=ours, rediss=ours)
