"""What tamper evidence of the access trail costs: an event more to write, sealing, signing and verifying.

``python -m benchmarks.trail`` starts a PostgreSQL of its own, as durable as that of an installation, and prints lines;
nothing of an installation is touched. What an event costs is measured in pairs, one with the trigger that lets it wait
for its sealing and one without, in turn, so that other work on the machine meets both alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import trail_drill, trail_queries, trail_writes

TRIGGER = "ALTER TABLE audit_accessevent {} TRIGGER access_event_await_sealing"
RECORDED = 1_000


def main() -> None:
    """Record, seal, sign, verify; print how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument(
        "--queries", type=int, metavar="EVENTS", help="questions to a trail of so many, and nothing else"
    )
    parser.add_argument("--writers", type=int, metavar="EVENTS", help="many writers at once, and nothing else")
    parser.add_argument("--drill", type=int, metavar="EVENTS", help="drill A6 with so many a writer, and nothing else")
    asked = parser.parse_args()
    from standalone.services.postgres import Postgres

    with tempfile.TemporaryDirectory(prefix="lbb-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log")
        try:
            postgres.start()
            os.environ |= {
                "PACS_DATA": str(folder / "data"),
                "PACS_DATABASE_URL": postgres.url,
                "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
            }
            if asked.queries:
                _prepare()
                trail_queries.measure(asked.queries)
            elif asked.drill:
                _prepare()
                trail_drill.run(_events(1)[0], asked.drill)
            elif asked.writers:
                _prepare()
                trail_writes.many_at_once(_events(1)[0], asked.writers)
            else:
                _measure(asked.events, asked.pairs)
        finally:
            postgres.stop()


def _prepare() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", "audit", verbosity=0)


def _measure(events: int, pairs: int) -> None:
    _prepare()
    from audit.sealer import checkpoint, folder, own_signer
    from audit.sealing import seal
    from audit.verify import verify

    with _timed("recorded, 1000 in a statement", events):
        _record(events)
    with _timed("sealed", events):
        seal()
    with _timed("signed, with leaves written", 1):
        made = checkpoint(folder(), own_signer())
    if made is None:
        raise SystemExit("nothing was signed")
    with _timed("verified", made.size):
        report = verify([made], folder())
    if report.findings or report.events != made.size:
        raise SystemExit("the trail is not what was sealed")
    trail_writes.measure(_events, pairs)
    _print_pairs(pairs)


def _print_pairs(pairs: int) -> None:
    from django.db import connection

    from audit.record import record

    took: dict[str, list[float]] = {"ENABLE ALWAYS": [], "DISABLE": []}
    [event] = _events(1)
    for number in range(pairs + 50):
        for state in sorted(took, reverse=number % 2 == 0):
            with connection.cursor() as cursor:
                cursor.execute(TRIGGER.format(state))
            record([event])  # the first one after the change plans anew
            began = time.perf_counter()
            record([event])
            if number >= 50:
                took[state].append(time.perf_counter() - began)
    with connection.cursor() as cursor:
        cursor.execute(TRIGGER.format("ENABLE ALWAYS"))
    with_it, without = (statistics.median(times) * 1e3 for times in took.values())
    print(f"one event: median {with_it:.3f} ms, {without:.3f} ms without waiting for its sealing ({pairs} pairs)")
    differences = [(a - b) * 1e3 for a, b in zip(*took.values(), strict=True)]
    print(f"median of the differences: {statistics.median(differences):.3f} ms")


def _record(events: int) -> None:
    from audit.record import record

    for _ in range(0, events, RECORDED):
        record(_events(RECORDED))


def _events(count: int) -> list[Any]:
    from audit.kinds import RETRIEVE
    from audit.record import NewAccessEvent

    return [
        NewAccessEvent(
            kind=RETRIEVE,
            principal_kind="person",
            principal_id="3f0c6c9c-6f0e-4d7a-9a0e-0d1b8a2d9f11",
            principal_name="dr.example",
            auth_method="session",
            token_id="0123456789abcdef0123456789abcdef",  # noqa: S106 - a digest
            roles=("radiologist",),
            source_ip="192.0.2.17",
            user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            request_id=f"benchmark-{number}",
            method="GET",
            path="/dicom-web/studies/<str:study>/series/<str:series>/instances/<str:instance>/frames/<str:frames>",
            study_uids=["1.2.826.0.1.3680043.8.498.11111111111111111111111111111111111111"],
            series_uid="1.2.826.0.1.3680043.8.498.22222222222222222222222222222222222222",
            instance_uid="1.2.826.0.1.3680043.8.498.33333333333333333333333333333333333333",
            patient_ids=["PAT-0001"],
            instance_count=1,
            bytes=524_288,
        )
        for number in range(count)
    ]


@contextmanager
def _timed(what: str, count: int) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    print(f"{what}: {count} in {seconds:.2f} s, {count / seconds:,.0f} a second", flush=True)


if __name__ == "__main__":
    main()
