"""Objects that a reader came upon in a tier which has to bring them back first: a wish for their series.

The reader is told when to come again; what brings the objects back is a task of another room.
"""

import logging
import time
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from archive import outbox
from archive.errors import Recalling
from archive.object_store.marks import tier_of
from archive.outbox import Wish
from audit.prepared import PreparedSql

log = logging.getLogger("archive.recalls")

# A reader of a series asks for its frames one by one, and comes again and again.
_QUIET_SECONDS: Final = 30.0
_KEYS: Final = 1000
_SERIES: Final = PreparedSql("""
    SELECT series_id FROM archive_instance WHERE object_key = %s UNION
    SELECT i.series_id FROM archive_representation r JOIN archive_instance i ON i.id = r.instance_id
    WHERE r.object_key = %s
""")
_noted: dict[str, float] = {}


def note(key: str) -> Recalling:
    """Wish for the series of the object under ``key``; what its reader is told. Never raises."""
    found = Recalling(
        "this part of the study lies in the archive's cold store and is on its way back; come again",
        seconds=getattr(settings.PACS.tiers, tier_of(key)).recall_seconds,
    )
    now = time.monotonic()
    if now - _noted.get(key, -_QUIET_SECONDS) < _QUIET_SECONDS:
        return found
    if len(_noted) >= _KEYS:
        _noted.clear()
    _noted[key] = now
    # Threads that only read have no connection, and are not given one to keep.
    mine = connection.connection is None
    try:
        with transaction.atomic():
            outbox.wish([Wish(outbox.RECALL, str(series)) for (series,) in _SERIES.rows((key, key))])
    except DatabaseError as error:
        log.warning("an object could not be wished for: %s", type(error).__name__)
    finally:
        if mine and not connection.in_atomic_block:
            connection.close()
    return found
