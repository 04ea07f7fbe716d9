"""Every shared file through a real server and back, with each object store (needs the shared folder)."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.rounds import candidates, round_trip
from tests.live.server import LivePacs


@pytest.fixture(params=["file", "s3"])
def live(request: pytest.FixtureRequest) -> Iterator[LivePacs]:
    started = LivePacs(s3=request.getfixturevalue("s3_settings") if request.param == "s3" else None)
    try:
        yield started.start(worker=False)
    finally:
        started.stop()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_shared_file(live: LivePacs, shared_data: Path) -> None:
    with (shared_data / "dicom/index.csv").open(newline="") as index:
        names = [row["path"] for row in csv.DictReader(index)]
    report = round_trip(live, candidates((name, shared_data / "dicom" / name) for name in names))
    if folder := os.environ.get("PACS_REPORTS"):
        name = f"round-trip-{live.environment['PACS_OBJECT_STORE']}.json"
        Path(folder, name).write_text(json.dumps(vars(report), indent=1))
    assert not report.problems, "\n".join(report.problems)
    damaged = {name for name in report.refused if name.startswith("damaged/")}
    assert len(damaged) >= 25, sorted(damaged)
    assert report.stored >= 500, report.stored
