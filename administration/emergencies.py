"""Emergency accesses: what waits to be looked at, what was opened under each, and what was thought of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from access.acting import Acting
from access.emergency import NotForOneself, review
from access.emergency_models import EmergencyAccess, Verdict
from access.principal import Principal
from access.trail import event
from administration.door import RULE, looking, show
from audit.kinds import KINDS, READ_TRAIL
from audit.models import AccessEvent
from audit.record import record

LISTED: Final = 100
EVENTS_SHOWN: Final = 100
OWN: Final = "This was your own. Somebody else has to look at it."
SAID: Final = "Somebody has said so already."
# What people call the kinds of events that a reader leaves.
_WORDS: Final = {
    "emergency_started": "opened the patient",
    "emergency_ended": "the access ended",
    "retrieve": "images read",
    "access": "metadata or pictures looked at",
    "search": "searched",
}


class Judgement(forms.Form):
    """What whoever looked at it says."""

    id = forms.UUIDField()
    verdict = forms.ChoiceField(choices=Verdict.choices)
    comment = forms.CharField(max_length=500, required=False)

    def clean_comment(self) -> str:
        """A comment where it was not justified: somebody has to do something about it."""
        comment: str = self.cleaned_data["comment"]
        if self.cleaned_data.get("verdict") == Verdict.NOT_JUSTIFIED and len(comment) < 3:
            raise forms.ValidationError("Say why, and what happens now.")
        return comment


@dataclass(frozen=True, slots=True)
class EmergencyRow:
    """An emergency access as the list shows it. No patient: who they are stands on its own page."""

    id: UUID
    person: str
    reason: str
    began: datetime
    ended: datetime | None
    until: datetime
    open: bool
    verdict: str
    reviewed_by: str
    comment: str
    own: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """Something that was done under an emergency access."""

    at: datetime
    what: str
    study_uids: list[str]
    count: int


@require_http_methods(["GET", "HEAD", "POST"])
def emergencies_list(request: HttpRequest) -> HttpResponse:
    """Those nobody has looked at, then the others, the newest first; a POST says what was thought of one."""
    principal = looking(request)
    if request.method == "POST":
        return _judge(request, principal)
    return _list(request, principal)


@require_safe
def emergency(request: HttpRequest, access: UUID) -> HttpResponse:
    """One of them, with what was opened under it: this reads the trail, and says so there."""
    principal = looking(request)
    return _page(request, principal, access, None)


def waiting() -> int:
    """How many nobody has looked at."""
    return EmergencyAccess.objects.open_to_review().count()


def _list(request: HttpRequest, principal: Principal) -> HttpResponse:
    found = EmergencyAccess.objects.select_related("user", "reviewed_by").order_by("-started_at", "-pk")
    context = {
        "waiting": [_row(each, principal) for each in found.open_to_review()[:LISTED]],
        "rows": [_row(each, principal) for each in found.exclude(verdict="")[:LISTED]],
        "may_change": True,
    }
    return show(request, "emergencies.html", "emergency accesses", context)


def _page(request: HttpRequest, principal: Principal, access: UUID, form: Judgement | None) -> HttpResponse:
    asked = EmergencyAccess.objects.select_related("user", "reviewed_by", "patient")
    found = asked.filter(external_id=access).first()
    if found is None:
        raise Http404
    opened = _opened(found)
    studies = sorted({uid for each in opened for uid in each.study_uids})
    query = f"what was done under emergency access {access}"
    record([event(request, READ_TRAIL, principal, rule=RULE, study_uids=studies, query=query)])
    context = {
        "row": _row(found, principal),
        "patient": found.patient,
        "opened": opened,
        "all_shown": len(opened) < EVENTS_SHOWN,
        "verdicts": Verdict.choices,
        "form": form or Judgement(initial={"id": access}),
        "may_change": True,
    }
    return show(
        request,
        "emergency.html",
        f"emergency access {access}",
        context,
        status=400 if form else 200,
        study_uids=list(found.studies.values_list("study_instance_uid", flat=True)[:LISTED]),
    )


def _judge(request: HttpRequest, principal: Principal) -> HttpResponse:
    form = Judgement(request.POST)
    if not form.is_valid():
        if "id" in form.errors:
            raise Http404
        return _page(request, principal, form.cleaned_data["id"], form)
    given = form.cleaned_data
    found = EmergencyAccess.objects.select_related("user", "patient").filter(external_id=given["id"]).first()
    if found is None:
        raise Http404
    try:
        said = review(found, Verdict(given["verdict"]), given["comment"], Acting(request, principal))
    except NotForOneself:
        messages.error(request, OWN)
    else:
        if said:
            messages.success(request, f"Marked as {Verdict(given['verdict']).label.lower()}.")
        else:
            messages.error(request, SAID)
    return HttpResponseRedirect(reverse("administration-emergencies"))


def _row(found: EmergencyAccess, principal: Principal) -> EmergencyRow:
    return EmergencyRow(
        id=found.external_id,
        person=found.user.username,
        reason=found.reason,
        began=found.started_at,
        ended=found.ended_at,
        until=found.expires_at,
        open=found.ended_at is None and found.expires_at > timezone.now(),
        verdict=Verdict(found.verdict).label if found.verdict else "",
        reviewed_by=found.reviewed_by.username if found.reviewed_by else "",
        comment=found.comment,
        own=principal.id == str(found.user.external_id),
    )


def _opened(found: EmergencyAccess) -> list[Opened]:
    """What its events say, the oldest first."""
    of_person = AccessEvent.objects.filter(principal_id=str(found.user.external_id))
    events = of_person.filter(rule=f"emergency:{found.external_id}", recorded_at__gte=found.started_at)
    return [
        Opened(
            each.recorded_at, _WORDS.get(each.kind, KINDS[each.kind].event_name), each.study_uids, each.instance_count
        )
        for each in events.order_by("sequence")[:EVENTS_SHOWN]
    ]
