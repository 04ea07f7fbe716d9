"""Server time of every documented kind of search on a generated archive, at one client.

``python -m benchmarks.search`` starts a PostgreSQL of its own, fills it and prints a table; nothing of an installation
is touched. ``--database`` takes an empty one, or one that an earlier run has filled.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.database import started

Measured = dict[str, list[float]]


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--instances-a-series", type=int, default=5)
    parser.add_argument("--limit", type=int, default=100, help="answers of each search")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--database", help="postgresql:// URL of a database for this alone")
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbb-")))
        folder.chmod(0o711)
        (folder / "data").mkdir()
        os.environ |= {
            "PACS_DATA": str(folder / "data"),
            "PACS_DATABASE_URL": asked.database or started(folder, stack),
            "DJANGO_SETTINGS_MODULE": "pacs_project.settings",
        }
        _fill(asked.studies, asked.instances_a_series)
        _print(_measured(asked.limit, asked.repeat))


def _fill(studies: int, instances_a_series: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from archive.models import Study
    from tests.archive import scale

    call_command("migrate", verbosity=0)
    if not Study.objects.exists():
        begun = time.perf_counter()
        print(scale.load(studies, instances_a_series), f"in {time.perf_counter() - begun:.0f} s")


def _measured(limit: int, repeat: int) -> Measured:
    """Milliseconds of each request, by kind of search."""
    from tests.archive.search_kinds import kinds

    everybody, some = _client("technologist"), _client("referring_physician")
    measured: Measured = defaultdict(list)
    for kind in kinds(limit):
        get = some if kind.scoped else everybody
        get(kind.url)
        for _ in range(repeat):
            begun = time.perf_counter()
            get(kind.url)
            measured[kind.name].append((time.perf_counter() - begun) * 1000)
    return measured


def _client(role: str) -> Callable[[str], None]:
    """Who asks, through everything that a request passes but the socket."""
    from django.test import Client

    from access.models import Grant, User, UserRole
    from archive.models import Study

    user, new = User.objects.get_or_create(username=f"benchmark-{role}")
    if new:
        UserRole.objects.create(user=user, role=role)
        granted = Study.objects.order_by("pk").values_list("pk", flat=True)[:: max(Study.objects.count() // 40, 1)]
        Grant.objects.bulk_create(Grant(study_id=pk, user=user) for pk in granted)
    http = Client(SERVER_NAME="127.0.0.1")
    http.force_login(user)

    def get(url: str) -> None:
        response = http.get(f"/dicom-web/{url}")
        if response.status_code != 200:
            raise SystemExit(f"{url}: {response.status_code}")

    return get


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[math.ceil(len(times) * 0.95) - 1]


def _print(measured: Measured) -> None:
    """One line for each group of kinds, with the slowest kind of it, and those beyond the target."""
    groups: dict[str, Measured] = defaultdict(dict)
    for name, times in measured.items():
        groups[_group(name)][name] = times
    print("| Kinds | Number | p50 ms | p95 ms of the slowest | which |\n| --- | --- | --- | --- | --- |")
    for group, members in groups.items():
        slowest = max(members, key=lambda name: _p95(members[name]))
        median = statistics.median(time for times in members.values() for time in times)
        print(f"| {group} | {len(members)} | {median:.0f} | {_p95(members[slowest]):.0f} | {slowest} |")
    over = {name: _p95(times) for name, times in measured.items() if _p95(times) > 50}
    print(f"\n{len(measured)} kinds, {len(over)} of them beyond 50 ms p95")
    for name, p95 in sorted(over.items(), key=lambda item: -item[1]):
        print(f"{p95:6.0f} {statistics.median(measured[name]):6.0f}  {name}")


def _group(name: str) -> str:
    level, _, rest = name.partition(" ")
    if "some studies only" in rest:
        return f"{level} by somebody with leave for 40 studies"
    if "orderby=" in rest:
        return f"{level} orderby"
    if rest.startswith("RequestAttributesSequence"):
        return f"{level} RequestAttributesSequence"
    if not level.startswith("/"):
        return "below a study or a series"
    words = rest.split()
    by_type = {"one", "several", "beginning", "part", "range", "from", "until", "fuzzy", "empty"}
    return f"{level} one key: {words[1]}" if len(words) == 2 and words[1] in by_type else f"{level} others"


if __name__ == "__main__":
    main()
