"""The end of all that a person or a machine holds besides sessions: API keys, tokens of apps, codes."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now
from oauth2_provider.models import get_access_token_model

from access import app_sessions
from access.api_keys import keys_of
from access.models import AppSession, Client, User


@dataclass(frozen=True, slots=True)
class Ended:
    """How many of each had not ended yet."""

    api_keys: int
    app_sessions: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.api_keys} API keys, {self.app_sessions} sessions of apps and {self.tokens} tokens ended"


def end_tokens(account: User | Client, *, with_api_keys: bool = True) -> Ended:
    """End them from the next request on; for an app also the sessions that people have with it.

    ``with_api_keys`` False leaves keys alone: signing out everywhere ends what was signed in, and a key was not.
    Records nothing; whoever calls does, in the same transaction.
    """
    with transaction.atomic():
        keys = keys_of(account).filter(revoked_at=None) if with_api_keys else keys_of(account).none()
        ended_keys = keys.update(revoked_at=Now())
        holder = {"user": account} if isinstance(account, User) else {"client": account}
        sessions = app_sessions.end(list(AppSession.objects.filter(ended_at=None, **holder)))
        owner = {"user": account} if isinstance(account, User) else {"application": account}
        tokens = get_access_token_model().objects.filter(**owner).delete()[0]
    return Ended(ended_keys, sessions, tokens)
