"""Access reviews: all accounts with what they may, and campaigns in which somebody decides on each before a day."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.account_report import Account, accounts
from access.models import ReviewCampaign, ReviewRow
from access.refused_change import RefusedChange
from access.report_csv import table
from access.review_models import Decision
from access.reviews import campaigns, decide, is_overdue, lines, start
from access.step_up import require_recent
from access.trail import event
from administration.door import RULE, looking, managing, show
from administration.sentences import sentence
from administration.words import titles
from audit.kinds import SEARCH
from audit.record import record

DAYS: Final = 14
LISTED: Final = 50
DONE: Final = {Decision.KEEP: "Kept.", Decision.REVOKE: "Taken away.", Decision.SWITCH_OFF: "Switched off."}


class NewReview(forms.Form):
    """What the form for a new review asks for."""

    title = forms.CharField(max_length=100)
    due = forms.DateField()

    def clean_due(self) -> object:
        """A day to come."""
        due = self.cleaned_data["due"]
        if due < timezone.localdate():
            raise forms.ValidationError("This day is over.")
        return due


@require_http_methods(["GET", "HEAD"])
def reviews_list(request: HttpRequest) -> HttpResponse:
    """The campaigns, and all accounts as they are now."""
    looking(request)
    found = accounts()
    named = _titles(found)
    context = {
        "campaigns": [(each, is_overdue(each)) for each in campaigns()[:LISTED]],
        "accounts": [(each, [named[role.name] for role in each.roles]) for each in found],
    }
    return show(request, "reviews.html", "access review", context)


@require_safe
def table_of_accounts(request: HttpRequest) -> HttpResponse:
    """All accounts as CSV."""
    principal = looking(request)
    text = table(accounts())
    record([event(request, SEARCH, principal, rule=RULE, query="access review as CSV")])
    response = HttpResponse(text, content_type="text/csv; charset=utf-8", headers={"Cache-Control": "no-store"})
    response["Content-Disposition"] = 'attachment; filename="access-review.csv"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new campaign; a POST starts it."""
    by = managing(request)
    form = NewReview(
        request.POST if request.method == "POST" else None,
        initial={"due": timezone.localdate() + timedelta(days=DAYS), "title": f"{timezone.localdate():%B %Y}"},
    )
    if form.is_bound and form.is_valid():
        campaign = start(form.cleaned_data["title"], form.cleaned_data["due"], by=by)
        return HttpResponseRedirect(reverse("administration-review", args=[campaign.external_id]))
    status = 400 if form.is_bound else 200
    return show(request, "review_new.html", "the form for an access review", {"form": form}, status=status)


@require_safe
def review(request: HttpRequest, campaign: UUID) -> HttpResponse:
    """One campaign: each account as it is now, and what was decided of it."""
    principal = looking(request)
    found = _campaign(campaign)
    rows = lines(found)
    named = _titles(line.account for line in rows)
    context = {
        "campaign": found,
        "overdue": is_overdue(found),
        "left": sum(1 for line in rows if not line.row.decision),
        "rows": [
            (line, [(role.name, named[role.name]) for role in line.account.roles], str(line.account.id) == principal.id)
            for line in rows
        ],
    }
    return show(request, "review.html", f"access review {campaign}", context)


@require_POST
def decided(request: HttpRequest, campaign: UUID, account: UUID) -> HttpResponse:
    """What becomes of one account; back to the campaign."""
    by = managing(request)
    require_recent(request)
    found = _campaign(campaign)
    rows = found.rows.select_related("user", "client")
    row: ReviewRow | None = rows.filter(user__external_id=account).first()
    row = row or rows.filter(client__external_id=account).first()
    said = request.POST.get("decision", "")
    if row is None or said not in Decision.values:
        raise Http404
    try:
        decide(row, Decision(said), revoked=request.POST.getlist("roles"), by=by)
    except RefusedChange as error:
        messages.error(request, sentence(str(error)))
    else:
        messages.success(request, DONE[Decision(said)])
    return HttpResponseRedirect(reverse("administration-review", args=[campaign]))


def overdue() -> int:
    """How many campaigns are not over after their last day."""
    return sum(1 for campaign in ReviewCampaign.objects.filter(ended_at__isnull=True) if is_overdue(campaign))


def _campaign(external_id: UUID) -> ReviewCampaign:
    found = campaigns().filter(external_id=external_id).first()
    if found is None:
        raise Http404
    return found


def _titles(found: Iterable[Account]) -> dict[str, str]:
    """The title of each role that one of these accounts has, by its name."""
    names = sorted({role.name for account in found for role in account.roles})
    return dict(zip(names, titles(names), strict=True))
