"""F22: the trail, drills A1 to A7.

Procedure and pass are those of the tests named here, which run with all others. The short form makes sure that each of
them is there; the long form runs them and counts.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.conftest import Figure

ROOT = Path(__file__).resolve().parent.parent.parent
DRILLS: Mapping[str, tuple[str, Sequence[str]]] = {
    "A1": (
        "a TLS receiver gets every kind of event, valid",
        ["tests/audit/test_syslog.py::test_every_kind_arrives_in_order", "tests/audit/test_messages.py"],
    ),
    "A2": (
        "FHIR tells the same events; an outage of the receiver loses none",
        [
            "tests/live/test_trail_out.py::test_the_receiver_and_fhir_have_the_same_events",
            "tests/audit/test_syslog.py::test_a_receiver_that_swallows_and_comes_back",
        ],
    ),
    "A3": (
        "without the trail nothing is shown or taken",
        ["tests/live/test_trail.py::test_without_the_trail_nothing_is_shown_or_taken"],
    ),
    "A4": (
        "what was shown is in the trail after a kill",
        [
            "tests/live/test_trail.py::test_what_was_shown_is_in_the_trail_after_a_kill",
            "tests/live/test_trail_storage.py::test_frames_are_counted_exactly_whatever_is_killed",
        ],
    ),
    "A5": ("every change by a superuser is found and named", ["tests/audit/test_tampering.py"]),
    "A6": (
        "16 writers leave no gap",
        ["tests/audit/test_sealing.py::test_sixteen_writers_and_two_sealers"],
    ),
    "A7": (
        "no patient and no secret where none belongs",
        ["tests/live/test_marker.py::test_the_marked_patient_is_only_where_it_belongs"],
    ),
}


def test_the_drills(figure: Figure, long_form: bool) -> None:
    failed = []
    for drill, (what, tests) in DRILLS.items():
        assert all(is_there(test) for test in tests), f"{drill}: {tests}"
        if not long_form:
            continue
        passed, others = run(tests)
        figure("F22", f"{drill}: {what}", f"{passed} of {passed + others} tests passed", "all")
        failed += [drill] * bool(others or not passed)
    assert not failed
    if not long_form:
        figure("F22", "drills whose tests are there", len(DRILLS), "7 (A1 to A7); the long form runs them")


def is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return name in names if name else any(each.startswith("test_") for each in names)


def run(tests: Sequence[str]) -> tuple[int, int]:
    """In a run of their own, with services of their own; how many passed, and how many didn't."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PACS_", "DJANGO_", "PYTEST"))
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command, cwd=ROOT, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    print(done.stdout[-2000:])
    return counts.pop("passed", 0), sum(counts.values())
