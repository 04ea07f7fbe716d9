"""Marks: which studies and patients are closed, the form for another, and the end of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.grants import study_of
from access.marking import MOST_REASON, patient_called, restrict, unrestrict
from access.models import Restriction
from access.people import Unknown
from access.restriction_models import Mark
from access.step_up import require_recent
from administration.days import end_of
from administration.door import looking, managing, show
from administration.reach_form import ReachForm
from administration.sentences import sentence

LISTED: Final = 200
MARK_WORDS: Final = (
    (Mark.VIP, "A person whom many would like to look up: family, colleagues, the well-known."),
    (Mark.RESTRICTED, "Nobody is to see it who isn't named: a dispute, a request of the patient."),
    (
        Mark.CONSENT_WITHDRAWN,
        "The patient has withdrawn consent: grants don't count either, an emergency alone opens it.",
    ),
)


class NewRestriction(ReachForm):
    """What the form for a new mark asks for. Field names are those of the page."""

    mark = forms.ChoiceField(choices=Mark.choices)
    reason = forms.CharField(max_length=MOST_REASON)


@dataclass(frozen=True, slots=True)
class RestrictionRow:
    """A mark as the list shows it."""

    id: int
    mark: str
    patient: str
    study_uid: str
    reason: str
    set_by: str
    set_at: datetime
    until: datetime | None


@require_safe
def restrictions_list(request: HttpRequest) -> HttpResponse:
    """What is closed now, the newest first."""
    looking(request)
    found = Restriction.objects.active().select_related("patient", "set_by").order_by("-set_at", "-pk")[: LISTED + 1]
    rows = [_row(each) for each in found]
    context = {"rows": rows[:LISTED], "more": len(rows) > LISTED}
    studies = [row.study_uid for row in rows if row.study_uid]
    return show(request, "restrictions.html", "restricted studies and patients", context, study_uids=studies)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new mark; a POST sets it."""
    by = managing(request)
    require_recent(request)
    form = NewRestriction(
        request.POST if request.method == "POST" else None, initial={"mark": Mark.VIP, "reach": "patient"}
    )
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            target = (
                study_of(given["study"])
                if given["reach"] == "study"
                else patient_called(given["patient_id"], given["issuer"])
            )
        except Unknown as error:
            form.add_error("study" if given["reach"] == "study" else "patient_id", sentence(str(error)))
        else:
            until = end_of(given["until"]) if given["until"] else None
            made = restrict(target, Mark(given["mark"]), given["reason"], until, by=by)
            ended = f" {made.links_ended} share links to it have ended." if made.links_ended else ""
            messages.success(request, f"Marked.{ended}")
            return HttpResponseRedirect(reverse("administration-restrictions"))
    status = 400 if form.is_bound else 200
    context = {"form": form, "marks": [(mark.value, mark.label, words) for mark, words in MARK_WORDS]}
    return show(request, "restriction_new.html", "the form for a restriction", context, status=status)


@require_POST
def end(request: HttpRequest) -> HttpResponse:
    """Take a mark away, from the next request on; back to the list."""
    by = managing(request)
    require_recent(request)
    text = request.POST.get("id", "")
    pk = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
    found = Restriction.objects.select_related("patient").filter(pk=pk).first()
    if found is None:
        raise Http404
    taken = unrestrict(found, by=by)
    messages.success(request, "The restriction is taken away." if taken else "It was taken away before.")
    return HttpResponseRedirect(reverse("administration-restrictions"))


def _row(found: Restriction) -> RestrictionRow:
    patient = found.patient
    named = [part for part in (patient.patient_id, patient.issuer_of_patient_id) if part] if patient else []
    return RestrictionRow(
        id=found.pk,
        mark=Mark(found.mark).label,
        patient=f"patient {' · '.join(named)}" if named else "a patient without ID" if patient else "",
        study_uid=found.study_instance_uid,
        reason=found.reason,
        set_by=found.set_by.username if found.set_by else "command line",
        set_at=found.set_at,
        until=found.until,
    )
