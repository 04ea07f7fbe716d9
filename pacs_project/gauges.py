"""The figures that a scrape asks for: few cheap statements, at most once in ``PACS_METRICS__GAUGE_SECONDS``, and never
a reason for a scrape to fail. A group that can't be asked is left out and named in ``pacs_scrape_failed``.

Tables are asked by SQL and by their existence, so that a table that isn't there yet is no failure.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from cryptography import x509
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from archive.object_store.spooled import FOLDER, kept_in
from archive.outbox import AT_REST, RECONCILE, SERIES_METADATA, SERIES_THUMBNAIL, STUDY_COMPLETE
from custody.modes.read_only import read_only
from hl7.feeds import feeds
from hl7.listening import open_connections
from portal.health import CHECKS
from telemetry.exposition import Figures

_log = logging.getLogger(__name__)
STATEMENT_SECONDS: Final = 3
_THERE: Final = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS name"
SILENCE_SECONDS: Final = 300.0
# These wait by intention.
_PATIENT: Final = (AT_REST, RECONCILE, STUDY_COMPLETE)


@dataclass(frozen=True, slots=True)
class Question:
    """A statement whose rows are name of the gauge, label or NULL, and figure. ``needs``: tables without which it
    isn't asked."""

    sql: str
    needs: tuple[str, ...]


