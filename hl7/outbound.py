"""What we tell others: the status of an order, a report, and answers of enhanced mode, each as a row of its own.

A message is written in the transaction of the change that it tells, with its bytes and its control id. So it is there
if and only if the change is, and is the same however often it has to be sent (``hl7.delivery``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from archive.models import Patient
from archive.patient_facts import Moment
from archive.time_zones import site_zone
from hl7.header import Header
from hl7.models import Hl7Interface, Hl7Message
from hl7.outbound_models import OPEN, Destination, OrderMessage, OutboundMessage
from hl7.outbound_segments import observations, orc, pid, pv1, result, status_of
from hl7.outbound_text import Head, message, new_control_id
from reports.about import studies_of
from reports.models import Report, ReportStatus, ReportVersion
from worklist.models import Order, OrderStatus, StateEvent

REPORT_TYPE: Final = "ORU^R01"
# Where an order comes to -> ORC-5 (table 0038). A report that nobody completed the order before completes it.
ORDER_STATUSES: Final[Mapping[str, str]] = {
    OrderStatus.STARTED: "IP",
    OrderStatus.COMPLETED: "CM",
    OrderStatus.REPORTED: "CM",
    OrderStatus.DISCONTINUED: "DC",
}
_KNOWN_COMPLETED: Final = (OrderStatus.COMPLETED, OrderStatus.REPORTED)
# A version's status -> OBR-25 (table 0123), which has no word for an addendum, and none for what was never meant.
REPORT_STATUSES: Final[Mapping[str, str]] = {
    ReportStatus.PRELIMINARY: "P",
    ReportStatus.FINAL: "F",
    ReportStatus.CORRECTED: "C",
    ReportStatus.ADDENDED: "C",
    ReportStatus.CANCELLED: "X",
    ReportStatus.ENTERED_IN_ERROR: "X",
}
Build = Callable[[Destination, datetime, tzinfo], tuple[str, Iterable[str]]]


def tell_of_order(row: Any, event: StateEvent, moment: Moment, **_: Any) -> None:
    """A receiver of ``worklist.states.state_changed``."""
    status = ORDER_STATUSES.get(event.after) if isinstance(row, Order) else None
    if status is None or (event.after == OrderStatus.REPORTED and event.before in _KNOWN_COMPLETED):
        return
    found = _to_tell(moment, ~Q(order_message=OrderMessage.NONE), order_statuses__contains=[status])
    if not found:
        return
    patient, leads = _patients(row.patient_id)
    procedures = list(row.procedures.order_by("pk"))

    def build(destination: Destination, at: datetime, zone: tzinfo) -> tuple[str, Iterable[str]]:
        kind = str(destination.order_message)
        behind = [pv1(row.visit)] if row.visit else []
        head = [pid(leads, patient), *behind, orc(row, "SC", status, moment.at, zone)]
        return kind, [*head, *status_of(row, procedures, kind)]

    _queue(found, build, leads.pk, f"order status {status}", order=row.pk)


def tell_of_report(report: Report, version: ReportVersion, moment: Moment, **_: Any) -> None:
    """A receiver of ``reports.receiving.version_kept``."""
    status = REPORT_STATUSES.get(version.status)
    found = _to_tell(moment, report_statuses__contains=[status]) if status else []
    if not found or status is None:
        return
    patient, leads = _patients(report.patient_id)
    studies = list(studies_of(report).order_by("study_date", "pk"))

    def build(destination: Destination, at: datetime, zone: tzinfo) -> tuple[str, Iterable[str]]:
        behind = [pv1(report.order.visit)] if report.order and report.order.visit else []
        head = [pid(leads, patient), *behind, orc(report.order, "RE", "", moment.at, zone)]
        texts = observations(report, version, status, studies, pdf=destination.pdf)
        return REPORT_TYPE, [*head, result(report, version, status, studies, moment.at, zone), *texts]

    about = f"report {status}, version {version.number}"
    _queue(found, build, leads.pk, about, order=report.order_id, report=report.pk)


def answer_later(kept: Hl7Message) -> None:
    """Send the answer of enhanced mode that a message asks for to where its interface has its listener.

    One that waits already isn't sent twice. Where no destination takes answers it stays with the message.
    """
    if kept.later is None or kept.interface_id is None:
        return
    raw = bytes(kept.later)
    control_id = Header.of(raw).control_id.decode("latin-1")
    for destination in Destination.objects.filter(enabled=True, answers=True, interface=kept.interface_id):
        if not destination.messages.filter(control_id=control_id, state__in=OPEN).exists():
            OutboundMessage.objects.create(
                destination=destination,
                patient=kept.patient or 0,
                type="ACK",
                about="answer to a message",
                control_id=control_id,
                raw=raw,
                sha256=sha256(raw).digest(),
            )


def zone_of(destination: Destination) -> tzinfo:
    """The clock of its times: its own, else the site's, else UTC."""
    return site_zone(destination.time_zone) or site_zone(settings.PACS.time_zone) or UTC


def head_of(destination: Destination, at: datetime) -> Head:
    """MSH of a message that is made now."""
    return Head(
        sending_application=destination.sending_application,
        sending_facility=destination.sending_facility,
        receiving_application=destination.receiving_application,
        receiving_facility=destination.receiving_facility,
        processing_id=destination.processing_id,
        version=destination.version,
        charset=destination.charset,
        at=at,
    )


def _to_tell(moment: Moment, *conditions: Q, **fields: Any) -> list[Destination]:
    """Who wants it, without the system that told us: it knows."""
    found = Destination.objects.filter(*conditions, enabled=True, **fields)
    if moment.message:
        # A message that is applied names its interface; one that is applied once more, also who wanted that.
        named = {moment.actor, moment.actor.partition(", replayed by ")[0]}
        found = found.exclude(echo=False, interface__in=Hl7Interface.objects.filter(name__in=named).values("pk"))
    return list(found.order_by("pk"))


def _patients(pk: int) -> tuple[Patient, Patient]:
    """The identifier, and the one that leads the person."""
    patient = Patient.objects.select_related("merged_into").get(pk=pk)
    return patient, patient.merged_into or patient


def _queue(
    found: list[Destination],
    build: Build,
    patient: int,
    about: str,
    *,
    order: int | None,
    report: int | None = None,
) -> None:
    # What waits under an identifier that has been merged away since goes ahead of this.
    merged = Patient.objects.filter(merged_into=patient).values("pk")
    OutboundMessage.objects.filter(state__in=OPEN, patient__in=merged).update(patient=patient)
    for destination in found:
        zone = zone_of(destination)
        at = datetime.now(zone)
        kind, segments = build(destination, at, zone)
        control_id = new_control_id()
        raw = message(head_of(destination, at), kind, control_id, segments)
        OutboundMessage.objects.create(
            destination=destination,
            patient=patient,
            order=order,
            report=report,
            type=kind,
            about=about,
            control_id=control_id,
            raw=raw,
            sha256=sha256(raw).digest(),
        )
