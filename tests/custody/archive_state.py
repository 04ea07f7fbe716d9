"""The index as a client sees it, lost, and brought back from an earlier moment: in one database, by its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from django.db import connection, transaction

from archive import outbox
from archive.models import OutboxEntry, Study
from archive.store import Batching, store
from archive.tasks import TASKS
from custody.facts.rebuild import Progress, rebuild
from tests.dicomweb.conftest import Door, body_of

BATCHING = Batching(instances=64, total_bytes=1 << 28, object_bytes=1 << 28)
_KEPT = ("django_", "audit_", "access_user", "access_role", "access_customrole", "auth_", "bk_")
_EVERY = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


def store_all(objects: Iterable[bytes]) -> None:
    stored = list(store([iter([data]) for data in objects], batching=BATCHING, record=lambda batch: None))
    assert all(each.failure_reason is None for each in stored), stored


def run_tasks(*but: str) -> None:
    """Everything that the outbox holds, now; nothing is transcoded."""
    but = (*but, outbox.AT_REST)
    for _ in range(5):
        entries = list(OutboxEntry.objects.exclude(kind__in=but).order_by("pk").values_list("pk", flat=True))
        for entry in entries:
            outbox.run(entry, TASKS)
    assert not OutboxEntry.objects.exclude(kind__in=but).exclude(last_error="").exists()


def lose() -> None:
    """An empty index; who may do what is from a backup."""
    names = ", ".join(_tables())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@contextmanager
def backup() -> Iterator[Any]:
    """The index as it is now; what it gives brings it back."""
    names = _tables()
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute(f"CREATE TABLE bk_{name} AS TABLE {name}")

    def restore() -> None:
        lose()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for name in names:
                cursor.execute(f"INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM bk_{name}")  # noqa: S608
                cursor.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attidentity <> ''", [name]
                )
                for (column,) in cursor.fetchall():
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('{name}', '{column}'), "  # noqa: S608
                        f"(SELECT COALESCE(max({column}), 0) + 1 FROM {name}))"
                    )

    try:
        yield restore
    finally:
        with connection.cursor() as cursor:
            for name in names:
                cursor.execute(f"DROP TABLE bk_{name}")


def _tables() -> Sequence[str]:
    with connection.cursor() as cursor:
        cursor.execute(_EVERY)
        return [name for (name,) in cursor.fetchall() if not name.startswith(_KEPT)]


def seen(door: Door) -> dict[str, Any]:
    """What clients are told: searches of each level, metadata, objects, the frames of each."""
    told: dict[str, Any] = {}
    for level in ("studies", "series", "instances"):
        told[level] = _json(door, f"{level}?includefield=all&limit=1000")
    for study in told["studies"] or []:
        uid = study["0020000D"]["Value"][0]
        told[f"metadata {uid}"] = _json(door, f"studies/{uid}/metadata")
        answer = door.get(f"studies/{uid}", "multipart/related; type=application/dicom; transfer-syntax=*")
        boundary = answer["Content-Type"].partition("boundary=")[2].strip('"').encode()
        told[f"objects {uid}"] = body_of(answer).split(b"--" + boundary)
    return told


def _json(door: Door, path: str) -> Any:
    answer = door.get(path, "application/dicom+json")
    assert answer.status_code in (200, 204), (path, body_of(answer))
    body = body_of(answer)
    return orjson.loads(body) if body else []


def rebuilt(mode: str, processes: int = 2, *, without_facts: bool = False) -> dict[str, Any]:
    """Rebuild, and do the tasks that follow."""
    progress = Progress(lambda progress: None)
    summary = rebuild(mode, processes=processes, progress=progress, without_facts=without_facts)
    run_tasks()
    return summary


def uids() -> set[str]:
    return set(Study.objects.values_list("study_instance_uid", flat=True))


def differing(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two answers differ."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [each for key in keys for each in differing(before.get(key), after.get(key), f"{path}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [each for at, (one, other) in pairs for each in differing(one, other, f"{path}[{at}]")]
    return [f"{path}: {str(before)[:200]} is now {str(after)[:200]}"]
