"""What those who manage the installation see of it beside the colours: queues, room, backups, findings. No patients."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Count, Min, Q
from django.utils import timezone

from archive.models import OutboxEntry
from archive.object_store.spooled import FOLDER, kept_in
from custody.modes.disk import free_bytes


@dataclass(frozen=True, slots=True)
class Detail:
    """One figure: its name for programs, its title for people, the figure (None: unknown), and how it is written."""

    name: str
    title: str
    value: Any
    text: str


def details() -> list[Detail]:
    """All that can be found out now; what can't be asked is left out."""
    found = []
    for ask in _ASKED:
        try:
            found += ask()
        except (DatabaseError, InterfaceError, LookupError, OSError):
            continue
    return found


def _tasks() -> list[Detail]:
    counted = OutboxEntry.objects.aggregate(
        waiting=Count("pk", filter=Q(dead=False)),
        given_up=Count("pk", filter=Q(dead=True)),
        oldest=Min("created_at", filter=Q(dead=False)),
    )
    seconds = int((timezone.now() - counted["oldest"]).total_seconds()) if counted["oldest"] else 0
    return [
        Detail("tasks_waiting", "Tasks that wait", counted["waiting"], str(counted["waiting"])),
        Detail("tasks_dead", "Tasks that were given up", counted["given_up"], str(counted["given_up"])),
        Detail("oldest_task_seconds", "The oldest of them", seconds, _ago(seconds) if counted["waiting"] else "none"),
    ]


def _room() -> list[Detail]:
    free = free_bytes(settings.PACS.data)
    return [Detail("disk_free_bytes", "Free disk", free, "unknown" if free is None else f"{free / (1 << 30):,.1f} GiB")]


def _spool() -> list[Detail]:
    """What this machine keeps until the object store takes it."""
    if settings.PACS.object_store != "s3":
        return []
    kept = kept_in(settings.PACS.data / FOLDER)
    seconds = int(kept.oldest_seconds)
    return [
        Detail("spooled_objects", "Objects kept here until S3 is back", kept.objects, str(kept.objects)),
        Detail("spooled_bytes", "Their bytes", kept.bytes, f"{kept.bytes / (1 << 20):,.1f} MiB"),
        Detail("oldest_spooled_seconds", "The oldest of them", seconds, _ago(seconds) if kept.objects else "none"),
    ]


def _backup() -> list[Detail]:
    runs = apps.get_model("backups", "BackupRun").objects.filter(outcome__in=("good", "damaged"))
    last = runs.order_by("-started_at").first()
    if last is None:
        return [Detail("last_backup", "Last backup", None, "none yet")]
    at: datetime = last.started_at
    seconds = int((datetime.now(UTC) - at).total_seconds())
    return [Detail("last_backup", "Last backup", at.isoformat(timespec="seconds"), f"{_ago(seconds)} ago")]


def _findings() -> list[Detail]:
    count = apps.get_model("integrity", "Finding").objects.filter(state="open").count()
    return [Detail("open_findings", "Objects that need a look", count, str(count))]


def _replicas() -> list[Detail]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), max(extract(epoch FROM replay_lag))::float8 FROM pg_stat_replication")
        [(count, lag)] = cursor.fetchall()
    if not count:
        return []
    return [Detail("replica_lag_seconds", "Replica behind by", lag, "unknown" if lag is None else f"{lag:.1f} s")]


def _ago(seconds: int) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}s"
    return f"{seconds} s"


_ASKED: Final[tuple[Callable[[], list[Detail]], ...]] = (_tasks, _room, _spool, _backup, _findings, _replicas)
