"""What a rebuild did, counted and added up; what it could not do, by name."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

# So many of each kind are named, the others only counted.
MOST_NAMED: Final = 1000


@dataclass(slots=True)
class Tally:
    """``counts`` by what was done; ``problems`` by kind, each a text without anything of a patient.

    ``unread`` are documents of studies that could not be put back, by their folders: such a study is kept out.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def problem(self, kind: str, text: str) -> None:
        """Count one, and name it if there are not too many."""
        self.counts[kind] += 1
        named = self.problems.setdefault(kind, [])
        if len(named) < MOST_NAMED:
            named.append(text)

    def add(self, other: "Tally") -> None:
        """The same of two parts of the work."""
        self.counts.update(other.counts)
        self.unread.update(other.unread)
        for kind, texts in other.problems.items():
            named = self.problems.setdefault(kind, [])
            named.extend(texts[: MOST_NAMED - len(named)])

    def as_json(self) -> dict[str, Any]:
        """For the summary."""
        return {"counts": dict(sorted(self.counts.items())), "problems": self.problems}
