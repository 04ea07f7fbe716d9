"""Searches of 2,000 studies and of very many, each in an installation of its own, the index filled by statements.

Both run at once and are asked in turn, so that other work on the machine meets both alike.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import answers
from benchmarks.bench.figures import percentile
from benchmarks.bench.fleet import Ask, run
from benchmarks.bench.lightbox import installation
from benchmarks.bench.phases import JSON
from benchmarks.bench.search_phases import OHIF
from benchmarks.bench.wire import Answer
from standalone.layout import PROJECT

FEW: Final = 2000
TURNS: Final = 15
_STUDY: Final = "1.2.826.0.1.3680043.8.498.1.1500"
KINDS: Final = {
    "study list of OHIF": f"studies?{OHIF}",
    "page at offset 1000": f"studies?{OHIF}".replace("offset=0", "offset=1000"),
    "name, beginning": "studies?PatientName=Weber%5EL*&limit=101",
    "name, part": "studies?PatientName=*weber*&limit=101",
    "name, fuzzy": "studies?PatientName=weber&fuzzymatching=true&limit=101",
    "date range": "studies?StudyDate=20230301-20230331&limit=101",
    "modality and date": "studies?ModalitiesInStudy=MR&StudyDate=20230301-20230331&limit=101",
    "exact PatientID": "studies?PatientID=P0000777&limit=101",
    "exact AccessionNumber": "studies?AccessionNumber=A000007919&limit=101",
    "description, part": "studies?StudyDescription=*Prostate*&limit=101",
    "exact StudyInstanceUID": f"studies?StudyInstanceUID={_STUDY}",
    "series of a study": f"studies/{_STUDY}/series",
    "series by modality": "series?Modality=MR&limit=101",
    "instances of a series": f"studies/{_STUDY}/series/{_STUDY}.1/instances",
}


def growth(folder: Path, many: int, quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds, p50 and p95, of each kind and of all, by number of studies."""
    numbers = (FEW, FEW * 5 if quick else many)
    taken: dict[int, dict[str, list[float]]] = {number: defaultdict(list) for number in numbers}
    with ExitStack() as stack:
        targets = {}
        for number in numbers:
            say(f"Filling an index with {number:,} studies ...")

            def prepare(environment: dict[str, str], number: int = number) -> None:
                command = [sys.executable, "-P", "-m", "benchmarks.bench.fill_index", str(number)]
                subprocess.run(command, env=environment, cwd=PROJECT, check=True)

            targets[number] = stack.enter_context(installation(folder / f"g{number}", say, prepare)).target
        for turn in range(TURNS + 1):
            for number, target in targets.items():
                for kind, path in KINDS.items():
                    [took] = run(target, [[Ask(path, JSON, _good)]]).took
                    if turn:
                        taken[number][kind].append(took.seconds * 1e3)
    each = {
        kind: {
            str(number): {part: percentile(taken[number][kind], share) for part, share in (("p50", 0.5), ("p95", 0.95))}
            for number in numbers
        }
        for kind in KINDS
    }
    every = {number: [one for found in taken[number].values() for one in found] for number in numbers}
    p95 = {str(number): percentile(found, 0.95) for number, found in every.items()}
    return {"kinds": len(KINDS), "p95_ms": p95, "each": each}


def _good(answer: Answer) -> None:
    answers.results(answer)
