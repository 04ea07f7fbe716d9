"""A report may come before its order: it is given the order when that comes."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from archive import outbox, patient_rows
from archive.outbox import Wish
from archive.patient_facts import Moment
from reports.models import NumberedBy, Report
from reports.receiving import tell_order
from worklist.models import Order

REPORTS_OF_ORDER: Final = "reports_of_order"
_ACTOR: Final = "archive"


def order_saved(instance: Order, update_fields: Any = None, **_: Any) -> None:
    """Wish for ``take_up`` in the transaction that wrote an order, if reports wait for its numbers."""
    if update_fields is None and waiting(instance).exists():
        outbox.wish([Wish(REPORTS_OF_ORDER, str(instance.pk))])


def waiting(order: Order) -> QuerySet[Report]:
    """Reports without an order that name one of this order's numbers."""
    named = Q()
    for kind in ("placer", "filler"):
        number, issuer = getattr(order, f"{kind}_number"), getattr(order, f"{kind}_issuer")
        if number:
            named |= Q(**{f"{kind}_number": number, f"{kind}_issuer": issuer})
            named |= Q(numbered_by=NumberedBy.ORDER, number=number, issuer=issuer)
    return Report.objects.filter(named, order__isnull=True) if named else Report.objects.none()


def take_up(subject: str) -> None:
    """The task: give the order with this primary key the reports that came before it, if they are its patient's."""
    with transaction.atomic():
        order = Order.objects.select_related("patient").filter(pk=int(subject)).first()
        if order is None:
            return
        patient_rows.lock_rows([order.patient.person])
        order = Order.objects.select_for_update(of=("self",)).select_related("patient").get(pk=order.pk)
        moment = Moment(timezone.now(), _ACTOR)
        for report in waiting(order).select_for_update(of=("self",)).select_related("patient").order_by("pk"):
            if report.patient.person == order.patient.person:
                report.order = order
                report.save(update_fields=["order"])
                tell_order(report, order, moment)
