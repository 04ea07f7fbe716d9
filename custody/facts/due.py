"""Whether a rebuild is due, why, and what to type, in plain words: for the status page, ``./pacs status``, doctor."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import DatabaseError, InterfaceError

from archive.errors import ArchiveUnavailable
from archive.models import Study
from custody.facts.behind import NEEDED, is_behind
from custody.facts.models import Rebuild

BELIEVED_SECONDS: Final = 30.0
_LACKS: Final = "the index may lack studies, corrections and deletions that the object store has"
_ADD: Final = "./pacs rebuild --add-missing"


@dataclass(frozen=True, slots=True)
class Due:
    """Why a rebuild is due, since when that is known, the command, and what is to be thought of before it."""

    why: str
    since: datetime
    command: str
    hint: str = ""


def due() -> Due | None:
    """What is so now; None where the index knows all that the object store has. Asks both.

    Raises ``ArchiveUnavailable``, and what the database raises.
    """
    run = Rebuild.objects.filter(finished_at=None).order_by("pk").first()
    if run is None:
        return _unknown_facts()
    if run.mode == NEEDED:
        return Due(f"{_LACKS}: a backup was restored, or the database is as it was before", run.started_at, _ADD)
    if run.summary:
        left = ", ".join(run.summary.get("open", [])).replace("_", " ")
        why = f"the last rebuild ended and left something open: {left}"
        if "kept_out" in run.summary.get("open", []):
            hint = "once their documents are mended; or with --without-facts, and they are as their objects say"
            return Due(why, run.started_at, "./pacs rebuild --resume", hint)
        return Due(why, run.started_at, _ADD, "once that is mended; or --accept, and it stays as it is")
    why = "a rebuild began and has not come to its end"
    return Due(why, run.started_at, "./pacs rebuild --resume", "unless it still runs")


def _unknown_facts() -> Due | None:
    if not is_behind():
        return None
    if Study.objects.exists():
        return Due(f"{_LACKS}: there are facts that it doesn't know", datetime.now(UTC), _ADD)
    return Due("the index is empty, and the object store is not", datetime.now(UTC), "./pacs rebuild")


def told() -> dict[str, Any]:
    """The same for programs: ``why`` is "" where none is due."""
    found = due()
    if found is None:
        return {"why": "", "command": ""}
    return {"why": found.why, "command": f"{found.command}      ({found.hint})" if found.hint else found.command}


class _Belief:
    """What was heard last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: Due | None = None
        self._until = 0.0

    def now(self) -> Due | None:
        with self._lock:
            if time.monotonic() >= self._until:
                self._until = time.monotonic() + BELIEVED_SECONDS
                self._ask()
            return self._due

    def _ask(self) -> None:
        try:
            found = due()
        except (ArchiveUnavailable, DatabaseError, InterfaceError):
            return
        before = self._due
        # Since when there are unknown facts is since when this process has known.
        if found is None or before is None or found.why != before.why:
            self._due = found

    def forget(self) -> None:
        self._until = 0.0


_belief = _Belief()


def believed() -> Due | None:
    """What was so at most ``BELIEVED_SECONDS`` ago, as this process heard; while nobody can be asked, what it heard
    last."""
    return _belief.now()
