"""What an order message does to an order: one function per effect of the matrix (``worklist.order_matrix``)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.utils import timezone

from archive.patient_facts import Moment
from worklist.models import Order, OrderStatus, ScheduledProcedureStep, StepStatus, StudyOrderLink
from worklist.order_matrix import Effect, effect_of
from worklist.order_messages import OrderApplied, OrderFacts, OrderRefusal, OrderRefused
from worklist.order_rows import find, lock_numbers, named, write, write_procedures
from worklist.persons import person_of
from worklist.reconcile import wish_for
from worklist.states import IllegalMove, born, may, transition


def apply(patient: int, facts: OrderFacts, control: str, status: str, moment: Moment) -> OrderApplied:
    """Apply one ORC with its procedures, in the caller's transaction; ``patient`` is locked (``archive.patients``).

    Studies that it may be about are looked at again by a worker. Raises ``OrderRefused``: the caller rolls back.
    """
    effect = effect_of(control, status)
    lock_numbers(facts)
    order = find(facts)
    if order is not None and order.patient_id != patient and person_of(order.patient_id) != patient:
        raise OrderRefused(OrderRefusal.ANOTHER_PATIENTS, "the order is known as that of another patient")
    if order is None and effect not in _CREATING:
        raise OrderRefused(OrderRefusal.UNKNOWN_ORDER, "no order has this number")
    created = order is None
    if order is None:
        order = Order(patient_id=patient, source_message=moment.message)
    try:
        cancelled_with_images = _EFFECTS[effect](order, facts, moment)
    except IllegalMove as error:
        raise OrderRefused(OrderRefusal.ILLEGAL_MOVE, str(error)) from error
    wish_for(order, patient)
    return OrderApplied(order.pk, order.status, created, cancelled_with_images)


def _create(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    _change(order, facts, moment)
    if order.status == OrderStatus.REQUESTED:
        transition(order, OrderStatus.SCHEDULED, moment)
    return False


def _change(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    new = order.pk is None
    write(order, facts)
    order.updated_at = timezone.now()
    if facts.replaces and order.replaces_id is None:
        order.replaces = next((found for number in facts.replaces if (found := named(number))), None)
    if facts.parent is not None:
        order.parent = named(facts.parent) or order.parent
    order.save()
    if new:
        born(order, moment)
    write_procedures(order, facts, moment)
    return False


def _number(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    write(order, OrderFacts(placer=facts.placer, filler=facts.filler))
    order.save()
    return False


def _start(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    if order.status != OrderStatus.COMPLETED:
        transition(order, OrderStatus.STARTED, moment)
        _steps(order, StepStatus.STARTED, moment)
    return False


def _complete(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    if order.status != OrderStatus.REPORTED:
        transition(order, OrderStatus.COMPLETED, moment)
        _steps(order, StepStatus.COMPLETED, moment)
    return False


def _cancel(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    """An order that has images is not cancelled: these stay where they are, and somebody has to look."""
    if StudyOrderLink.objects.filter(procedure__order=order).exists():
        order.cancelled_with_images = True
        order.save(update_fields=["cancelled_with_images"])
        return True
    transition(order, OrderStatus.CANCELED, moment)
    _steps(order, StepStatus.CANCELED, moment)
    return False


def _discontinue(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    transition(order, OrderStatus.DISCONTINUED, moment)
    _steps(order, StepStatus.DISCONTINUED, moment)
    return False


def _give_way(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    """Its images stay with it until somebody moves them."""
    transition(order, OrderStatus.REPLACED, moment)
    _steps(order, StepStatus.CANCELED, moment)
    return False


def _hold(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    if order.status != OrderStatus.HELD:
        order.held_from = order.status
        order.save(update_fields=["held_from"])
        transition(order, OrderStatus.HELD, moment)
    return False


def _release(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    if order.status == OrderStatus.HELD:
        transition(order, order.held_from or OrderStatus.SCHEDULED, moment)
    return False


def _parent(order: Order, facts: OrderFacts, moment: Moment) -> bool:
    """What is scheduled are its children: it has no step of its own."""
    new = order.pk is None
    write(order, facts)
    order.save()
    if new:
        born(order, moment)
    _steps(order, StepStatus.CANCELED, moment)
    return False


def _steps(order: Order, to: str, moment: Moment) -> None:
    """Those steps that may go there; the others have come to an end of their own."""
    rows = ScheduledProcedureStep.objects.select_for_update(of=("self",)).filter(procedure__order=order)
    for step in rows.order_by("pk"):
        if may(step, to):
            transition(step, to, moment)


_EFFECTS: Mapping[Effect, Callable[[Order, OrderFacts, Moment], bool]] = MappingProxyType(
    {
        Effect.CREATE: _create,
        Effect.NUMBER: _number,
        Effect.CHANGE: _change,
        Effect.START: _start,
        Effect.COMPLETE: _complete,
        Effect.CANCEL: _cancel,
        Effect.DISCONTINUE: _discontinue,
        Effect.GIVE_WAY: _give_way,
        Effect.REPLACE: _create,
        Effect.HOLD: _hold,
        Effect.RELEASE: _release,
        Effect.PARENT: _parent,
        Effect.CHILD: _create,
    }
)
_CREATING = frozenset({Effect.CREATE, Effect.REPLACE, Effect.PARENT, Effect.CHILD})
