"""The trail in pages: who opened this study, what did this person do, what happened when."""

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from access.principal import Principal
from audit.bounded import bounded
from audit.models import AccessEvent, Alert
from trail.criteria import Criteria, address_query, asked, keep, page_start
from trail.door import for_auditors, write_down
from trail.filters import Filter
from trail.groups import GROUPS
from trail.rows import Day, days

PAGE_SIZE: Final = 100
TOO_LONG: Final = "That takes too long. Ask about a shorter time, or about one study or person."


@dataclass(frozen=True, slots=True)
class Page:
    """One page of events as rows; ``older`` is where the next one begins, None at the end."""

    days: list[Day]
    shown: int
    newest: int
    older: int | None


@require_http_methods(["GET", "HEAD", "POST"])
@for_auditors
def timeline(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The events that match, newest first. A question is posted and kept in the session."""
    if request.method == "POST":
        query = keep(request)
        return HttpResponseRedirect(f"{reverse('trail')}?{query}" if query else reverse("trail"))
    form = Criteria(asked(request))
    return show(request, principal, form, {})


def show(
    request: HttpRequest, principal: Principal, form: Criteria, more: dict[str, Any], after: int = 0
) -> HttpResponse:
    """The page of what ``form`` asks for; ``more`` is for the template."""
    page, failed = None, ""
    if form.is_valid():
        wanted = form.filter(after=after)
        before = page_start(request)
        try:
            with bounded(statement_seconds=settings.PACS.limits.search_seconds):
                page = one_page(wanted, before)
        except OperationalError as error:
            if "statement timeout" not in str(error):
                raise
            failed = TOO_LONG
        write_down(request, principal, wanted.words(), shown=page.shown if page else 0)
    context = {
        "form": form,
        "page": page,
        "failed": failed,
        "groups": GROUPS,
        "asking": bool(form.data),
        "query": address_query(request),
        "first": page_start(request) is None,
        "open_alerts": open_alerts(),
        **more,
    }
    return render(request, "trail/timeline.html", context, status=200 if page else 503 if failed else 400)


def one_page(wanted: Filter, before: int | None) -> Page:
    """A page of events: one query for them, and those that the filter and the names of the studies take."""
    found: list[AccessEvent] = wanted.newest(PAGE_SIZE + 1, before=before)
    shown = found[:PAGE_SIZE]
    return Page(
        days=days(shown),
        shown=len(shown),
        newest=shown[0].pk if shown else 0,
        older=shown[-1].pk if len(found) > PAGE_SIZE else None,
    )


def open_alerts() -> int:
    """How many alerts nobody has looked at yet; 100 stands for more."""
    return Alert.objects.filter(seen_at__isnull=True)[:100].count()
