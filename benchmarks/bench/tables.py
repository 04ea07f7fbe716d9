"""The table of a comparison, for people (Markdown) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bench.figures import better, figure
from benchmarks.bench.goals import MOST_GROWTH, ROWS, Row, met
from benchmarks.bench.phases import Measured

OURS: Final = "lightbox"
_WORDS: Final = {True: "met", False: "**not met**", None: ""}


@dataclass(slots=True)
class Outcome:
    """What was measured: figures by target and row, wrong answers, whether memory is PSS or RSS, growth by number."""

    figures: dict[str, dict[str, list[Measured]]]
    wrong: list[str]
    memory: dict[str, str]
    repetitions: int
    growth: dict[str, Any] = field(default_factory=dict)


def markdown(outcome: Outcome) -> str:
    """A row for everything measured; ratios above 1 are better than the other target."""
    lines = [f"{_where()}, {outcome.repetitions} repetitions in turn.", ""]
    names = [*outcome.figures]
    others = [name for name in names if name != OURS] if OURS in names else []
    if names:
        head = ["What", "Unit", *names, *(f"{OURS} / {other}" for other in others), "CPU ms each", "Goal", ""]
        lines += [_line(head), _line(["---"] * len(head))]
        lines += [_line(_cells(row, outcome, names, others)) for row in ROWS.values() if _measured(row, outcome)]
    if outcome.growth:
        lines += ["", *_growth(outcome.growth)]
    if outcome.wrong:
        lines += ["", "Wrong answers, which count for nothing:", "", *(f"- {one}" for one in outcome.wrong)]
    return "\n".join(lines) + "\n"


def write(outcome: Outcome, file: Path) -> None:
    """``file`` as JSON, and the table beside it."""
    found = {
        name: {
            key: {
                "unit": ROWS[key].unit,
                "values": [one.value for one in measured],
                "processor_ms": [one.processor_ms for one in measured],
            }
            for key, measured in rows.items()
        }
        for name, rows in outcome.figures.items()
    }
    told = {"where": _where(), "targets": found, "wrong": outcome.wrong, "memory": outcome.memory}
    file.write_text(json.dumps(told | {"growth": outcome.growth}, indent=1) + "\n")
    file.with_suffix(".md").write_text(markdown(outcome))


def ratio(row: Row, figures: Mapping[str, Mapping[str, list[Measured]]], other: str) -> float | None:
    """How many times better we are than ``other``, or than the row's own yardstick; None where one has no figure."""
    ours = figures[OURS].get(row.key)
    theirs = figures[OURS].get(row.against) if row.against else figures[other].get(row.key)
    if not ours or not theirs:
        return None
    return better(_median(ours), _median(theirs), higher=row.higher)


def _cells(row: Row, outcome: Outcome, names: list[str], others: list[str]) -> list[str]:
    cells = [row.title, row.unit]
    for name in names:
        measured = outcome.figures[name].get(row.key)
        cells.append(_figure(measured) if measured else "-")
    ratios = [ratio(row, outcome.figures, other) for other in others]
    cells += ["-" if one is None else f"{one:.2f}x" for one in ratios]
    cells.append(" / ".join(_processor(outcome.figures[name].get(row.key, [])) for name in names))
    goals = [
        (row.debian if _is_debian(other) else row.best, one, _is_debian(other))
        for other, one in zip(others, ratios, strict=True)
    ]
    cells.append("; ".join("-" if goal is None else f"{goal:g}x" for goal, _, _ in goals))
    words = ("" if one is None else _WORDS[met(row, one, debian=debian)] for _, one, debian in goals)
    cells.append("; ".join(words))
    return cells


def _is_debian(name: str) -> bool:
    return name == "orthanc-1.10.1"


def _measured(row: Row, outcome: Outcome) -> bool:
    return any(rows.get(row.key) for rows in outcome.figures.values())


def _median(measured: list[Measured]) -> float:
    return figure([one.value for one in measured]).median


def _figure(measured: list[Measured]) -> str:
    found = figure([one.value for one in measured])
    digits = 0 if found.median >= 100 else 1 if found.median >= 10 else 2
    return f"{found.median:,.{digits}f} ±{found.spread:.0%}"


def _processor(measured: list[Measured]) -> str:
    known = [one.processor_ms for one in measured if one.processor_ms is not None]
    return f"{figure(known).median:.2f}" if known else "-"


def _growth(found: dict[str, Any]) -> list[str]:
    few, many = sorted(found["p95_ms"], key=int)
    grown = found["p95_ms"][many] / found["p95_ms"][few]
    word = _WORDS[grown <= MOST_GROWTH]
    lines = [
        f"QIDO p95 of {found['kinds']} kinds: {found['p95_ms'][few]:.1f} ms of {int(few):,} studies, "
        f"{found['p95_ms'][many]:.1f} ms of {int(many):,}: {grown:.2f} times, at most {MOST_GROWTH:g}: {word}",
        "",
        _line(
            ["Kind", f"p50 of {int(few):,}", f"p50 of {int(many):,}", f"p95 of {int(few):,}", f"p95 of {int(many):,}"]
        ),
        _line(["---"] * 5),
    ]
    for kind, each in found["each"].items():
        lines.append(_line([kind, *(f"{each[number][part]:.1f}" for part in ("p50", "p95") for number in (few, many))]))
    return lines


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _where() -> str:
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, {os.cpu_count()} cores, load {load}"
