"""The state machines, one table each, and the one way to move: whatever changes a state leaves a StateEvent."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.db.models import Model
from django.dispatch import Signal

from archive.patient_facts import Moment
from archive.prepared_rows import insert, update
from worklist.models import (
    Order,
    OrderStatus,
    PerformedProcedureStep,
    PerformedStatus,
    ScheduledProcedureStep,
    StateEvent,
    StepStatus,
    Visit,
    VisitStatus,
)

Stateful = Order | ScheduledProcedureStep | Visit | PerformedProcedureStep
Moves = Mapping[str, frozenset[str]]


class IllegalMove(Exception):
    """The machine has no such move; nothing was changed."""


def _moves(**after: str) -> Moves:
    return MappingProxyType({state: frozenset(words.split()) for state, words in after.items()})


_ENDS = "CANCELED DISCONTINUED HELD REPLACED"
# state -> the states that may follow. STARTED goes back where the wrong entry of the worklist was picked.
MACHINES: Final[Mapping[str, Moves]] = MappingProxyType(
    {
        "order": _moves(
            REQUESTED=f"SCHEDULED STARTED COMPLETED REPORTED {_ENDS}",
            SCHEDULED=f"ARRIVED STARTED COMPLETED REPORTED {_ENDS}",
            ARRIVED=f"SCHEDULED STARTED COMPLETED REPORTED {_ENDS}",
            STARTED=f"SCHEDULED COMPLETED REPORTED {_ENDS}",
            COMPLETED="REPORTED REPLACED",
            REPORTED="REPLACED",
            HELD="REQUESTED SCHEDULED ARRIVED STARTED CANCELED DISCONTINUED REPLACED",
            CANCELED="",
            DISCONTINUED="COMPLETED REPORTED REPLACED",
            REPLACED="",
        ),
        "step": _moves(
            SCHEDULED="ARRIVED READY STARTED COMPLETED CANCELED DISCONTINUED",
            ARRIVED="SCHEDULED READY STARTED COMPLETED CANCELED DISCONTINUED",
            READY="SCHEDULED ARRIVED STARTED COMPLETED CANCELED DISCONTINUED",
            STARTED="SCHEDULED DEPARTED COMPLETED CANCELED DISCONTINUED",
            DEPARTED="COMPLETED DISCONTINUED",
            CANCELED="",
            DISCONTINUED="",
            COMPLETED="",
        ),
        "visit": _moves(
            EXPECTED="ACTIVE DISCHARGED CANCELED",
            ACTIVE="EXPECTED DISCHARGED CANCELED",
            DISCHARGED="ACTIVE CANCELED",
            CANCELED="EXPECTED ACTIVE",
        ),
        "performed step": _moves(**{"IN PROGRESS": "COMPLETED DISCONTINUED", "COMPLETED": "", "DISCONTINUED": ""}),
    }
)
FIRST: Final[Mapping[str, str]] = MappingProxyType(
    {
        "order": OrderStatus.REQUESTED,
        "step": StepStatus.SCHEDULED,
        "visit": VisitStatus.EXPECTED,
        "performed step": PerformedStatus.IN_PROGRESS,
    }
)
# Sent for each StateEvent, in the transaction that writes it and after it is written: ``row`` is what moved, ``event``
# the StateEvent, ``moment`` who told it and when. A receiver that raises undoes the move.
state_changed: Final = Signal()
_MACHINE_OF: Final[Mapping[type[Stateful], str]] = MappingProxyType(
    {Order: "order", ScheduledProcedureStep: "step", Visit: "visit", PerformedProcedureStep: "performed step"}
)


def transition(row: Stateful, to: str, moment: Moment) -> bool:
    """Move a locked row to ``to`` and write the event; returns False, and nothing done, where it is there already.

    Raises ``IllegalMove``.
    """
    before = str(row.status)
    if to == before:
        return False
    if not may(row, to):
        raise IllegalMove(f"{_MACHINE_OF[type(row)]}: {before} is not followed by {to}")
    row.status = to
    update(row, "status")
    note(_MACHINE_OF[type(row)], row, before, to, moment)
    return True


def may(row: Stateful, to: str) -> bool:
    """Whether the machine has this move."""
    return to in MACHINES[_MACHINE_OF[type(row)]][str(row.status)]


def born(row: Stateful, moment: Moment) -> None:
    """A new row, in the first state of its machine."""
    note(_MACHINE_OF[type(row)], row, "", str(row.status), moment)


def note(machine: str, row: Model, before: str, after: str, moment: Moment) -> None:
    """Write the event of a move; of a machine without a table the newest event is the state."""
    event = StateEvent(
        machine=machine,
        subject=row.pk,
        before=before,
        after=str(after),
        actor=moment.actor,
        source_message=moment.message,
        happened_at=moment.at,
    )
    insert(event)
    state_changed.send(sender=type(row), row=row, event=event, moment=moment)
