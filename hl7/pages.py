"""Interfaces and messages in pages: how each feed runs, what came, and what became of it."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from access.principal import Principal
from audit.bounded import bounded
from hl7.feeds import feeds
from hl7.listening import open_connections
from hl7.message_search import ACKS, OPEN, attempts
from hl7.models import Hl7Interface, Hl7Message, MessageState
from hl7.pages_criteria import Criteria, address_query, keep, kept_question, page_start
from hl7.pages_door import CLOSED, about, for_interfaces, is_closed, open_ones, refuse, show, write_down
from hl7.replay import REPLAYABLE
from hl7.shown_message import lines_of, segments_of

PAGE_SIZE: Final = 50
# An open page asks again by itself, but not for ever: a session that nobody uses has to end.
REFRESH_SECONDS: Final = 30
REFRESHES: Final = 20
TOO_LONG: Final = "That takes too long. Ask about a shorter time, or about one interface."


@require_safe
@for_interfaces
def interfaces(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Each interface with what came today and in the last hour."""
    now = timezone.now()
    text = request.GET.get("left", str(REFRESHES))
    left = min(int(text), REFRESHES) if text.isascii() and text.isdigit() and len(text) < 4 else 0
    found = feeds(now)
    write_down(request, principal, "hl7 interfaces")
    context = {
        "feeds": found,
        "connections": open_connections(),
        "now": now,
        "seconds": REFRESH_SECONDS,
        "left": left,
        "next": max(left - 1, 0),
    }
    return show(request, "interfaces.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_interfaces
def messages(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The messages that match, newest first. A question is posted and kept in the session."""
    if request.method == "POST":
        query = keep(request)
        return HttpResponseRedirect(f"{reverse('hl7-messages')}?{query}" if query else reverse("hl7-messages"))
    form = Criteria(kept_question(request))
    rows: list[Hl7Message] = []
    shown: list[Hl7Message] = []
    failed = ""
    if form.is_valid():
        asked = form.asked()
        try:
            with bounded(statement_seconds=settings.PACS.limits.search_seconds):
                rows = asked.page(page_start(request), PAGE_SIZE + 1)
        except OperationalError as error:
            if "statement timeout" not in str(error):
                raise
            failed = TOO_LONG
        shown = open_ones(principal, asked, rows[:PAGE_SIZE])
        write_down(
            request,
            principal,
            f"hl7 messages {asked.words()}".strip(),
            patient_ids=(asked.patient,) if asked.patient else (),
        )
    context = {
        "form": form,
        "rows": shown,
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
        "first": page_start(request) is None,
        "failed": failed,
        "asking": bool(form.data),
        "query": address_query(request),
        "states": MessageState.choices,
        "acks": ACKS,
        "names": Hl7Interface.objects.order_by("name").values_list("name", flat=True),
    }
    return show(request, "messages.html", context, status=503 if failed else 200 if form.is_valid() else 400)


@require_safe
@for_interfaces
def message(request: HttpRequest, principal: Principal, message: int) -> HttpResponse:
    """One message: as it came, taken apart, what it did, and the answer that it got."""
    kept = Hl7Message.objects.select_related("interface").filter(pk=message).first()
    if kept is None:
        raise Http404
    patient_ids, persons = about(kept)
    if is_closed(principal, persons):
        refuse(request, principal, CLOSED, patient_ids=patient_ids)
    write_down(request, principal, f"hl7 message {message}", patient_ids=tuple(patient_ids))
    context = {
        "message": kept,
        "raw": lines_of(bytes(kept.raw)),
        "bytes": len(kept.raw),
        "segments": segments_of(kept),
        "answer": lines_of(bytes(kept.answer)) if kept.answer is not None else None,
        "later": lines_of(bytes(kept.later)) if kept.later is not None else None,
        "attempts": attempts(kept),
        "waits": kept.state in OPEN,
        "replayable": kept.state in REPLAYABLE,
    }
    return show(request, "message.html", context)
