"""THE table of what is measured: counters and times that are counted where they happen, gauges that are asked for.

Labels are bounded: names of routes, kinds, interfaces and results; never a patient, a UID or a person. A counter or a
histogram is counted in files that all processes of the installation share (``telemetry.shared_values``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values

from telemetry.shared_values import SharedValue

# prometheus_client makes its values of whatever class stands here.
values.ValueClass = SharedValue
disable_created_metrics()
REGISTRY: Final = CollectorRegistry()
_QUICK: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(name, help_text, labels, registry=REGISTRY)


def _histogram(name: str, help_text: str, *labels: str, buckets: tuple[float, ...] = _QUICK) -> Histogram:
    return Histogram(name, help_text, labels, registry=REGISTRY, buckets=buckets)


# Requests, by the name of their route. "refused" has those that no route was found for, or that were not HTTP.
HTTP_REQUESTS: Final = _counter("pacs_http_requests_total", "requests answered", "route", "method", "code")
HTTP_SECONDS: Final = _histogram("pacs_http_seconds", "seconds of all but QIDO, WADO and STOW requests")
HTTP_SLOW: Final = _counter("pacs_http_slow_total", "requests over PACS_METRICS__SLOW_MS")

STOW_REQUESTS: Final = _counter("pacs_stow_requests_total", "STOW-RS requests", "code")
STOW_INSTANCES: Final = _counter("pacs_stow_instances_total", "instances sent to STOW-RS", "result")
STOW_BYTES: Final = _counter("pacs_stow_bytes_total", "bytes of instances stored by STOW-RS")
STOW_SECONDS: Final = _histogram("pacs_stow_seconds", "seconds of STOW-RS requests", buckets=_LONG)

WADO_SECONDS: Final = _histogram("pacs_wado_seconds", "seconds to the last byte of a retrieval", "kind")
WADO_BYTES: Final = _counter("pacs_wado_bytes_total", "bytes of retrievals sent")
QIDO_SECONDS: Final = _histogram("pacs_qido_seconds", "seconds of searches")
FIRST_FRAME_SECONDS: Final = _histogram("pacs_first_frame_seconds", "seconds to the first byte of frames")
CACHE_HITS: Final = _counter("pacs_cache_hits_total", "frames found in the cache of decoded frames")
CACHE_MISSES: Final = _counter("pacs_cache_misses_total", "frames not found in the cache of decoded frames")

HL7_IN: Final = _counter("pacs_hl7_in_total", "HL7 messages received, by answer", "interface", "type", "ack")
HL7_SECONDS: Final = _histogram("pacs_hl7_process_seconds", "seconds to keep, apply and answer an HL7 message")
HL7_OUT: Final = _counter("pacs_hl7_out_total", "HL7 messages that came to their end", "dest", "result")

RECONCILED: Final = _counter("pacs_reconcile_total", "looks at studies for their orders", "outcome")
REPORTS: Final = _counter("pacs_reports_total", "versions of reports received", "status")

STORE_ERRORS: Final = _counter("pacs_store_errors_total", "object store calls that failed", "kind")
STORE_SECONDS: Final = _counter("pacs_store_seconds_total", "seconds spent in the object store by requests")
DB_SECONDS: Final = _counter("pacs_db_query_seconds_total", "seconds spent in database statements by requests")
DB_QUERIES: Final = _counter("pacs_db_queries_total", "database statements of requests")

TASK_SECONDS: Final = _histogram("pacs_celery_task_seconds", "seconds of background tasks", "kind", buckets=_LONG)
TASKS: Final = _counter("pacs_celery_tasks_total", "background tasks", "kind", "result")
LOGIN_FAILURES: Final = _counter("pacs_login_failures_total", "sign-ins that failed")
BREAK_GLASS: Final = _counter("pacs_break_glass_total", "emergency accesses begun")
AUDIT_WRITE_FAILURES: Final = _counter("pacs_audit_write_failures_total", "times the trail could not be written")


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that is asked for when somebody scrapes."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


GAUGES: Final[Mapping[str, Gauge]] = {
    gauge.name: gauge
    for gauge in (
        Gauge("pacs_up_services", "1 where a service answers (readiness)", ("service",)),
        Gauge("pacs_ingest_queue_depth", "tasks of ingested series that wait"),
        Gauge("pacs_celery_queue_depth", "tasks in the outbox by kind", ("queue",)),
        Gauge("pacs_celery_oldest_task_seconds", "age of the oldest task that is due and not done"),
        Gauge("pacs_celery_dead_tasks", "tasks that were given up"),
        Gauge("pacs_broker_queue_depth", "messages that wait in the broker"),
        Gauge("pacs_studies", "studies in the archive, as the database estimates them"),
        Gauge("pacs_instances", "instances in the archive, as the database estimates them"),
        Gauge("pacs_store_bytes", "bytes of the objects that are kept", ("tier",)),
        Gauge("pacs_store_free_bytes", "bytes free for the object store (file store)"),
        Gauge("pacs_store_size_bytes", "bytes of the file system of the object store (file store)"),
        Gauge("pacs_data_free_bytes", "bytes free in the data folder"),
        Gauge("pacs_spool_objects", "objects kept on this machine until the object store (S3) takes them"),
        Gauge("pacs_spool_bytes", "their bytes"),
        Gauge("pacs_spool_oldest_seconds", "for how long the oldest of them has waited"),
        Gauge("pacs_hl7_last_message_timestamp", "when an interface sent its last message", ("interface",)),
        Gauge("pacs_hl7_silent", "1 where an interface is silent for much longer than usual", ("interface",)),
        Gauge("pacs_hl7_parked", "messages that could not be applied and wait for somebody"),
        Gauge("pacs_hl7_out_queue_depth", "messages that wait to be sent", ("dest",)),
        Gauge("pacs_hl7_out_oldest_seconds", "age of the oldest message that waits to be sent", ("dest",)),
        Gauge("pacs_hl7_out_dead", "messages that were refused or given up", ("dest",)),
        Gauge("pacs_mllp_connections", "MLLP connections that are open"),
        Gauge("pacs_qc_open", "studies that wait for a person, by what is the matter", ("kind",)),
        Gauge("pacs_workitems", "workitems by state", ("state",)),
        Gauge("pacs_workitem_age_seconds", "age of the oldest workitem that waits"),
        Gauge("pacs_db_connections", "sessions of the database by state", ("state",)),
        Gauge("pacs_db_connections_max", "sessions that the database allows"),
        Gauge("pacs_db_bytes", "size of the database"),
        Gauge("pacs_audit_unsealed_events", "events of the trail that wait to be sealed"),
        Gauge("pacs_audit_unsealed_seconds", "age of the oldest of them"),
        Gauge("pacs_alerts_open", "alerts of the trail that nobody has looked at"),
        Gauge("pacs_backup_last_success_timestamp", "when the last good backup ended"),
        Gauge("pacs_integrity_checked_total", "objects that the scrub has read"),
        Gauge("pacs_integrity_failures_total", "times the scrub found an object missing or altered"),
        Gauge("pacs_findings_open", "objects found missing, altered or orphaned, by kind", ("kind",)),
        Gauge("pacs_read_only", "1 while nothing may be stored"),
        Gauge("pacs_cert_expiry_seconds", "seconds until a certificate of ours ends", ("certificate",)),
        Gauge("pacs_scrape_failed", "1 where a group of gauges could not be asked for", ("group",)),
    )
}


def names() -> frozenset[str]:
    """Every name that a scrape may show, with the endings that Prometheus gives histograms."""
    found = set(GAUGES)
    for metric in REGISTRY.collect():
        endings = ("_bucket", "_sum", "_count") if metric.type == "histogram" else ("_total",)
        found |= {f"{metric.name}{ending}" for ending in endings}
    return frozenset(found)