QUESTIONS: Final[Mapping[str, Question]] = {
    "tasks": Question(
        f"""
        WITH entry AS (SELECT kind, dead, created_at, not_before FROM archive_outboxentry)
        SELECT 'pacs_celery_queue_depth', kind, count(*) FROM entry WHERE NOT dead GROUP BY kind
        UNION ALL SELECT 'pacs_celery_dead_tasks', NULL, count(*) FROM entry WHERE dead
        UNION ALL SELECT 'pacs_ingest_queue_depth', NULL, count(*) FROM entry
            WHERE NOT dead AND kind IN ('{SERIES_METADATA}', '{SERIES_THUMBNAIL}')
        UNION ALL SELECT 'pacs_celery_oldest_task_seconds', NULL,
            COALESCE(extract(epoch FROM now() - min(created_at)), 0) FROM entry
            WHERE NOT dead AND kind NOT IN {_PATIENT}
        """,  # noqa: S608 - kinds of ours
        ("archive_outboxentry",),
    ),
    "store": Question(
        """
        SELECT 'pacs_store_bytes', 'objects', COALESCE(sum(bytes), 0) FROM archive_storedbytes
        UNION ALL SELECT 'pacs_studies', NULL, GREATEST(reltuples, 0) FROM pg_class
            WHERE oid = to_regclass('archive_study')
        UNION ALL SELECT 'pacs_instances', NULL, GREATEST(reltuples, 0) FROM pg_class
            WHERE oid = to_regclass('archive_instance')
        """,
        ("archive_storedbytes",),
    ),
    "hl7": Question(
        """
        SELECT 'pacs_hl7_parked', NULL, count(*)::float8 FROM hl7_hl7message WHERE state = 'parked'
        UNION ALL SELECT 'pacs_hl7_last_message_timestamp', interface.name, extract(epoch FROM (
            SELECT received_at FROM hl7_hl7message WHERE interface_id = interface.id ORDER BY id DESC LIMIT 1))
            FROM hl7_hl7interface AS interface WHERE active
        """,
        ("hl7_hl7message",),
    ),
    "hl7 out": Question(
        """
        WITH waiting AS (
            SELECT destination_id, count(*) FILTER (WHERE state <> 'dead') AS depth,
                count(*) FILTER (WHERE state = 'dead') AS dead,
                extract(epoch FROM now() - min(made_at) FILTER (WHERE state <> 'dead')) AS oldest
            FROM hl7_outboundmessage WHERE state IN ('queued', 'sent', 'retry', 'dead') GROUP BY destination_id),
        told AS (SELECT name, depth, dead, oldest FROM hl7_destination
            LEFT JOIN waiting ON waiting.destination_id = hl7_destination.id)
        SELECT 'pacs_hl7_out_queue_depth', name, COALESCE(depth, 0)::float8 FROM told
        UNION ALL SELECT 'pacs_hl7_out_dead', name, COALESCE(dead, 0) FROM told
        UNION ALL SELECT 'pacs_hl7_out_oldest_seconds', name, COALESCE(oldest, 0) FROM told
        """,
        ("hl7_outboundmessage", "hl7_destination"),
    ),
    "workflow": Question(
        """
        SELECT 'pacs_qc_open', lower(outcome), count(*)::float8 FROM worklist_reconciliation
            WHERE outcome <> 'LINKED' GROUP BY outcome
        """,
        ("worklist_reconciliation",),
    ),
    "workitems": Question(
        """
        SELECT 'pacs_workitems', lower(state), count(*)::float8 FROM workitems_workitem
            WHERE deleted_at IS NULL GROUP BY state
        UNION ALL SELECT 'pacs_workitem_age_seconds', NULL, COALESCE(extract(epoch FROM now() - min(created_at)), 0)
            FROM workitems_workitem WHERE state = 'SCHEDULED' AND deleted_at IS NULL
        """,
        ("workitems_workitem",),
    ),
    "database": Question(
        """
        SELECT 'pacs_db_connections', COALESCE(state, 'other'), count(*)::float8 FROM pg_stat_activity
            WHERE datname = current_database() GROUP BY state
        UNION ALL SELECT 'pacs_db_connections_max', NULL, current_setting('max_connections')::float8
        UNION ALL SELECT 'pacs_db_bytes', NULL, pg_database_size(current_database())
        """,
        (),
    ),
    "trail": Question(
        """
        WITH waiting AS (SELECT count(*) AS count, min(sequence) AS first FROM audit_unsealedevent)
        SELECT 'pacs_audit_unsealed_events', NULL, count::float8 FROM waiting
        UNION ALL SELECT 'pacs_audit_unsealed_seconds', NULL, COALESCE(extract(epoch FROM now() - (
            SELECT recorded_at FROM audit_accessevent WHERE sequence = first LIMIT 1)), 0) FROM waiting
        """,
        ("audit_unsealedevent",),
    ),
    "integrity": Question(
        """
        SELECT 'pacs_integrity_checked_total', NULL, COALESCE(sum(objects_read), 0)::float8 FROM integrity_lap
        UNION ALL SELECT 'pacs_integrity_failures_total', NULL, COALESCE(sum(found), 0) FROM integrity_lap
        UNION ALL SELECT 'pacs_findings_open', kind, count(*) FROM integrity_finding WHERE state = 'open' GROUP BY kind
        """,
        ("integrity_lap", "integrity_finding"),
    ),
    "backups": Question(
        """
        SELECT 'pacs_backup_last_success_timestamp', NULL, extract(epoch FROM max(complete_until))::float8
            FROM backups_backuprun WHERE outcome IN ('good', 'damaged')
        """,
        ("backups_backuprun",),
    ),
    "alerts": Question(
        "SELECT 'pacs_alerts_open', NULL, count(*)::float8 FROM audit_alert WHERE seen_at IS NULL", ("audit_alert",)
    ),
}


def figures() -> Figures:
    """All of them, at most so old as the setting says. Never raises."""
    with _lock:
        global _last
        if _last is None or time.monotonic() - _last[0] >= settings.PACS.metrics.gauge_seconds:
            _last = (time.monotonic(), _asked())
        return _last[1]


_lock = threading.Lock()
_last: tuple[float, Figures] | None = None
_silence: tuple[float, Figures] | None = None


def _asked() -> Figures:
    found: Figures = {}
    failed: dict[tuple[str, ...], float] = {}
    for group, question in QUESTIONS.items():
        failed[(group,)] = _try(group, lambda question=question: _ask(question), found)  # type: ignore[misc]
    for group, look in LOOKS.items():
        failed[(group,)] = _try(group, look, found)
    return found | {"pacs_scrape_failed": failed}


