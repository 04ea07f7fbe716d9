"""What an operation costs as the archive grows: blocks of the database that it touches, and processor time.

``python -m benchmarks.growth --studies 1000 100000 1000000`` starts a PostgreSQL of its own for each number, fills its
index, and asks through everything that a request passes but the socket. Blocks don't depend on what else the machine
does; they stay flat, or grow with the height of an index.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson

REPEAT: Final = 10
_SERIES: Final = "1.2.826.0.1.3680043.8.498.9"
_COST: Final = ("blocks", "web ms", "database ms")


def main() -> None:
    """Measure each number in a process of its own, print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--work", type=Path, help="where the databases lie meanwhile (about 4 GB for a million)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        with tempfile.TemporaryDirectory(prefix="lbb-", dir=asked.work) as folder, ExitStack() as stack:
            sys.stdout.buffer.write(orjson.dumps(_measured(asked.studies[0], Path(folder), stack)))
        return
    found: dict[str, dict[int, list[float]]] = {}
    for studies in asked.studies:
        command = [sys.executable, "-m", "benchmarks.growth", "--one", "--studies", str(studies)]
        command += ["--work", str(asked.work)] if asked.work else []
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        for name, costs in orjson.loads(done.stdout).items():
            found.setdefault(name, {})[studies] = costs
    heads = [f"{studies:,}: {cost}" for cost in _COST for studies in asked.studies]
    print("| What | " + " | ".join(heads) + " |\n" + "| --- " * (len(heads) + 1) + "|")
    for name, by_number in found.items():
        cells = [f"{by_number[n][i]:.{2 if i else 0}f}" for i in range(len(_COST)) for n in asked.studies]
        print(f"| {name} | " + " | ".join(cells) + " |")


def _measured(studies: int, folder: Path, stack: ExitStack) -> dict[str, tuple[float, float, float]]:
    """Blocks and milliseconds of each operation, the least of ``REPEAT`` times."""
    folder.chmod(0o711)
    (folder / "data").mkdir()
    os.environ |= {
        "PACS_DATA": str(folder / "data"),
        "PACS_DATABASE_URL": _started(folder, stack),
        "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
    }
    http = _filled(studies)
    found = {}
    for name, ask in _operations(http).items():
        costs = [_cost(ask) for _ in range(REPEAT + 2)][2:]
        found[name] = (min(c[0] for c in costs), min(c[1] for c in costs), min(c[2] for c in costs))
    return found


def _started(folder: Path, stack: ExitStack) -> str:
    from standalone.services.postgres import Postgres

    postgres = Postgres(folder / "pg", folder / "s", log=folder / "pg.log", throw_away=True)
    postgres.prepare()
    postgres.launch()
    stack.callback(postgres.stop)
    postgres.wait_ready()
    return postgres.url


def _filled(studies: int) -> Any:
    """Somebody who may do everything here, in front of that many studies."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from access.models import User, UserRole
    from tests.archive import scale

    call_command("migrate", verbosity=0)
    print(scale.load(studies, 1), file=sys.stderr)
    user = User.objects.create(username="benchmark")
    UserRole.objects.create(user=user, role="technologist")
    http = Client(SERVER_NAME="127.0.0.1")
    http.force_login(user)
    return http


def _operations(http: Any) -> dict[str, Callable[[], None]]:
    from benchmarks.bench.growth import KINDS
    from tests.dicomweb.objects import make_object

    numbers = iter(range(1, 1_000_000))

    def get(url: str, accept: str = "application/dicom+json") -> Callable[[], None]:
        def ask() -> None:
            _check(http.get(f"/dicom-web/{url}", headers={"accept": accept}), url)

        return ask

    def store(new: bool) -> None:
        number = next(numbers)
        of = f"{_SERIES}.{number}" if new else f"{_SERIES}.0"
        uids = {"StudyInstanceUID": of, "SeriesInstanceUID": f"{of}.1", "SOPInstanceUID": f"{of}.1.{number}"}
        made = make_object(**uids, PatientID=f"NEW{number if new else 0}", InstanceNumber=number)
        _check(http.post(**_posted(made)), "studies")

    store(new=False)
    return {
        **{name: get(path) for name, path in KINDS.items()},
        "store an instance of a new study": lambda: store(new=True),
        "store an instance of a known series": lambda: store(new=False),
        "metadata of a series": get(f"studies/{_SERIES}.0/series/{_SERIES}.0.1/metadata"),
    }


def _posted(one: bytes) -> dict[str, Any]:
    from tests.dicomweb.conftest import BOUNDARY, multipart_body

    return {
        "path": "/dicom-web/studies",
        "data": multipart_body([one]),
        "content_type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        "headers": {"accept": "application/dicom+json", "origin": "http://127.0.0.1"},
    }


def _check(answer: Any, url: str) -> None:
    if answer.status_code != 200:
        raise SystemExit(f"{url}: {answer.status_code} {answer.content[:300]!r}")
    b"".join(answer) if answer.streaming else answer.content


def _cost(ask: Callable[[], None]) -> tuple[float, float, float]:
    blocks, database, web = _blocks(), _database_ms(), time.process_time()
    ask()
    return _blocks() - blocks, (time.process_time() - web) * 1e3, _database_ms() - database


def _blocks() -> int:
    """Blocks that the database has touched so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()")
        [(number,)] = cursor.fetchall()
    return int(number)


def _database_ms() -> float:
    """Processor time of this connection's process so far."""
    from django.db import connection

    with connection.cursor() as cursor:
        backend = cursor.connection.info.backend_pid
    return int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e6


if __name__ == "__main__":
    main()
