"""The figures that fault scripts measure: carried from the test to the end of the run, and into a file.

A figure is ``{"fault": "F12", "what": "objects named", "value": 10, "goal": "of 10", "form": "short" | "long",
"passed": true, "test": "tests/faults/..."}``; the file is a JSON list of them, and what a run measures takes the
place of what the same form measured before. ``python -m tools.docs_tables`` makes the table of
``docs/operations.md`` from ``docs/faults.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

PROPERTY = "figure"


def of_reports(stats: Mapping[str, Iterable[Any]]) -> list[dict[str, Any]]:
    """Every figure of a run, in the order of the faults; a test that was tried again tells only its last try."""
    reports = [report for word in ("passed", "failed") for report in stats.get(word, []) if report.when == "call"]
    found = [
        {**value, "passed": report.outcome == "passed", "test": report.nodeid}
        for report in reports
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    return sorted(found, key=_order)


def _order(figure: Mapping[str, Any]) -> tuple[int, str, str]:
    """F1, F2 ... F24, and what has no number."""
    fault = str(figure["fault"])
    return int(fault[1:]) if fault[1:].isdigit() else 99, fault, str(figure["test"])


def show(terminal: pytest.TerminalReporter, figures: Iterable[Mapping[str, Any]]) -> None:
    """The table at the end of a run."""
    terminal.section("figures of faults")
    for each in figures:
        failed = "" if each["passed"] else "  FAILED"
        terminal.write_line(f"{each['fault']:>4} {each['what']}: {each['value']} ({each['goal']}){failed}")


def write(file: Path, figures: Iterable[dict[str, Any]]) -> None:
    """Add a run's figures to what other runs measured."""
    known = json.loads(file.read_text()) if file.exists() else []
    kept = {(each["fault"], each["what"], each["form"]): each for each in [*known, *figures]}
    file.write_text(json.dumps(sorted(kept.values(), key=_order), indent=1) + "\n")
