"""The table of faults in ``docs/operations.md``, from what the fault scripts measured (``docs/faults.json``).

./pacs test --faults --figures=docs/faults.json
python -m tools.docs_tables
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.markdown import table

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "faults.json"
FAULTS: Mapping[str, str] = {
    "F1": "`kill -9` of everything in the middle of storing",
    "F2": "power cut in the middle of storing",
    "F3": "the database is killed in the middle of storing",
    "F4": "the network to the database breaks, stalls, slows",
    "F5": "the object store answers 5xx, is slow, is away",
    "F6": "the broker is away, killed, emptied",
    "F7": "the disk is full",
    "F8": "the worker is killed in the middle of transcoding",
    "F9": "the same instance from many at once",
    "F10": "clocks that differ or jump",
    "F11": "the database is lost",
    "F12": "bit rot",
    "F13": "poison for the workers",
    "F14": "HL7 senders that break off",
    "F15": "everything is lost but the backup",
    "F16": "a migration on live data",
    "F17": "SIGTERM with uploads under way",
    "F18": "slow clients",
    "F19": "an instance of 2 GiB",
    "F20": "overload",
    "F21": "everybody stores into one study",
    "F22": "the trail, drills A1 to A7",
    "F23": "a store of which one part is bad, or that breaks off",
    "F24": "the object store lies",
    "two of each": "two web servers, two workers, two relays on one database and one S3 store: any one is killed",
}
NOT_MEASURED = "not measured"


def faults() -> str:
    """Each fault with what was measured and the goal; the long form where it ran, otherwise the short one."""
    measured: list[dict[str, Any]] = json.loads(FIGURES.read_text()) if FIGURES.exists() else []
    unknown = {each["fault"] for each in measured} - set(FAULTS)
    if unknown:
        raise ValueError(f"figures of faults that have no name here: {sorted(unknown)}")
    of = {fault: [each for each in measured if each["fault"] == fault] for fault in FAULTS}
    rows = [[fault, what, *_told(of[fault])] for fault, what in FAULTS.items()]
    return table(["", "Fault", "Form", "Measured (goal)"], rows)


def _told(measured: list[dict[str, Any]]) -> tuple[str, str]:
    """Form and figures."""
    form = "long" if any(each["form"] == "long" for each in measured) else "short"
    lines = [_line(each) for each in measured if each["form"] == form]
    return (form, "<br>".join(lines)) if lines else ("", NOT_MEASURED)


def _line(figure: Mapping[str, Any]) -> str:
    goal = f" ({figure['goal']})" if figure["goal"] else ""
    missed = "" if figure["passed"] else " **missed**"
    return f"{figure['what']}: {figure['value']}{goal}{missed}".replace("|", "/")
