"""How many connections the listeners have open: told by each of them every few seconds, forgotten when it is gone."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import Any, Final

import redis
from django.conf import settings

_log = logging.getLogger(__name__)
EVERY_SECONDS: Final = 5
_PREFIX: Final = "lightbox:hl7:listener:"
# A listener that said nothing for so long is gone.
_FORGOTTEN: Final = 4 * EVERY_SECONDS
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Listening:
    """Listeners that run, and the connections that they have open together."""

    listeners: int
    connections: int


def tell(connections: int) -> None:
    """This process has so many connections open. Nothing depends on it: a broker that is away is no fault."""
    try:
        with _broker() as broker:
            broker.set(f"{_PREFIX}{socket.gethostname()}:{os.getpid()}", connections, ex=_FORGOTTEN)
    except redis.RedisError:
        _log.debug("the number of connections could not be told")


def open_connections() -> Listening | None:
    """What the listeners told last; None where that can't be asked."""
    try:
        with _broker() as broker:
            names = list(broker.scan_iter(match=f"{_PREFIX}*", count=_MOST))[:_MOST]
            told = broker.mget(names) if names else []
    except redis.RedisError:
        return None
    numbers = [int(each) for each in told if each is not None and each.isdigit()]
    return Listening(len(numbers), sum(numbers))


def _broker() -> Any:
    return redis.Redis.from_url(settings.PACS.redis_url, socket_timeout=1, socket_connect_timeout=1)
