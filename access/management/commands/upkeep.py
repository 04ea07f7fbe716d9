"""``upkeep``: sessions, tokens and sign-in attempts that have ended are removed. The relay calls it once a day."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db.models.functions import Now
from django.utils import timezone

from access import app_sessions
from access.dormant import switch_off_dormant
from access.models import LinkToken
from access.throttle import forget_old
from audit.record import AuditUnavailable


class Command(BaseCommand):
    """Remove what nobody can use any more."""

    help = "Removes sessions, tokens and attempts to sign in that have ended; may switch dormant accounts off."

    def handle(self, *args: Any, **options: Any) -> None:
        """All of it; nothing is lost that could still be used."""
        call_command("clearsessions")
        call_command("cleartokens")
        forget_old()
        app_sessions.forget_old(timezone.now())
        LinkToken.objects.filter(expires_at__lte=Now()).delete()
        if settings.PACS.dormant_switch_off:
            self._switch_off()

    def _switch_off(self) -> None:
        """Not without the trail: then it is tried again tomorrow."""
        try:
            switch_off_dormant()
        except AuditUnavailable:
            self.stderr.write("dormant accounts stay on until the access trail can be written")
