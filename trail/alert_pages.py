"""The alerts: what the rules found, who has looked at it, and what they said."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from access.principal import Principal
from audit.kinds import TRAIL_REVIEWED
from audit.models import Alert
from audit.raising import TITLES
from trail.criteria import page_start
from trail.door import for_auditors, write_down
from trail.pages import open_alerts
from trail.rules import BY_NAME

PAGE_SIZE: Final = 50


class SeenForm(forms.Form):
    """What somebody says of an alert."""

    comment = forms.CharField(max_length=2_000)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert as the list shows it; ``events`` is the query of the page with what it is about."""

    alert: Alert
    title: str
    who: str
    events: str


@require_safe
@for_auditors
def page(request: HttpRequest, principal: Principal) -> HttpResponse:
    """Those that nobody has looked at, newest first; or with ``?seen=1`` those that somebody has."""
    seen = request.GET.get("seen") == "1"
    found = Alert.objects.filter(seen_at__isnull=not seen).order_by("-id")
    before = page_start(request)
    if before is not None:
        found = found.filter(pk__lt=before)
    shown = list(found[: PAGE_SIZE + 1])
    rows = [_row(alert) for alert in shown[:PAGE_SIZE]]
    write_down(request, principal, "alerts", shown=len(rows))
    context = {
        "rows": rows,
        "seen": seen,
        "older": rows[-1].alert.pk if len(shown) > PAGE_SIZE else None,
        "open_alerts": open_alerts(),
    }
    return render(request, "trail/alerts.html", context)


@require_POST
@for_auditors
def look_at(request: HttpRequest, principal: Principal, alert: int) -> HttpResponse:
    """Note who looked at an alert and what they say; the first one counts. 404 for one that is not there."""
    form = SeenForm(request.POST)
    found = Alert.objects.filter(pk=alert)
    if not found.exists():
        raise Http404
    if form.is_valid():
        with transaction.atomic():
            noted = found.filter(seen_at__isnull=True).update(
                seen_at=timezone.now(),
                seen_by=principal.name,
                seen_by_id=principal.id,
                comment=form.cleaned_data["comment"],
            )
            if noted:
                text = f"alert {alert}: {form.cleaned_data['comment']}"
                write_down(request, principal, "", shown=1, kind=TRAIL_REVIEWED, text=text)
    return HttpResponseRedirect(reverse("trail-alerts"))


def _row(alert: Alert) -> AlertRow:
    rule = BY_NAME.get(alert.rule)
    who = alert.principal_id or alert.source_ip or ""
    asked = {
        "who": who,
        "since": f"{alert.since:%Y-%m-%dT%H:%M:%S}",
        "until": f"{alert.until.replace(microsecond=0) + _SECOND:%Y-%m-%dT%H:%M:%S}",
    }
    return AlertRow(
        alert,
        rule.title if rule else TITLES.get(alert.rule, alert.rule),
        alert.principal_name or alert.source_ip or "somebody unknown",
        urlencode({name: value for name, value in asked.items() if value}),
    )


_SECOND: Final = timedelta(seconds=1)
