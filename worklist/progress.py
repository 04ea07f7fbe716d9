"""How orders and their steps advance with what is performed and what is stored, whoever tells of it first.

Each function takes rows that the caller holds locked, the orders before the steps. What is at its end stays there.
"""

from collections.abc import Iterable
from typing import Final

from archive.patient_facts import Moment
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StepStatus
from worklist.states import may, transition

NOT_BEGUN: Final = (OrderStatus.REQUESTED, OrderStatus.SCHEDULED, OrderStatus.ARRIVED)
# Steps of which nothing more is to come.
ENDED: Final = frozenset({StepStatus.CANCELED, StepStatus.DISCONTINUED, StepStatus.COMPLETED})
_UNDER_WAY: Final = (StepStatus.STARTED, StepStatus.DEPARTED)


def begin(order: Order, steps: Iterable[ScheduledProcedureStep], moment: Moment) -> None:
    """The order is STARTED, and so are these of its steps."""
    if order.status in NOT_BEGUN:
        transition(order, OrderStatus.STARTED, moment)
    _move(steps, StepStatus.STARTED, moment)


def end(steps: Iterable[ScheduledProcedureStep], to: StepStatus, moment: Moment) -> None:
    """These steps come to their end, COMPLETED or DISCONTINUED."""
    _move(steps, to, moment)


def end_if_done(order: Order, moment: Moment) -> None:
    """The order ends with the last of its steps: COMPLETED if anything of it was, else DISCONTINUED."""
    found = set(ScheduledProcedureStep.objects.filter(procedure__order=order).values_list("status", flat=True))
    if not found <= ENDED:
        return
    for step, to in (
        (StepStatus.COMPLETED, OrderStatus.COMPLETED),
        (StepStatus.DISCONTINUED, OrderStatus.DISCONTINUED),
    ):
        if step in found:
            if may(order, to):
                transition(order, to, moment)
            return


def complete(order: Order, moment: Moment) -> None:
    """All images of the order are there: it is COMPLETED with those of its steps that were under way."""
    steps = ScheduledProcedureStep.objects.select_for_update(of=("self",)).filter(procedure__order=order)
    _move(steps.filter(status__in=_UNDER_WAY).order_by("pk"), StepStatus.COMPLETED, moment)
    if order.status in (*NOT_BEGUN, OrderStatus.STARTED):
        transition(order, OrderStatus.COMPLETED, moment)


def take_back(order: Order, steps: Iterable[ScheduledProcedureStep], moment: Moment) -> None:
    """The wrong entry was picked: these steps are still to be done, and the order with them if nothing else was."""
    for step in steps:
        if step.status == StepStatus.STARTED:
            transition(step, StepStatus.SCHEDULED, moment)
    begun = ScheduledProcedureStep.objects.filter(procedure__order=order, status__in=(*_UNDER_WAY, *ENDED))
    if order.status == OrderStatus.STARTED and not begun.exists():
        transition(order, OrderStatus.SCHEDULED, moment)


def _move(steps: Iterable[ScheduledProcedureStep], to: StepStatus, moment: Moment) -> None:
    for step in steps:
        if may(step, to):
            transition(step, to, moment)
