"""Reports for people: with the pictures of the study, or beside the viewer."""

from __future__ import annotations

from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from access import policy
from access.principal import Principal
from access.roles import Permission
from access.trail import event
from archive.errors import ArchiveUnavailable
from archive.models import Study
from audit.kinds import SEARCH
from audit.record import record
from dicom.errors import DicomError
from portal.report_marks import MARKS
from portal.report_panel import panel
from portal.report_rules import (
    file_answer,
    hides_staff,
    reader,
    record_read,
    report_of,
    study_of,
    version_of,
    versions_of,
)
from portal.rows import study_row
from portal.study import series_cards
from reports.models import Report
from reports.paper import draw_page
from reports.visible import reports_near

SHOWN: Final = 50
_LONGEST_NUMBER: Final = 9
# The viewer is allowed beside the text, and shares memory with its workers as it does alone (viewer.headers).
_WITH_VIEWER: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@require_safe
def reports_page(request: HttpRequest, study: str) -> HttpResponse:
    """The newest report about a study, or the one that is asked for, with the pictures of its series."""
    return render(request, "portal/report.html", _context(request, study))


@require_safe
def reading_page(request: HttpRequest, study: str) -> HttpResponse:
    """The same beside the viewer."""
    context = _context(request, study)
    if not context["opens"]:
        raise Http404
    answer = render(request, "portal/reading.html", context)
    for name, value in _WITH_VIEWER.items():
        answer[name] = value
    return answer


@require_safe
def document_page(request: HttpRequest, study: str, report: int, version: int) -> HttpResponse:
    """The pages of a PDF as pictures that we draw: whatever is in it, the reader's browser never opens it."""
    principal = reader(request)
    found = study_of(principal, study)
    one = _of_study(principal, found, report)
    shown = version_of(principal, one, version)
    if shown.pdf is None:
        raise Http404
    number = max(1, _number(request, "page") or 1)
    try:
        count = draw_page(bytes(shown.pdf), number, small=True)[0]
    except (DicomError, ArchiveUnavailable):
        count = 0
    record_read(request, principal, one, f"report {one.pk} version {version} PDF")
    context = {
        "principal": principal,
        "row": study_row(found, policy.withheld(principal, Permission.SEARCH)),
        "report": one.pk,
        "version": version,
        "page": number,
        "count": count,
        "mark": MARKS[shown.status],
    }
    return render(request, "portal/report_document.html", context, status=404 if count and number > count else 200)


@require_safe
def document_picture(request: HttpRequest, study: str, report: int, version: int, page: int) -> HttpResponse:
    """One page of a PDF as image/png."""
    principal = reader(request)
    one = _of_study(principal, study_of(principal, study), report)
    shown = version_of(principal, one, version)
    if shown.pdf is None or page > 10**_LONGEST_NUMBER:
        raise Http404
    try:
        count, picture = draw_page(bytes(shown.pdf), page)
    except DicomError:
        raise Http404 from None
    if not 1 <= page <= count:
        raise Http404
    record_read(request, principal, one, f"report {one.pk} version {version} PDF page {page}", len(picture))
    answer = file_answer(picture, "image/png")
    answer["Content-Disposition"] = "inline"
    return answer


def _context(request: HttpRequest, study: str) -> dict[str, Any]:
    principal = reader(request)
    found = study_of(principal, study)
    reports = list(reports_near(principal, found)[: SHOWN + 1])
    asked = _number(request, "report")
    report = next((each for each in reports if asked in (None, each.pk)), None)
    if report is None and asked is not None:
        raise Http404
    shown = None
    if report is not None:
        version = version_of(principal, report, _number(request, "version"))
        shown = panel(report, version, versions_of(principal, report), staff=not hides_staff(principal))
        record_read(request, principal, report, f"report {report.pk} version {version.number}")
    else:
        record([event(request, SEARCH, principal, query="reports page", study_uids=[study])])
    cards = series_cards(principal, policy.visible_studies(principal, Permission.SEARCH), found)
    return {
        "principal": principal,
        "row": study_row(found, policy.withheld(principal, Permission.SEARCH)),
        "panel": shown,
        "others": [(each.pk, MARKS[each.status], each.updated_at) for each in reports[:SHOWN] if each != report],
        "cards": cards,
        "opens": any(card.pictured for card in cards),
    }


def _of_study(principal: Principal, study: Study, report: int) -> Report:
    """Raises Http404 for a report that isn't about the study."""
    found = report_of(principal, report)
    if not found.about.filter(study=study).exists():
        raise Http404
    return found


def _number(request: HttpRequest, name: str) -> int | None:
    """Raises Http404 for what is no number."""
    text = request.GET.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise Http404
    return int(text)
