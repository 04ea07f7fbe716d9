"""Accounts are switched off and on. What somebody held when they were switched off doesn't come back."""

from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from access.managers import keep_a_manager
from access.models import Client, User
from access.people import described
from access.refused_change import RefusedChange
from access.sessions_of import end_all as end_sessions
from access.token_end import end_tokens
from audit.kinds import USER_CHANGED
from audit.record import record

OWN_ACCOUNT = "nobody switches off their own account: ask another administrator"


@dataclass(frozen=True, slots=True)
class Ended:
    """What an account was signed in with: sessions, and the tokens and keys of programs."""

    sessions: int = 0
    tokens: int = 0


def set_active(account: User | Client, *, active: bool, reason: str = "", by: Acting = COMMAND_LINE) -> Ended:
    """Switch an account on or off; what is off can't do anything from the next request on. Raises RefusedChange.

    Sessions, tokens and keys end with the account's switching off; password, second factors, secret and public keys
    stay, and so do the links of a person, which open nothing until the account is switched on again.
    """
    if not active and by.is_account(account.external_id):
        raise RefusedChange(OWN_ACCOUNT)
    with transaction.atomic():
        if not active and isinstance(account, User):
            keep_a_manager(account, ())
        account.is_active = active
        if active:
            account.switched_on_at = timezone.now()
        # First the row, for which whoever is just signing in waits, then what may be there by then.
        account.save(update_fields=["is_active", "switched_on_at"])
        ended = Ended() if active else end_credentials(account)
        told = "on" if active else f"off, {ended.sessions} sessions and {ended.tokens} tokens and keys ended"
        record([by.event(USER_CHANGED, f"{described(account)} switched {told}", purpose=reason)])
    return ended


def end_credentials(account: User | Client) -> Ended:
    """End what an account is signed in with, from the next request on. Records nothing."""
    gone = end_tokens(account)
    sessions = end_sessions(account) if isinstance(account, User) else 0
    return Ended(sessions, gone.api_keys + gone.app_sessions + gone.tokens)
