"""What the appointment book does to the steps of an order (HL7 v2 chapter 10): when and where. The order stays open."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from archive.names import name_key
from archive.patient_facts import Moment
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StateEvent, StepStatus
from worklist.order_messages import EntityIdentifier, Told
from worklist.order_rows import named
from worklist.persons import person_of
from worklist.states import may, transition

_NOT_BEGUN: Final = (StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY)
_FINISHED: Final = (OrderStatus.CANCELED, OrderStatus.DISCONTINUED, OrderStatus.REPLACED)


class AppointmentEffect(StrEnum):
    """What an event does to an appointment."""

    BOOKED = "BOOKED"  # S12, S13, S14
    CANCELLED = "CANCELLED"  # S15, S17
    MISSED = "NO_SHOW"  # S26


@dataclass(frozen=True, slots=True)
class AppointmentFacts:
    """One service of an appointment. ``orders`` are numbers of the order, in order of preference; ``service`` is the
    code of what is booked. ``start_date`` and ``start_time`` are DA and TM values by the site's clock.
    """

    orders: tuple[EntityIdentifier, ...]
    service: str = ""
    start_date: Told = None
    start_time: Told = None
    location: Told = None
    performing_physician: Told = None


@dataclass(frozen=True, slots=True)
class AppointmentApplied:
    """What became of it: the order and how many of its steps changed; no order where none is known."""

    order: int | None = None
    steps: int = 0


def apply(patient: int, facts: AppointmentFacts, effect: AppointmentEffect, moment: Moment) -> AppointmentApplied:
    """Apply it to the steps not begun of an order of the locked ``patient``, in the caller's transaction.

    An appointment that is cancelled or missed takes its time away, so that the step is on no day's list until it is
    booked anew; steps that had arrived are only scheduled again.
    """
    order = _order(patient, facts.orders)
    if order is None or order.status in _FINISHED:
        return AppointmentApplied(order.pk if order else None)
    steps = _steps(order, facts.service)
    for step in steps:
        if effect is AppointmentEffect.BOOKED:
            _book(step, facts)
        else:
            _take_away(step, moment)
    if steps:
        _event(order, effect, moment)
    return AppointmentApplied(order.pk, len(steps))


def _order(patient: int, numbers: Sequence[EntityIdentifier]) -> Order | None:
    for number in numbers:
        found = named(number)
        if found is not None and person_of(found.patient_id) == patient:
            return Order.objects.select_for_update(of=("self",)).get(pk=found.pk)
    return None


def _steps(order: Order, service: str) -> list[ScheduledProcedureStep]:
    """Those not begun: of the procedure or protocol that is booked, else all."""
    rows = ScheduledProcedureStep.objects.select_for_update(of=("self",)).select_related("procedure")
    steps = list(rows.filter(procedure__order=order, status__in=_NOT_BEGUN).order_by("pk"))
    meant = [step for step in steps if service in _codes(step)] if service else []
    return meant or steps


def _codes(step: ScheduledProcedureStep) -> set[str]:
    coded = [*step.protocol_codes, *([step.procedure.code] if step.procedure.code else [])]
    return {code[0] for code in coded if code}


def _book(step: ScheduledProcedureStep, facts: AppointmentFacts) -> None:
    if facts.start_date:
        step.start_date, step.start_time = facts.start_date, facts.start_time or ""
    if facts.location is not None:
        step.location = facts.location
    if facts.performing_physician is not None:
        step.performing_physician_name = facts.performing_physician
        step.performing_physician_name_key = name_key(facts.performing_physician)
    step.save()


def _take_away(step: ScheduledProcedureStep, moment: Moment) -> None:
    step.start_date = step.start_time = ""
    step.save(update_fields=["start_date", "start_time"])
    if step.status != StepStatus.SCHEDULED and may(step, StepStatus.SCHEDULED):
        transition(step, StepStatus.SCHEDULED, moment)


def _event(order: Order, effect: AppointmentEffect, moment: Moment) -> None:
    before = StateEvent.objects.filter(machine="appointment", subject=order.pk).order_by("-pk").first()
    StateEvent.objects.create(
        machine="appointment",
        subject=order.pk,
        before=before.after if before else "",
        after=effect.value,
        actor=moment.actor,
        source_message=moment.message,
        happened_at=moment.at,
    )
