"""The end of an account, at once and for good: 45 CFR 164.308(a)(3)(ii)(C).

Switching off (``access.switching``) ends what the account is signed in with. With this go what it opened to others and
its emergency accesses, so that nothing works again should the account be switched on some day.
"""

from dataclasses import dataclass

from django.db import transaction

from access.acting import COMMAND_LINE, Acting
from access.emergency import end_all as end_emergencies
from access.links import revoke
from access.models import Client, ShareLink, User
from access.people import described
from access.switching import end_credentials, set_active
from audit.kinds import USER_CHANGED
from audit.record import record


@dataclass(frozen=True, slots=True)
class Ended:
    """What an account had that is gone now."""

    sessions: int
    tokens: int
    links: int
    emergencies: int

    def __str__(self) -> str:
        counts = {
            "sessions": self.sessions,
            "tokens and keys": self.tokens,
            "share links": self.links,
            "emergency accesses": self.emergencies,
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items())


def terminate(account: User | Client, reason: str, *, by: Acting = COMMAND_LINE) -> Ended:
    """Switch the account off and end its sessions, tokens and keys, the share links it made and its emergency accesses;
    all of it, with its events, or nothing. Raises RefusedChange for oneself and for the last person who may manage.
    """
    with transaction.atomic():
        if account.is_active:
            held = set_active(account, active=False, reason=reason, by=by)
        else:
            held = end_credentials(account)
        links, emergencies = _of_person(account, by) if isinstance(account, User) else (0, 0)
        ended = Ended(held.sessions, held.tokens, links, emergencies)
        record([by.event(USER_CHANGED, f"{described(account)} terminated: {ended} ended", purpose=reason)])
    return ended


def _of_person(user: User, by: Acting) -> tuple[int, int]:
    """How many links and emergency accesses ended."""
    links = ShareLink.objects.filter(created_by=user, revoked_at__isnull=True)
    revoked = sum(revoke(link, by.request, by.principal) for link in links)
    return revoked, end_emergencies(user, by, "ended: the account was terminated")
