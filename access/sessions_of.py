"""The sessions of a person: which there are, and their end.

Ending one removes its row: the next request with its cookie is that of a stranger. Nothing here writes to the trail;
whoever ends a session records it (``USER_CHANGED``).
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access import app_sessions
from access.authentication import digest
from access.models import User
from access.session_models import PersonSession

# In the session: when whoever sits there last proved to be its person (``access.step_up``), and with what.
PROVED_AT: Final = "proved_at"
PROVED_BY: Final = "proved_by"


@dataclass(frozen=True, slots=True)
class LiveSession:
    """A session that is open now. ``seen_at`` is right to a minute; ``token_id`` names the session in the trail."""

    id: UUID
    started_at: datetime
    seen_at: datetime
    source_ip: str
    user_agent: str
    proved_by: str
    token_id: str


def sessions(user: User) -> list[LiveSession]:
    """The person's open sessions, the one seen last first. One query."""
    return [
        LiveSession(
            id=row.id,
            started_at=row.started_at,
            seen_at=row.seen_at,
            source_ip=row.source_ip or "",
            user_agent=row.user_agent,
            proved_by=row.proved_by,
            token_id=row.session_id,
        )
        for row in _open().filter(user=user).select_related("session").order_by("-session__expire_date", "pk")
    ]


def open_sessions(user_ids: list[int] | None = None) -> QuerySet[PersonSession]:
    """The open sessions of these people, or of everybody, with their people; for lists of many."""
    rows = _open() if user_ids is None else _open().filter(user_id__in=user_ids)
    return rows.select_related("user", "session").order_by("-session__expire_date", "pk")


def end_session(session_id: UUID) -> bool:
    """End one session, from the next request on; False if there is none of this id."""
    return bool(Session.objects.filter(of_person__id=session_id).delete()[0])


def end_all(user: User, except_key: str | None = None) -> int:
    """End all sessions of a person, but the one whose key (``request.session.session_key``) is given; how many.

    With them go those that apps have of the person.
    """
    ended = PersonSession.objects.filter(user=user)
    if except_key:
        ended = ended.exclude(session_id=digest(except_key))
    gone = Session.objects.filter(pk__in=ended.values("session_id")).delete()[1].get("sessions.Session", 0)
    return gone + app_sessions.end_of(user)


def remember(sender: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Note whose session this is (receiver of Django's signal, so that no way in can forget it).

    Raises PermissionDenied for somebody who was switched off a moment ago: one of the two waits for the other, so that
    no session is left over that nobody ended.
    """
    with transaction.atomic():
        if User.objects.select_for_update(no_key=True).filter(pk=user.pk, is_active=True).first() is None:
            request.session.flush()
            raise PermissionDenied
        request.session[PROVED_AT] = time.time()
        request.session.save()
        PersonSession.objects.update_or_create(
            session_id=digest(request.session.session_key or ""),
            defaults={
                "user": user,
                "source_ip": getattr(request, "client_address", "") or None,
                "user_agent": request.META.get("HTTP_USER_AGENT", "").replace("\0", "")[:512],
                "proved_by": request.session.get(PROVED_BY, ""),
            },
        )


def listen() -> None:
    """Have ``remember`` called at every sign-in."""
    user_logged_in.connect(remember, dispatch_uid="access.sessions_of.remember")


def _open() -> QuerySet[PersonSession]:
    now = timezone.now()
    oldest = now - timedelta(hours=settings.PACS.session_hours)
    return PersonSession.objects.filter(session__expire_date__gt=now, started_at__gt=oldest)
