"""Damage that a reader came upon: a wish for a closer look at that object, which a task of another room takes.

The reader is answered meanwhile, from a second store or with an error; nothing here may make that worse.
"""

import logging
import time

from django.db import DatabaseError, connection, transaction

from archive import outbox
from archive.object_store.errors import ObjectStoreError
from archive.outbox import Wish

log = logging.getLogger("archive.damage")

# Readers of one object come in crowds; one look is enough for all of them.
_QUIET_SECONDS = 60.0
_KEYS = 1000
_noted: dict[str, float] = {}


def note(key: str, error: ObjectStoreError) -> None:
    """Wish for a look at the object under ``key``; never raises."""
    now = time.monotonic()
    if now - _noted.get(key, -_QUIET_SECONDS) < _QUIET_SECONDS:
        return
    if len(_noted) >= _KEYS:
        _noted.clear()
    _noted[key] = now
    log.error("a stored object is missing or damaged: %s: %s", key, error)
    # Threads that only read have no connection, and are not given one to keep.
    mine = connection.connection is None
    try:
        with transaction.atomic():
            outbox.wish([Wish(outbox.OBJECT_DAMAGED, key)])
    except DatabaseError as failed:
        log.warning("nobody could be told of it: %s", type(failed).__name__)
    finally:
        if mine and not connection.in_atomic_block:
            connection.close()
