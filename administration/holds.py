"""Legal holds: what must not be removed, the form for another hold, and the end of each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from access import policy
from access.authentication import principal_of
from access.marking import patient_called
from access.people import Unknown
from access.roles import Permission
from access.step_up import require_recent
from administration.days import end_of
from administration.door import looking, managing, show
from administration.reach_form import ReachForm
from administration.sentences import sentence
from archive.models import LegalHold
from custody.retention.holding import MOST_REASON, place, release

LISTED: Final = 200


class NewHold(ReachForm):
    """What the form for a new hold asks for. Field names are those of the page."""

    reason = forms.CharField(max_length=MOST_REASON)


class Release(forms.Form):
    """Why a hold ends."""

    reason = forms.CharField(max_length=MOST_REASON)


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as lists show it; ``stands`` while it holds something."""

    id: int
    what: str
    study_uid: str
    reason: str
    placed_by: str
    placed_at: datetime
    until: datetime | None
    stands: bool
    ended: str


def holds(*, standing: bool) -> QuerySet[LegalHold]:
    """Holds that stand, or all there ever were; the newest first."""
    rows = LegalHold.objects.active() if standing else LegalHold.objects.all()
    return rows.select_related("patient").order_by("-placed_at", "-pk")


def row_of(hold: LegalHold) -> HoldRow:
    """A hold as lists show it."""
    patient = hold.patient
    named = [part for part in (patient.patient_id, patient.issuer_of_patient_id) if part] if patient else []
    over = hold.until is not None and hold.until <= timezone.now()
    ended = f"released by {hold.released_by}: {hold.release_reason}" if hold.released_at else "its time is over"
    return HoldRow(
        id=hold.pk,
        what=f"patient {' · '.join(named)}" if named else "a patient without ID" if patient else "one study",
        study_uid=hold.study_instance_uid,
        reason=hold.reason,
        placed_by=hold.placed_by,
        placed_at=hold.placed_at,
        until=hold.until,
        stands=hold.released_at is None and not over,
        ended=ended if hold.released_at or over else "",
    )


@require_safe
def holds_list(request: HttpRequest) -> HttpResponse:
    """What is held now, the newest first; with ``?all`` what was held before as well."""
    looking(request, Permission.HOLD)
    standing = "all" not in request.GET
    rows = [row_of(each) for each in holds(standing=standing)[: LISTED + 1]]
    context = {"rows": rows[:LISTED], "more": len(rows) > LISTED, "standing": standing, "may_change": _may(request)}
    studies = [row.study_uid for row in rows if row.study_uid]
    return show(request, "holds.html", "legal holds", context, study_uids=studies)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new hold; a POST places it."""
    by = managing(request, Permission.HOLD)
    require_recent(request)
    form = NewHold(request.POST if request.method == "POST" else None, initial={"reach": "patient"})
    if form.is_bound and form.is_valid():
        given = form.cleaned_data
        try:
            target = (
                given["study"] if given["reach"] == "study" else patient_called(given["patient_id"], given["issuer"])
            )
        except Unknown as error:
            form.add_error("patient_id", sentence(str(error)))
        else:
            made = place(target, given["reason"], end_of(given["until"]) if given["until"] else None, by=by)
            deleted = f", and {made.deleted_instances} deleted instances" if made.deleted_instances else ""
            messages.success(request, f"Held: {made.studies} studies{deleted}.")
            return HttpResponseRedirect(reverse("administration-holds"))
    context = {"form": form, "may_change": True}
    return show(request, "hold_new.html", "the form for a legal hold", context, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def hold(request: HttpRequest, hold_id: int) -> HttpResponse:
    """One hold; a POST with a reason releases it."""
    by = managing(request, Permission.HOLD) if request.method == "POST" else None
    looking(request, Permission.HOLD)
    found = LegalHold.objects.select_related("patient").filter(pk=hold_id).first()
    if found is None:
        raise Http404
    form = Release(request.POST if by else None)
    if by is not None:
        require_recent(request)
        if form.is_valid():
            ended = release(found, form.cleaned_data["reason"], by=by)
            messages.success(request, "The hold is released." if ended else "It had ended before.")
            return HttpResponseRedirect(reverse("administration-holds"))
    row = row_of(found)
    context = {"row": row, "form": form, "may_change": _may(request)}
    uids = [row.study_uid] if row.study_uid else []
    return show(request, "hold.html", f"legal hold {row.id}", context, status=400 if by else 200, study_uids=uids)


def _may(request: HttpRequest) -> bool:
    return policy.may(principal_of(request), Permission.HOLD)
