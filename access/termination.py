"""The end of an account, at once and for good: 45 CFR 164.308(a)(3)(ii)(C).

Switching off already stops every credential at the next request. This also removes them, so that nothing of it works
again should the account be switched on some day.
"""

from dataclasses import dataclass

from django.db import transaction

from access.acting import COMMAND_LINE, Acting
from access.emergency import end_all as end_emergencies
from access.links import revoke
from access.models import Client, ShareLink, User
from access.people import described, set_active
from access.sessions_of import end_all as end_sessions
from access.token_end import end_tokens
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
            set_active(account, active=False, reason=reason, by=by)
        gone = end_tokens(account)
        tokens = gone.api_keys + gone.app_sessions + gone.tokens
        ended = _of_person(account, tokens, by) if isinstance(account, User) else Ended(0, tokens, 0, 0)
        record([by.event(USER_CHANGED, f"{described(account)} terminated: {ended} ended", purpose=reason)])
    return ended


def _of_person(user: User, tokens: int, by: Acting) -> Ended:
    links = ShareLink.objects.filter(created_by=user, revoked_at__isnull=True)
    return Ended(
        sessions=end_sessions(user),
        tokens=tokens,
        links=sum(revoke(link, by.request, by.principal) for link in links),
        emergencies=end_emergencies(user, by, "ended: the account was terminated"),
    )
