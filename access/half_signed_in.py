"""Between password and second factor: the session remembers who showed a password, and is still nobody's.

Nothing but the pages of this module's state looks at it: ``access.authentication`` sees a session without a person.
"""

import time
from dataclasses import dataclass
from typing import Final

from django.contrib.auth import logout
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from access.models import User
from access.second_factor_models import SecondFactor

PROVE_SECONDS: Final = 300
SET_UP_SECONDS: Final = 900
_HALF: Final = "half_signed_in"


@dataclass(frozen=True, slots=True)
class HalfSignedIn:
    """Whose password was shown, and where to go afterwards. ``has_factor`` False: one has to be set up first."""

    user: User
    onward: str
    has_factor: bool


def begin(request: HttpRequest, user: User, onward: str) -> None:
    """The password is right. Whoever was signed in isn't any more; the session gets a new key."""
    logout(request)
    request.session[_HALF] = {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "at": time.time(),
        "onward": onward,
    }


def found(request: HttpRequest) -> HalfSignedIn | None:
    """Who is half signed in: within five minutes, or 15 to set up a factor; active all the time, and with the same
    password."""
    kept = request.session.get(_HALF)
    if kept is None:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), kept["password"]):
        return None
    if user.switched_on_at is not None and kept["at"] < user.switched_on_at.timestamp():
        return None
    has_factor = SecondFactor.objects.filter(user=user).exists()
    if time.time() - kept["at"] > (PROVE_SECONDS if has_factor else SET_UP_SECONDS):
        return None
    return HalfSignedIn(user, kept["onward"], has_factor)
