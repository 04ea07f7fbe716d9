"""Deliveries in pages: what waits, what was refused, one message with its answer; sent again, or given up."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from access.principal import Principal
from archive.models import Patient
from audit.kinds import ORDER_RECORD
from hl7.outbound_models import OutboundMessage
from hl7.outbound_queue import NotPossible, deliveries, give_up, one, queues, retry
from hl7.pages_criteria import page_start
from hl7.pages_delivery_forms import MOST_AT_ONCE, Chosen, DeliveriesAsked
from hl7.pages_door import CLOSED, for_interfaces, is_closed, refuse, show, write_down
from hl7.shown_message import lines_of
from reports.models import Report
from worklist.models import Order

PAGE_SIZE: Final = 50


@require_safe
@for_interfaces
def page(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Queues, and messages by state and destination, the newest first."""
    return _page(request, principal)


@require_safe
@for_interfaces
def message(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """One message as it goes over the wire, and the answer."""
    found = _opened(request, principal, number)
    write_down(request, principal, f"hl7 delivery {number}", patient_ids=patient_ids(found))
    context = {
        "found": found,
        "raw": lines_of(bytes(found.raw)),
        "answer": lines_of(bytes(found.answer)) if found.answer is not None else None,
    }
    return show(request, "delivery.html", context)


@require_POST
@for_interfaces
def act(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Send those ticked once more, or give them up."""
    form = Chosen(request.POST)
    if not form.is_valid():
        wrong = form.errors.get("reason") or ["Choose at least one message."]
        return _page(request, principal, error=str(wrong[0]), status=400)
    done = 0
    for number in sorted(form.cleaned_data["message"]):
        found = one(number)
        if found is None or is_closed(principal, persons_of(found)):
            continue
        try:
            do(found, form.cleaned_data["action"], form.cleaned_data["reason"].strip(), request, principal)
        except NotPossible:
            continue
        done += 1
    words = "to be sent again" if form.cleaned_data["action"] == "retry" else "given up"
    count = len(form.cleaned_data["message"])
    (messages.success if done == count else messages.error)(request, f"{done} of {count} messages {words}.")
    return HttpResponseRedirect(reverse("hl7-deliveries"))


def do(found: OutboundMessage, action: str, reason: str, request: HttpRequest, principal: Principal) -> None:
    """Send a message again, or give it up, with its event. Raises NotPossible."""
    if action == "retry":
        retry(found.pk, principal.name)
    else:
        give_up(found.pk, principal.name, reason)
    about = {"outcome_description": reason, "patient_ids": patient_ids(found)}
    write_down(request, principal, f"hl7 {action} {found.pk}", kind=ORDER_RECORD, **about)


def patient_ids(found: OutboundMessage) -> tuple[str, ...]:
    """The Patient IDs that a message names: of the patient, and those that its order and report came under."""
    return tuple(_named(found).exclude(patient_id="").order_by("pk").values_list("patient_id", flat=True))


def persons_of(found: OutboundMessage) -> set[int]:
    """The persons whom these identifiers name by now, which may have been merged or taken apart since."""
    return set(_named(found).values_list(Coalesce("merged_into", "pk"), flat=True))


def _named(found: OutboundMessage) -> QuerySet[Patient]:
    orders = Order.objects.filter(pk=found.order or 0).values("patient")
    reports = Report.objects.filter(pk=found.report or 0).values("patient")
    return Patient.objects.filter(Q(pk=found.patient) | Q(pk__in=orders) | Q(pk__in=reports))


def _opened(request: HttpRequest, principal: Principal, number: int) -> OutboundMessage:
    """Raises Http404, and PermissionDenied with its event."""
    found = one(number) if number < 1 << 63 else None
    if found is None:
        raise Http404
    if is_closed(principal, persons_of(found)):
        refuse(request, principal, CLOSED, patient_ids=patient_ids(found))
    return found


def _page(request: HttpRequest, principal: Principal, *, error: str = "", status: int = 200) -> HttpResponse:
    form = DeliveriesAsked(request.GET)
    asked: dict[str, Any] = form.cleaned_data if form.is_valid() else {"state": "", "destination": ""}
    before = page_start(request)
    rows = list(deliveries(asked["state"], asked["destination"], before)[: PAGE_SIZE + 1])
    write_down(request, principal, f"hl7 deliveries {asked['state']} {asked['destination']}".strip())
    context = {
        "queues": queues(),
        "rows": rows[:PAGE_SIZE],
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
        "first": before is None,
        "form": form,
        "states": form.fields["state"].choices,  # type: ignore[attr-defined]
        "query": urlencode({name: value for name, value in asked.items() if value}),
        "asking": any(asked.values()),
        "error": error,
        "most": MOST_AT_ONCE,
        "now": timezone.now(),
    }
    return show(request, "deliveries.html", context, status=status)