def _try(group: str, ask: Callable[[], Figures], found: Figures) -> float:
    try:
        for name, labelled in ask().items():
            found.setdefault(name, {}).update(labelled)
    except Exception as error:  # noqa: BLE001 - whatever is away, the other figures are shown
        _log.warning("the figures of %s can't be asked for: %s", group, type(error).__name__)
        return 1.0
    return 0.0


def _ask(question: Question) -> Figures:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{STATEMENT_SECONDS}s"])
        if question.needs:
            cursor.execute(_THERE, [[*question.needs]])
            if cursor.fetchall() != [(True,)]:
                return {}
        cursor.execute(question.sql)
        found: Figures = {}
        for name, label, figure in cursor.fetchall():
            if figure is not None:
                found.setdefault(name, {})[() if label is None else (label,)] = float(figure)
        return found


def _readiness() -> Figures:
    return {"pacs_up_services": {(name,): _answers(check) for name, check in CHECKS.items()}}


def _answers(check: Callable[[], object]) -> float:
    try:
        check()
    except Exception:  # noqa: BLE001 - whatever a dependency raises means the same here
        return 0.0
    return 1.0


def _silent() -> Figures:
    """What is usual is counted in a week of messages: not with each scrape."""
    global _silence
    if _silence is None or time.monotonic() - _silence[0] > SILENCE_SECONDS:
        heard = [feed for feed in feeds(timezone.now()) if feed.interface]
        told: dict[tuple[str, ...], float] = {(str(feed.interface),): float(feed.silent) for feed in heard}
        _silence = (time.monotonic(), {"pacs_hl7_silent": told})
    return _silence[1]


def _mode() -> Figures:
    """By an administrator, or by the disk of this machine."""
    return {"pacs_read_only": {(): float(read_only() is not None)}}


def _disk() -> Figures:
    pacs = settings.PACS
    found: Figures = {"pacs_data_free_bytes": {(): float(shutil.disk_usage(pacs.data).free)}}
    if pacs.object_store == "file":
        usage = shutil.disk_usage(pacs.data / "store" if (pacs.data / "store").is_dir() else pacs.data)
        found["pacs_store_free_bytes"] = {(): float(usage.free)}
        found["pacs_store_size_bytes"] = {(): float(usage.total)}
    return found


def _spool() -> Figures:
    """What waits on the disk of this machine; the files of the file store wait for nothing."""
    pacs = settings.PACS
    if pacs.object_store != "s3":
        return {}
    kept = kept_in(pacs.data / FOLDER)
    return {
        "pacs_spool_objects": {(): float(kept.objects)},
        "pacs_spool_bytes": {(): float(kept.bytes)},
        "pacs_spool_oldest_seconds": {(): kept.oldest_seconds},
    }


def _broker() -> Figures:
    client: Any = redis.Redis.from_url(settings.PACS.redis_url, socket_timeout=1, socket_connect_timeout=1)
    try:
        waiting = float(client.llen("celery"))
    finally:
        client.close()
    told = open_connections()
    return {
        "pacs_broker_queue_depth": {(): waiting},
        "pacs_mllp_connections": {(): float(told.connections)} if told else {},
    }


def _certificates() -> Figures:
    """Those that we were given: of the TLS port for HL7, and those named for the doctor."""
    found = {name: path for name, path in (("hl7", settings.PACS.hl7.certificate),) if path}
    left: dict[tuple[str, ...], float] = {(name,): seconds_left(path) for name, path in found.items()}
    return {"pacs_cert_expiry_seconds": left}


def seconds_left(path: Path) -> float:
    """Until the first certificate of the file ends. Raises OSError, ValueError."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.not_valid_after_utc.timestamp() - time.time()


LOOKS: Final[Mapping[str, Callable[[], Figures]]] = {
    "readiness": _readiness,
    "feeds": _silent,
    "mode": _mode,
    "disk": _disk,
    "spool": _spool,
    "broker": _broker,
    "certificates": _certificates,
}


def _forget() -> None:
    global _last, _lock
    _last, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)
