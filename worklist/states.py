"""The state machines, one table each, and the one way to move: whatever changes a state leaves a StateEvent."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from archive.patient_facts import Moment
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StateEvent, StepStatus, Visit, VisitStatus

Stateful = Order | ScheduledProcedureStep | Visit
Moves = Mapping[str, frozenset[str]]


class IllegalMove(Exception):
    """The machine has no such move; nothing was changed."""


def _moves(**after: str) -> Moves:
    return MappingProxyType({state: frozenset(words.split()) for state, words in after.items()})


_ENDS = "CANCELED DISCONTINUED HELD REPLACED"
# state -> the states that may follow
MACHINES: Final[Mapping[str, Moves]] = MappingProxyType(
    {
        "order": _moves(
            REQUESTED=f"SCHEDULED STARTED COMPLETED REPORTED {_ENDS}",
            SCHEDULED=f"ARRIVED STARTED COMPLETED REPORTED {_ENDS}",
            ARRIVED=f"SCHEDULED STARTED COMPLETED REPORTED {_ENDS}",
            STARTED=f"COMPLETED REPORTED {_ENDS}",
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
            STARTED="DEPARTED COMPLETED CANCELED DISCONTINUED",
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
    }
)
FIRST: Final[Mapping[str, str]] = MappingProxyType(
    {"order": OrderStatus.REQUESTED, "step": StepStatus.SCHEDULED, "visit": VisitStatus.EXPECTED}
)
_MACHINE_OF: Final[Mapping[type[Stateful], str]] = MappingProxyType(
    {Order: "order", ScheduledProcedureStep: "step", Visit: "visit"}
)


def transition(row: Stateful, to: str, moment: Moment) -> bool:
    """Move a locked row to ``to`` and write the event; returns False, and nothing done, where it is there already.

    Raises ``IllegalMove``.
    """
    machine, before = _MACHINE_OF[type(row)], str(row.status)
    if to == before:
        return False
    if not may(row, to):
        raise IllegalMove(f"{machine}: {before} is not followed by {to}")
    row.status = to
    row.save(update_fields=["status"])
    _event(machine, row.pk, before, to, moment)
    return True


def may(row: Stateful, to: str) -> bool:
    """Whether the machine has this move."""
    return to in MACHINES[_MACHINE_OF[type(row)]][str(row.status)]


def born(row: Stateful, moment: Moment) -> None:
    """A new row, in the first state of its machine."""
    _event(_MACHINE_OF[type(row)], row.pk, "", str(row.status), moment)


def _event(machine: str, subject: int, before: str, after: str, moment: Moment) -> None:
    StateEvent.objects.create(
        machine=machine,
        subject=subject,
        before=before,
        after=str(after),
        actor=moment.actor,
        source_message=moment.message,
        happened_at=moment.at,
    )
