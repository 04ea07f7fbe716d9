"""The files that pydicom ships, through a real server and back, with each object store."""

from __future__ import annotations

from pathlib import Path

import pydicom

from tests.live.rounds import candidates, round_trip
from tests.live.server import LivePacs

FILES = Path(pydicom.__file__).parent / "data/test_files"


def test_files_of_pydicom(any_store: LivePacs) -> None:
    paths = [(path.name, path) for path in sorted(FILES.iterdir()) if path.is_file()]
    report = round_trip(any_store, candidates(paths))
    assert not report.problems, "\n".join(report.problems)
    assert report.stored >= 60, report
    assert report.frames >= 60, report
