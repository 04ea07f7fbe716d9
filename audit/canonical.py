"""An event as the bytes that are hashed: its columns as JSON in the form of RFC 8785.

PostgreSQL writes them, in one pass with reading: keys in order, no spaces, the escapes of RFC 8785, numbers that are
whole. ``tests/audit/test_canonical.py`` holds that against Python's own JSON, and against fixed bytes.

These bytes may never change for an event that is sealed. A column that comes later must be left out of them wherever it
has no value.
"""

from typing import Final

_TIME = "pg_catalog.to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_DIFFERENT: Final = {"recorded_at": _TIME, "source_ip": "pg_catalog.host(e.source_ip)"}

FIELDS: Final = (
    "action",
    "auth_method",
    "bytes",
    "decision",
    "instance_count",
    "instance_uid",
    "kind",
    "method",
    "outcome",
    "outcome_description",
    "path",
    "patient_ids",
    "principal_id",
    "principal_kind",
    "principal_name",
    "purpose",
    "query",
    "recorded_at",
    "request_id",
    "roles",
    "rule",
    "sequence",
    "series_uid",
    "source_ip",
    "study_uids",
    "token_id",
    "user_agent",
)
_COLUMNS = ", ".join(f"{_DIFFERENT.get(name, f'e.{name}')} AS {name}" for name in FIELDS)
_ROW: Final = f"(SELECT c FROM (SELECT {_COLUMNS}) AS c)"  # noqa: S608 - our own columns
# The canonical text of the row `e` of audit_accessevent; NULL if there is none.
CANONICAL_SQL: Final = f"CASE WHEN e.sequence IS NOT NULL THEN pg_catalog.row_to_json({_ROW})::pg_catalog.text END"
