"""``upkeep``: sessions, tokens and sign-in attempts that have ended are removed. The relay calls it once a day."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db.models.functions import Now

from access.models import LinkToken
from access.throttle import forget_old


class Command(BaseCommand):
    """Remove what nobody can use any more."""

    help = "Removes sessions and tokens that have ended, and attempts to sign in that no longer count."

    def handle(self, *args: Any, **options: Any) -> None:
        """All of it; nothing is lost that could still be used."""
        call_command("clearsessions")
        call_command("cleartokens")
        forget_old()
        LinkToken.objects.filter(expires_at__lte=Now()).delete()
