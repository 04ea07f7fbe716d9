"""What happened to a workitem, told in the transaction of the change (PS3.4 table CC.2.4-1).

Whoever wants to know registers a function with ``listen``; it is called before the commit, with the row still locked,
so that what it writes is there exactly if the change is. What it raises undoes the change. It answers how many
subscribers will hear of the change: a cancel request that nobody hears of is refused (CC.2.2.3).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

from workitems.models import WorkItem


class EventType(IntEnum):
    """Event Type ID (0000,1002) of the UPS Event SOP Class; a new workitem is told as its first state."""

    STATE_REPORT = 1
    CANCEL_REQUESTED = 2
    PROGRESS_REPORT = 3
    SCP_STATUS_CHANGE = 4
    ASSIGNED = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One event about ``workitem``, which is as it is after the change.

    ``information`` is the event's data set as DICOM JSON, Event Information of table CC.2.4-1 without the identifiers
    that every report has. ``created``: the workitem is new. ``actor`` is the external id of who did it.
    """

    event: EventType
    workitem: WorkItem
    information: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ""
    created: bool = False


Listener = Callable[[Change], int]
_LISTENERS: Final[list[Listener]] = []


def listen(listener: Listener) -> None:
    """Have ``listener`` called with each change from now on; the same one twice is once."""
    if listener not in _LISTENERS:
        _LISTENERS.append(listener)


def tell(*changes: Change) -> int:
    """Call every listener with each change, in their order, inside of the transaction that made them.

    Returns how many subscribers will hear, counted once for each change.
    """
    return sum(listener(change) for change in changes for listener in _LISTENERS)
