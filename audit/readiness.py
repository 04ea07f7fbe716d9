"""Can the trail be written, and is it sealed in time: asked often, so without writing anything."""

from typing import Final

from django.db import OperationalError, connection

from audit.bounded import bounded
from audit.record import COLUMNS

_LOCK_SECONDS: Final = 1.0
# Planned and opened as an insert is, with its rights and its lock, but not run.
_CAN_INSERT: Final = (
    f"EXPLAIN INSERT INTO audit_accessevent ({COLUMNS}) "  # noqa: S608 - our own columns
    f"SELECT {COLUMNS} FROM json_populate_recordset(NULL::audit_accessevent, '[]')"
)
_LAG: Final = """
    SELECT extract(epoch FROM statement_timestamp() - least(
        (SELECT min(opened_at) FROM audit_frameread),
        (SELECT min(e.recorded_at) FROM audit_accessevent e
         WHERE e.sequence = (SELECT min(sequence) FROM audit_unsealedevent))))::float
"""


def check_writable() -> None:
    """Raises DatabaseError where events would be refused."""
    with bounded(lock_seconds=_LOCK_SECONDS), connection.cursor() as cursor:
        cursor.execute(_CAN_INSERT)
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone()[0] == "on":
            raise OperationalError("the database takes no changes")


def sealing_lag() -> float:
    """For how many seconds the oldest event waits to be sealed, or the oldest count to be folded. DatabaseError."""
    with connection.cursor() as cursor:
        cursor.execute(_LAG)
        [seconds] = cursor.fetchone()
    return float(seconds or 0.0)
