"""Saved reviews: a question with a name, asked again and again, and up to where it was answered, by whom."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django import forms
from django.conf import settings
from django.db import OperationalError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from access.principal import Principal
from audit.bounded import bounded
from audit.kinds import TRAIL_REVIEWED
from audit.models import AccessEvent, SavedReview
from trail.criteria import Criteria
from trail.door import for_auditors, write_down
from trail.filters import Filter
from trail.groups import GROUPS
from trail.pages import open_alerts, show

MOST: Final = 50
MOST_COUNTED: Final = 1_000


class NameForm(forms.Form):
    """A name for a question."""

    name = forms.CharField(max_length=100)


class ReviewedForm(forms.Form):
    """Up to which event, and what was seen."""

    to = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    comment = forms.CharField(max_length=2_000, required=False)


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A saved review as the list shows it; ``new`` is None where counting took too long."""

    review: SavedReview
    asked: str
    new: int | None
    more: bool


@require_http_methods(["GET", "HEAD", "POST"])
@for_auditors
def page(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The list, each with what is new since it was answered; a POST saves the question that came with it."""
    error = _save(request, principal) if request.method == "POST" else ""
    if request.method == "POST" and not error:
        return HttpResponseRedirect(reverse("trail-reviews"))
    rows = [_row(review) for review in SavedReview.objects.order_by("name")[:MOST]]
    write_down(request, principal, "saved reviews", shown=len(rows))
    context = {"rows": rows, "error": error, "most": MOST_COUNTED, "open_alerts": open_alerts()}
    return render(request, "trail/reviews.html", context, status=400 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_auditors
def one(request: HttpRequest, principal: Principal, review: UUID) -> HttpResponse:
    """What is new under a saved question; a POST notes up to where it was answered. 404 for one that is not there."""
    found = SavedReview.objects.filter(external_id=review).first()
    if found is None:
        raise Http404
    if request.method == "POST":
        return _reviewed(request, principal, found)
    everything = request.GET.get("all") == "1"
    more: dict[str, Any] = {"review": found, "everything": everything}
    return show(request, principal, Criteria(found.asked), more, after=0 if everything else found.reviewed_to)


@require_POST
@for_auditors
def remove(request: HttpRequest, principal: Principal, review: UUID) -> HttpResponse:
    """Forget a saved question; the trail remembers that there was one."""
    with transaction.atomic():
        found = SavedReview.objects.filter(external_id=review).first()
        if found is not None:
            found.delete()
            write_down(request, principal, "", kind=TRAIL_REVIEWED, text=f"saved review removed: {found.name}")
    return HttpResponseRedirect(reverse("trail-reviews"))


def _save(request: HttpRequest, principal: Principal) -> str:
    """Save what was posted; "" or what is wrong with it."""
    named, form = NameForm(request.POST), Criteria(request.POST)
    if not named.is_valid():
        return "Give the question a name of at most 100 characters."
    if not form.is_valid():
        return "This question can't be asked."
    name = named.cleaned_data["name"]
    asked = {field: request.POST[field][:200] for field in Criteria.base_fields if request.POST.get(field)}
    with transaction.atomic():
        if SavedReview.objects.count() >= MOST:
            return f"There are {MOST} saved reviews. Remove one first."
        _, made = SavedReview.objects.get_or_create(name=name, defaults={"asked": asked, "made_by": principal.name})
        if not made:
            return "There is a saved review of this name already."
        write_down(request, principal, form.filter().words(), kind=TRAIL_REVIEWED, text=f"review saved: {name}")
    return ""


def _reviewed(request: HttpRequest, principal: Principal, review: SavedReview) -> HttpResponse:
    form = ReviewedForm(request.POST)
    # Up to what is there: nobody says beforehand that they have seen what is still to come.
    if form.is_valid() and AccessEvent.objects.filter(pk=form.cleaned_data["to"]).exists():
        to, comment = form.cleaned_data["to"], form.cleaned_data["comment"]
        with transaction.atomic():
            # Never backwards: two who review at once both did what they did.
            moved = SavedReview.objects.filter(pk=review.pk, reviewed_to__lt=to).update(
                reviewed_to=to, reviewed_at=timezone.now(), reviewed_by=principal.name, comment=comment
            )
            if moved:
                text = f"review {review.name}: reviewed up to event {to}" + (f": {comment}" if comment else "")
                asked = _filter(review)
                write_down(request, principal, asked.words() if asked else "", kind=TRAIL_REVIEWED, text=text)
    return HttpResponseRedirect(reverse("trail-reviews"))


def _filter(review: SavedReview, after: int = 0) -> Filter | None:
    form = Criteria(review.asked)
    return form.filter(after=after) if form.is_valid() else None


def _row(review: SavedReview) -> ReviewRow:
    wanted = _filter(review, after=review.reviewed_to)
    new: int | None = None
    if wanted is not None:
        try:
            with bounded(statement_seconds=settings.PACS.limits.search_seconds):
                new = wanted.events()[: MOST_COUNTED + 1].count()
        except OperationalError:
            new = None
    return ReviewRow(
        review,
        _in_words(review.asked),
        min(new, MOST_COUNTED) if new is not None else None,
        new is not None and new > MOST_COUNTED,
    )


def _in_words(asked: dict[str, str]) -> str:
    """What is asked, for people."""
    group = GROUPS.get(asked.get("group", ""))
    parts = [
        group.title if group else "Anything",
        asked.get("who") and f"by {asked['who']}",
        asked.get("subject") and f"about {asked['subject']}",
        asked.get("since") and f"from {asked['since'].replace('T', ' ')}",
        asked.get("until") and f"to {asked['until'].replace('T', ' ')}",
        asked.get("refused") and "failed or refused only",
    ]
    return ", ".join(part for part in parts if part)
