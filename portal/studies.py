"""The study list: what one may see, newest first, a page at a time."""

import secrets
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from access import policy
from access.authentication import principal_of
from access.navigation import first_page
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.locate import is_unlimited
from archive.models import Study
from archive.names import fold
from archive.part_counts import count_parts
from archive.part_modalities import with_modalities
from audit.bounded import bounded
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from portal.emergency import open_now
from portal.rows import PATIENT_NAME, StudyRow, study_row
from reports.visible import statuses

PAGE_SIZE = 25
LAST_PAGE = 4_000
KEPT_SEARCHES = 10
MODALITIES = ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PT", "RF", "SC", "SM", "SR", "US", "XA")


class Criteria(forms.Form):
    """What can be searched for. Field names are those of the page."""

    patient = forms.CharField(required=False, max_length=64)
    accession = forms.CharField(required=False, max_length=16)
    modality = forms.CharField(required=False, max_length=16)
    date_from = forms.DateField(required=False)
    date_to = forms.DateField(required=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows; ``more`` if another follows."""

    rows: list[StudyRow]
    number: int
    more: bool


@require_http_methods(["GET", "HEAD", "POST"])
def study_list(request: HttpRequest) -> HttpResponse:
    """The list. A search is posted and kept in the session, so that no patient's name stands in an address."""
    principal = principal_of(request)
    if not policy.may(principal, Permission.SEARCH):
        if request.method != "POST" and principal.kind == "person" and (other := first_page(principal)):
            return HttpResponseRedirect(reverse(other))
        record([event(request, REFUSED, principal, decision="deny", rule="search", outcome=Outcome.MINOR_FAILURE)])
        raise PermissionDenied
    if request.method == "POST":
        return HttpResponseRedirect(_keep(request))
    form = Criteria(_kept(request))
    valid = form.is_valid()
    asked = {name: value for name, value in form.cleaned_data.items() if value} if valid else {}
    number = _page_number(request)
    withheld = policy.withheld(principal, Permission.SEARCH)
    visible = policy.visible_studies(principal, Permission.SEARCH)
    studies = matching(visible, asked, withheld) if valid else Study.objects.none()
    with bounded(statement_seconds=settings.PACS.limits.search_seconds):
        page = one_page(studies, number, withheld, principal)
    record(
        [
            event(
                request,
                SEARCH,
                principal,
                rule="search",
                query="&".join(f"{name}={value}" for name, value in asked.items()),
                instance_count=0,
            )
        ]
    )
    context = {
        "form": form,
        "page": page,
        "asked": bool(asked) or not valid,
        "search": request.GET.get("search", ""),
        "modalities": MODALITIES,
        "pictures": policy.may(principal, Permission.RETRIEVE),
        "may_share": policy.may_share(principal),
        "shareable": _shareable(principal, page),
        "principal": principal,
        "emergencies": open_now(principal),
        "may_break_glass": policy.may_break_glass(principal),
    }
    return render(request, "portal/studies.html", context)


def matching(
    studies: QuerySet[Study], asked: dict[str, Any], withheld: frozenset[str] = frozenset()
) -> QuerySet[Study]:
    """``studies`` that match every criterion given. A patient is found by words of the name or the start of the ID.

    Whoever is not shown names finds by the ID alone.
    """
    if (patient := asked.get("patient")) and PATIENT_NAME in withheld:
        studies = studies.filter(patient__patient_id__startswith=patient)
    elif patient:
        by_name = Q()
        for word in fold(patient.replace(",", " ").replace("^", " ")).split():
            by_name &= Q(patient__patient_name_key__contains=word)
        studies = studies.filter(by_name | Q(patient__patient_id__startswith=patient))
    if accession := asked.get("accession"):
        studies = studies.filter(accession_number=accession)
    if modality := asked.get("modality"):
        studies = with_modalities(studies, studies, "pk", lambda path: Q(**{f"{path}__contains": [modality.upper()]}))
    if date_from := asked.get("date_from"):
        studies = studies.filter(study_date__gte=f"{date_from:%Y%m%d}")
    if date_to := asked.get("date_to"):
        studies = studies.filter(study_date__lte=f"{date_to:%Y%m%d}").exclude(study_date="")
    return studies


def one_page(
    studies: QuerySet[Study],
    number: int,
    withheld: frozenset[str] = frozenset(),
    reader: Principal | None = None,
) -> Page:
    """Page ``number`` from 1, newest study first, in one query, or two where studies can be reached in part.

    One more, if there are any reports, marks those studies that have one for the ``reader``.
    """
    start = (number - 1) * PAGE_SIZE
    ordered = studies.select_related("patient").order_by("-study_date", "-study_time", "-id")
    found = list(ordered[start : start + PAGE_SIZE + 1])
    count_parts(found, studies)
    shown = found[:PAGE_SIZE]
    reports = statuses(reader, [study.pk for study in shown]) if reader is not None else {}
    rows = [study_row(study, withheld, reports.get(study.pk)) for study in shown]
    return Page(rows, number, len(found) > PAGE_SIZE)


def _shareable(principal: Principal, page: Page) -> frozenset[str]:
    """Which studies of the page may be shared."""
    uids = [row.uid for row in page.rows]
    shareable = policy.shareable_studies(principal)
    if is_unlimited(shareable):
        return frozenset(uids)
    return frozenset(shareable.filter(study_instance_uid__in=uids).values_list("study_instance_uid", flat=True))


def _page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return min(max(int(text), 1), LAST_PAGE) if text.isascii() and text.isdigit() and len(text) < 8 else 1


def _keep(request: HttpRequest) -> str:
    """Keep the posted criteria in the session; the address of their result."""
    asked = {name: request.POST[name][:64] for name in Criteria.base_fields if request.POST.get(name)}
    if not asked:
        return reverse("study-list")
    searches = request.session.get("searches", {})
    key = secrets.token_urlsafe(8)
    request.session["searches"] = dict([*searches.items(), (key, asked)][-KEPT_SEARCHES:])
    return f"{reverse('study-list')}?search={key}"


def _kept(request: HttpRequest) -> dict[str, str]:
    kept: dict[str, str] = request.session.get("searches", {}).get(request.GET.get("search", ""), {})
    return kept
