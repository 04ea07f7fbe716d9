"""What was deleted: what can still be brought back, and the certificates of what was removed for good."""

from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from access.step_up import require_recent
from administration.door import looking, managing, show
from archive.errors import NotFound
from custody.retention.bringing_back import ask, in_window
from custody.retention.certifying import document
from custody.retention.models import Certificate

LISTED: Final = 100


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Both lists, the newest first."""
    looking(request)
    window = in_window(limit=LISTED + 1)
    certificates = list(Certificate.objects.order_by("-removed_at", "-pk")[:LISTED])
    context = {"window": window[:LISTED], "more": len(window) > LISTED, "certificates": certificates}
    uids = [row.study_instance_uid for row in window[:LISTED]] + [each.study_instance_uid for each in certificates]
    return show(request, "deleted.html", "deleted studies", context, study_uids=sorted(set(uids)))


@require_POST
def bring_back(request: HttpRequest) -> HttpResponse:
    """Let a worker bring back what was deleted of a study."""
    by = managing(request)
    require_recent(request)
    try:
        ask(request.POST.get("study", ""), by=by)
    except NotFound as error:
        raise Http404 from error
    messages.success(request, "It is being brought back.")
    return HttpResponseRedirect(reverse("administration-deleted"))


@require_safe
def certificate(request: HttpRequest, certificate_id: int) -> HttpResponse:
    """One certificate, to be read and printed."""
    looking(request)
    found = Certificate.objects.filter(pk=certificate_id).first()
    if found is None:
        raise Http404
    context = {"certificate": found, "document": document(found)}
    uids = [found.study_instance_uid]
    return show(request, "certificate.html", f"certificate of removal {found.pk}", context, study_uids=uids)
