"""What `./pacs doctor` has to say about one thing, and how it says it: to people, or as JSON to programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 100
_MARKS = {True: "ok  ", False: "BAD ", None: "note"}
_STATES = {True: "ok", False: "bad", None: "note"}


@dataclass(frozen=True, slots=True)
class Finding:
    """``good`` None: nothing to judge, only to know. ``why`` it matters and what to ``do`` are for what isn't good."""

    good: bool | None
    text: str
    why: str = ""
    do: str = ""

    def lines(self) -> list[str]:
        """For people."""
        told = [f"  {_MARKS[self.good]}  {self.text}"]
        if self.good is not True:
            told += [f"          {line}" for line in textwrap.wrap(self.why, WIDTH - 10)]
            told += [f"        > {line}" for line in self.do.splitlines()]
        return told


def as_json(findings: Iterable[Finding]) -> str:
    """One object: `findings`, each with `state` (ok, bad, note), and how many are `bad`."""
    told = [
        {"state": _STATES[each.good], "text": each.text, **({} if each.good else {"why": each.why, "do": each.do})}
        for each in findings
    ]
    return json.dumps({"bad": sum(each["state"] == "bad" for each in told), "findings": told}, indent=2)
