"""Messages that wait for somebody: tried without effect, applied once more, or discarded. None is ever deleted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from access.principal import Principal
from audit.kinds import ORDER_RECORD
from audit.record import AuditUnavailable
from hl7.errors import Condition, NotAMessage, Refused
from hl7.message_search import OPEN, Asked
from hl7.models import Hl7Interface, Hl7Message
from hl7.pages_criteria import Criteria, address_query, page_start, question_in_address
from hl7.pages_door import about, for_interfaces, is_closed, show, write_down
from hl7.preview import Change, Preview, preview
from hl7.replay import NotReplayable, dismiss, replay

_log = logging.getLogger(__name__)
PAGE_SIZE: Final = 50
# Each is a transaction of its own, and somebody waits for the page.
MOST_AT_ONCE: Final = 200
_CLOSED: Final = "the record of its patient is closed to you"


@dataclass(frozen=True, slots=True)
class Tried:
    """What a replay did, or would do; ``refused`` says why it can't."""

    message: Hl7Message
    words: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    patient_ids: tuple[str, ...] = ()
    refused: str = ""


class Chosen(forms.Form):
    """Which messages: those ticked, or all that match what the page was asked."""

    action = forms.ChoiceField(choices=[(each, each) for each in ("try", "replay", "discard")])
    every = forms.BooleanField(required=False)
    message = forms.TypedMultipleChoiceField(coerce=int, required=False)
    reason = forms.CharField(required=False, max_length=500)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        ticked = [each for each in data.getlist("message") if each.isascii() and each.isdigit() and len(each) < 19]
        self.fields["message"].choices = [(each, each) for each in ticked[:MOST_AT_ONCE]]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Discarding needs a reason."""
        given: dict[str, Any] = self.cleaned_data
        if given.get("action") == "discard" and not given.get("reason", "").strip():
            raise forms.ValidationError("Say why nothing is to be done about it.")
        if not given.get("every") and not given.get("message"):
            raise forms.ValidationError("Choose at least one message.")
        return given


@require_safe
@for_interfaces
def parked(request: HttpRequest, principal: Principal) -> HttpResponse:
    """What waits, the newest first."""
    return _page(request, principal)


@require_POST
@for_interfaces
def act(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Try, replay or discard. A trial answers the page with what would be; the others lead back to it."""
    form = Chosen(request.POST)
    if not form.is_valid():
        return _page(request, principal, error=str(form.errors.as_data().popitem()[1][0].message), status=400)
    what, reason = form.cleaned_data["action"], form.cleaned_data["reason"].strip()
    if form.cleaned_data["every"] and request.GET.get("asked"):
        # A question of the message search, which this page doesn't show: all would be meant.
        return _page(request, principal, error="Say here which messages are meant.", status=400)
    every = Criteria(question_in_address(request) if form.cleaned_data["every"] else {})
    if not every.is_valid():
        return _page(request, principal)
    numbered = None if form.cleaned_data["every"] else form.cleaned_data["message"]
    tried = [attempt(each, what, reason, principal) for each in chosen(every.asked(), numbered)]
    done = [each for each in tried if not each.refused]
    numbers = ",".join(str(each.message.pk) for each in tried)
    said = f"{len(done)} of {len(tried)} messages" + (f": {reason}" if reason else "")
    names = sorted({name for each in done for name in each.patient_ids})
    write_down(
        request, principal, f"hl7 {what} {numbers}", kind=ORDER_RECORD, outcome_description=said, patient_ids=names
    )
    if what == "try" or len(done) < len(tried):
        return show(request, "tried.html", {"tried": tried, "done": len(done), "what": what})
    messages.success(request, f"{_DONE[what]}: {len(done)} message{'' if len(done) == 1 else 's'}.")
    return HttpResponseRedirect(reverse("hl7-parked"))


_DONE: Final = {"replay": "Applied", "discard": "Discarded"}


def attempt_one(number: int, what: str, reason: str, by: str) -> Preview | None:
    """Try, replay or discard one message. Raises Refused, NotReplayable, NotAMessage, AuditUnavailable."""
    try:
        if what == "try":
            return preview(number, by)
        if what == "discard":
            dismiss(number, by, reason)
            return None
        return Preview(replay(number, by).words, ())
    except (Refused, NotReplayable, NotAMessage, AuditUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - what failed once by our fault may do so again, and keeps none of the others
        # Its own words may hold values.
        _log.error("message %s could not be applied: %s", number, type(error).__name__)
        raise Refused(Condition.INTERNAL, None, "it can't be applied now") from None


def attempt(message: Hl7Message, what: str, reason: str, principal: Principal) -> Tried:
    """Try, replay or discard a message, if its patient is open to the principal."""
    # By itself, so that the bytes of many messages are never in memory together.
    patient_ids, persons = about(Hl7Message.objects.select_related("interface").get(pk=message.pk))
    if is_closed(principal, persons):
        return Tried(message, refused=_CLOSED)
    try:
        found = attempt_one(message.pk, what, reason, principal.name)
    except Refused as refused:
        return Tried(message, refused=f"{int(refused.condition)} {refused.place or ''} {refused.text}")
    except NotAMessage:
        return Tried(message, refused="what came is no message")
    except NotReplayable:
        return Tried(message, refused="it does not wait any more: somebody was faster")
    return Tried(message, found.words if found else (), found.changes if found else (), tuple(patient_ids))


def chosen(asked: Asked, numbers: Sequence[int] | None) -> list[Hl7Message]:
    """The messages with these numbers, else those that wait and match; the oldest first, without their bytes."""
    rows = asked.messages()
    rows = rows.filter(state__in=OPEN) if numbers is None else rows.filter(pk__in=numbers)
    return list(rows.order_by("pk")[:MOST_AT_ONCE])


def _page(request: HttpRequest, principal: Principal, *, error: str = "", status: int = 200) -> HttpResponse:
    form = Criteria(question_in_address(request))
    if form.is_valid():
        asked = form.asked()
    else:
        asked, error, status = Asked(), "That can't be asked.", 400
    found = asked.messages().filter(state__in=OPEN)
    before = page_start(request)
    rows = list((found if before is None else found.filter(pk__lt=before))[: PAGE_SIZE + 1])
    write_down(request, principal, f"hl7 parked {asked.words()}".strip())
    context = {
        "rows": rows[:PAGE_SIZE],
        "older": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
        "first": before is None,
        "count": found.order_by()[:1000].count(),
        "most": MOST_AT_ONCE,
        "form": form,
        "error": error,
        "asking": bool(address_query(request)),
        "query": address_query(request),
        "names": Hl7Interface.objects.order_by("name").values_list("name", flat=True),
    }
    return show(request, "parked.html", context, status=status)
