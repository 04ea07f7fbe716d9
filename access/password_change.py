"""A person changes the own password."""

from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.http import HttpRequest

from access.authentication import principal_of
from access.models import User
from access.sessions_of import end_all
from access.trail import event
from audit.kinds import USER_CHANGED
from audit.record import record


def change_password(request: HttpRequest, user: User, password: str) -> int:
    """Give the person who asks a new password; this session stays, with a new key, and all others end: how many.

    At least 15 characters, no common password, not like the name; no rules of composition (NIST SP 800-63B 3.1.1).
    Raises Django's ValidationError.
    """
    validate_password(password, user)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        text = f"person {user.external_id}: password changed"
        record([event(request, USER_CHANGED, principal_of(request), outcome_description=text)])
    update_session_auth_hash(request, user)
    return end_all(user, request.session.session_key)
