"""The one way into the trail."""

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

import orjson
from django.db import DatabaseError, connection, transaction

from audit import outage
from audit.canonical import FIELDS
from audit.kinds import RECORDING_STARTED, RECORDING_STOPPED, Action, EventKind, Outcome
from audit.prepared import PreparedSql
from audit.together import Together
from telemetry.metrics import AUDIT_WRITE_FAILURES

LONGEST_TEXT = 16_384
# A trail that is locked, by maintenance for example, must not hold the threads that serve.
LOCK_SECONDS = 2.0
COLUMNS: Final = ", ".join(name for name in FIELDS if name not in ("sequence", "recorded_at"))
# One value for all rows: a placeholder for each column of each row costs more than the insert itself. The function of
# the database (migration 0007) also sees to the limit on waiting: in one round trip, without a transaction around it.
_INSERT: Final = PreparedSql("SELECT sequence, recorded_at FROM audit_record(%s, %s)")


class AuditUnavailable(Exception):
    """The trail can't be written. Nothing protected may be answered: 503, and the client tries again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessEvent:
    """What is known of an event before it is written; the columns of ``AccessEvent``, with UIDs as text.

    ``action`` is the kind's own unless given (a STORE of what is held already is "U", PS3.15 A.5.3.7).
    """

    kind: EventKind
    principal_kind: Literal["person", "client", "link", "system", "anonymous"]
    principal_id: str = ""
    principal_name: str = ""
    auth_method: str = ""
    token_id: str = ""
    roles: Sequence[str] = ()
    action: Action | None = None
    outcome: Outcome = Outcome.SUCCESS
    outcome_description: str = ""
    decision: Literal["allow", "deny"] = "allow"
    rule: str = ""
    source_ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    method: str = ""
    path: str = ""
    study_uids: Sequence[str] = ()
    series_uid: str = ""
    instance_uid: str = ""
    patient_ids: Sequence[str] = ()
    instance_count: int = 0
    bytes: int = 0
    query: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database gave an event: its number and its time."""

    sequence: int
    at: datetime


def record(events: Sequence[NewAccessEvent]) -> list[Recorded]:
    """Write ``events`` in the order given.

    Inside a transaction they stand or fall with it. Outside one they are durable when this returns: one statement,
    committed on its own, with the events of whoever records at the same moment (``audit.together``). Raises
    AuditUnavailable; an open transaction can then only be rolled back.
    """
    rows = [_text(event) for event in events]
    with failing_closed(len(rows)):
        return _write(rows) if connection.in_atomic_block else _together.write(rows)


@contextmanager
def failing_closed(events: int) -> Iterator[None]:
    """So many events are written to the trail within it. Raises AuditUnavailable where the database fails."""
    try:
        yield
    except DatabaseError as error:
        outage.failed(events)
        AUDIT_WRITE_FAILURES.inc()
        raise AuditUnavailable("the access trail can't be written") from error
    if outage.untold():
        transaction.on_commit(_tell_of_the_outage, robust=True)


def _write(rows: Sequence[str]) -> list[Recorded]:
    return [Recorded(*row) for row in _INSERT.rows([f"[{','.join(rows)}]", longest_wait()])]


def longest_wait() -> str:
    """For how long a statement waits for locks, as PostgreSQL reads it."""
    return f"{LOCK_SECONDS * 1000:.0f}ms"


_together: Final = Together(_write)


def _tell_of_the_outage() -> None:
    """That the trail could not be written, and that it can be again; tried anew with the next event if it fails."""
    over = outage.take()
    if over is None:
        return
    stopped = NewAccessEvent(
        kind=RECORDING_STOPPED,
        principal_kind="system",
        principal_name="audit recorder",
        outcome=Outcome.MAJOR_FAILURE,
        outcome_description=str(over),
    )
    try:
        _write([_text(stopped), _text(replace(stopped, kind=RECORDING_STARTED, outcome=Outcome.SUCCESS))])
    except DatabaseError:
        outage.put_back(over)


def _text(event: NewAccessEvent) -> str:
    return orjson.dumps(_row(event)).decode()


def _row(event: NewAccessEvent) -> dict[str, Any]:
    """``event`` by columns; the database adds ``sequence`` and ``recorded_at``."""
    return {
        "kind": event.kind.name,
        "action": event.action or event.kind.action,
        "outcome": int(event.outcome),
        "outcome_description": _storable(event.outcome_description),
        "principal_kind": event.principal_kind,
        "principal_id": _storable(event.principal_id),
        "principal_name": _storable(event.principal_name),
        "auth_method": event.auth_method,
        "token_id": event.token_id,
        "roles": list(event.roles),
        "source_ip": _address(event.source_ip),
        "user_agent": _storable(event.user_agent),
        "request_id": _storable(event.request_id),
        "method": _storable(event.method),
        "path": _storable(event.path),
        "decision": event.decision,
        "rule": _storable(event.rule),
        "study_uids": [_storable(uid) for uid in event.study_uids],
        "series_uid": _storable(event.series_uid),
        "instance_uid": _storable(event.instance_uid),
        "patient_ids": [_storable(identifier) for identifier in event.patient_ids],
        "instance_count": event.instance_count,
        "bytes": event.bytes,
        "query": _storable(event.query),
        "purpose": _storable(event.purpose),
    }


def _storable(text: str) -> str:
    """``text`` as PostgreSQL can hold it: no NUL, no lone surrogate, bounded. No client can stop the trail."""
    if text.isascii() and len(text) <= LONGEST_TEXT and "\0" not in text:
        return text
    return text[:LONGEST_TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=256)
def _address(text: str) -> str | None:
    try:
        # The zone of an IPv6 address is one of an interface here; no column holds it.
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
