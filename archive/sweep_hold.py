"""While somebody copies what an old snapshot points at (a backup), nothing is removed for good.

The hold is a lock of the database's session: it ends with whoever has it, also where that one is killed. It needs a
session of its own, so not one of a pooler that hands sessions round.
"""

from django.db import connection

HOLD = 0x4C69_6768_486F_6C64  # "LighHold" in ASCII


def may_remove() -> bool:
    """Whether objects may be removed in the current transaction; until its end nobody gets the hold."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", [HOLD])
        (free,) = cursor.fetchone()
    return bool(free)
