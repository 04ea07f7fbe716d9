"""When the trail could not be written: said in the trail as soon as it can be (PS3.15 CID 403, 110133 and 110134)."""

import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Outage:
    """How many events this process could not write, and between which moments."""

    began: datetime
    ended: datetime
    events: int

    def __str__(self) -> str:
        span = f"{self.began:%Y-%m-%dT%H:%M:%SZ} to {self.ended:%Y-%m-%dT%H:%M:%SZ}"
        return f"{self.events} events could not be written by process {os.getpid()}, {span}"


_lock = threading.Lock()
_untold: Outage | None = None


def failed(events: int) -> None:
    """So many events could not be written just now."""
    now = datetime.now(UTC)
    put_back(Outage(now, now, events))


def put_back(outage: Outage) -> None:
    """It is still to be told."""
    global _untold
    with _lock:
        known = _untold or outage
        events = outage.events + (_untold.events if _untold else 0)
        _untold = Outage(min(known.began, outage.began), max(known.ended, outage.ended), events)


def untold() -> bool:
    """Whether there is anything to tell."""
    return _untold is not None


def take() -> Outage | None:
    """What is to be told; whoever takes it tells it or puts it back."""
    global _untold
    with _lock:
        taken, _untold = _untold, None
    return taken
