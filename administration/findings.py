"""What is wrong with stored objects: the list of findings, and each of them with the form that accepts it."""

from typing import Final

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from access.step_up import require_recent
from administration.door import looking, managing, show
from custody.integrity.findings import MOST_REASON, accept
from custody.integrity.models import Finding, Lap, State

LISTED: Final = 200


class Acceptance(forms.Form):
    """Why a finding stays as it is."""

    reason = forms.CharField(max_length=MOST_REASON)


def findings(*, only_open: bool) -> QuerySet[Finding]:
    """Those that are open, or all there ever were; the newest first."""
    rows = Finding.objects.filter(state=State.OPEN) if only_open else Finding.objects.all()
    return rows.order_by("-last_seen", "-pk")


@require_safe
def findings_list(request: HttpRequest) -> HttpResponse:
    """What is open, the newest first; with ``?all`` what was settled as well."""
    looking(request)
    only_open = "all" not in request.GET
    rows = list(findings(only_open=only_open)[: LISTED + 1])
    context = {
        "rows": rows[:LISTED],
        "more": len(rows) > LISTED,
        "only_open": only_open,
        "walk": Lap.objects.order_by("-pk").first(),
    }
    studies = sorted({row.study_instance_uid for row in rows[:LISTED] if row.study_instance_uid})
    return show(request, "findings.html", "findings about stored objects", context, study_uids=studies)


@require_http_methods(["GET", "HEAD", "POST"])
def finding(request: HttpRequest, finding_id: int) -> HttpResponse:
    """One finding; a POST with a reason accepts it."""
    by = managing(request) if request.method == "POST" else None
    looking(request)
    found = Finding.objects.filter(pk=finding_id).first()
    if found is None:
        raise Http404
    form = Acceptance(request.POST if by else None)
    if by is not None:
        require_recent(request)
        if form.is_valid():
            done = accept(found, form.cleaned_data["reason"], by=by)
            messages.success(request, "The finding is accepted." if done else "It was settled before.")
            return HttpResponseRedirect(reverse("administration-findings"))
    uids = [found.study_instance_uid] if found.study_instance_uid else []
    context = {"row": found, "form": form}
    return show(request, "finding.html", f"finding {found.pk}", context, status=400 if by else 200, study_uids=uids)
