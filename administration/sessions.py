"""Everybody's open sessions, and the end of each."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from access.people import described
from access.session_models import PersonSession
from access.sessions_of import end_session, open_sessions
from administration.door import looking, managing, show
from audit.kinds import USER_CHANGED
from audit.record import record

LISTED: Final = 200


@require_safe
def sessions_list(request: HttpRequest) -> HttpResponse:
    """The open sessions, the one seen last first."""
    looking(request)
    found = list(open_sessions()[: LISTED + 1])
    context = {"sessions": found[:LISTED], "more": len(found) > LISTED}
    return show(request, "sessions.html", "open sessions", context)


@require_POST
def end(request: HttpRequest, session: UUID) -> HttpResponse:
    """End a session, from the next request on; back to where the button was."""
    by = managing(request)
    found = PersonSession.objects.select_related("user").filter(pk=session).first()
    if found is None:
        raise Http404
    with transaction.atomic():
        end_session(session)
        record([by.event(USER_CHANGED, f"{described(found.user)}: session {session} ended")])
    messages.success(request, f"A session of {found.user.username} has ended.")
    if request.POST.get("back") == "person":
        return HttpResponseRedirect(reverse("administration-person", args=[found.user.external_id]))
    return HttpResponseRedirect(reverse("administration-sessions"))
