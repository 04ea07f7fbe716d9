"""The accounting of disclosures as a page and as a file."""

import secrets
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from access.middleware import problem
from access.principal import Principal
from trail.disclosures import COLUMNS, YEARS, Disclosure, disclosures, lines
from trail.door import for_auditors, write_down
from trail.exports import csv_answer, csv_lines
from trail.pages import open_alerts

KEPT: Final = 20
_SESSION: Final = "trail_patients"


class WhoseForm(forms.Form):
    """Whose disclosures: a Patient ID, and its issuer where one ID has several."""

    patient = forms.CharField(max_length=64)
    issuer = forms.CharField(max_length=64, required=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, and the answer."""

    form: WhoseForm
    rows: list[Disclosure] | None


@require_http_methods(["GET", "HEAD", "POST"])
@for_auditors
def page(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The accounting of one patient. Who is posted is kept in the session."""
    if request.method == "POST":
        return HttpResponseRedirect(f"{reverse('trail-disclosures')}?{_keep(request)}")
    found = _answered(request, principal, "as a page")
    context = {
        "form": found.form,
        "rows": found.rows,
        "query": urlencode({name: request.GET[name] for name in request.GET if name in ("asked", "patient", "issuer")}),
        "years": YEARS,
        "made_at": timezone.now(),
        "open_alerts": open_alerts(),
    }
    bad = found.form.is_bound and found.rows is None
    return render(request, "trail/disclosures.html", context, status=400 if bad else 200)


@require_safe
@for_auditors
def as_csv(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """The same as a file."""
    found = _answered(request, principal, "as CSV")
    if found.rows is None:
        return problem(400, "Bad request", "bad-request", "whose disclosures? Give a patient's ID")
    return csv_answer(csv_lines(COLUMNS, lines(found.rows)), "disclosures.csv")


def _answered(request: HttpRequest, principal: Principal, how: str) -> Asked:
    kept = request.session.get(_SESSION, {}).get(request.GET.get("asked", ""))
    given = kept or {name: request.GET[name] for name in WhoseForm.base_fields if request.GET.get(name)}
    form = WhoseForm(given or None)
    if not form.is_valid():
        return Asked(form, None)
    patient, issuer = form.cleaned_data["patient"], form.cleaned_data["issuer"]
    rows = disclosures(patient, issuer)
    asked = f"disclosures of patient={patient}" + (f"&issuer={issuer}" if issuer else "")
    write_down(request, principal, asked, shown=len(rows), text=f"accounting of disclosures {how}")
    return Asked(form, rows)


def _keep(request: HttpRequest) -> str:
    given = {name: request.POST[name][:64] for name in WhoseForm.base_fields if request.POST.get(name)}
    kept = request.session.get(_SESSION, {})
    key = secrets.token_urlsafe(8)
    request.session[_SESSION] = dict([*kept.items(), (key, given)][-KEPT:])
    return urlencode({"asked": key})
