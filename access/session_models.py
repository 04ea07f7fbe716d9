"""Who a session belongs to, and where it was started: what a list of sessions shows."""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now


class PersonSession(models.Model):
    """A session of a person who is signed in; it goes with its row of the session table.

    ``proved_by`` names the factors, as the event of the sign-in does. ``id`` names the session in addresses and opens
    nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="of_person")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    started_at = models.DateTimeField(db_default=Now())
    source_ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.TextField(blank=True, default="")
    proved_by = models.TextField(blank=True, default="")

    @property
    def seen_at(self) -> datetime:
        """When a request came last, right to a minute: each one moves the session's end on."""
        return self.session.expire_date - timedelta(seconds=settings.SESSION_COOKIE_AGE)

    def __str__(self) -> str:
        return f"PersonSession {self.id}"
