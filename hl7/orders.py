"""Orders: ORM^O01, OMG^O19 and OMI^O23 by one walk. Each ORC is applied to the patient of PID, one after the other."""

from __future__ import annotations

from hl7.adt import apply_patient, apply_visit_beside
from hl7.effects import Arrived, Effect
from hl7.order_fields import orders
from hl7.refusals import of_order
from worklist import orders as worklist_orders
from worklist.order_messages import OrderRefused, VisitEffect


def apply_orders(arrived: Arrived) -> Effect:
    """Raises Refused; then nothing of the message is applied."""
    found = list(orders(arrived.message, arrived.profile))
    applied = apply_patient(arrived)
    word = apply_visit_beside(arrived, applied.patient, VisitEffect.UPDATE)
    effect = Effect.of_patient(applied, "updated").and_then(*filter(None, [word]))
    for each in found:
        try:
            order = worklist_orders.apply(applied.patient, each.facts, each.control, each.status, arrived.moment)
        except OrderRefused as error:
            raise of_order(error, each.orc.number) from error
        what = "created" if order.created else "updated"
        flag = "; cancelled, but it has images" if order.cancelled_with_images else ""
        effect = effect.and_then(f"order {what}: {order.status}{flag}", order=order.order)
    return effect
