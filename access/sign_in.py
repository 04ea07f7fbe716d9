"""People sign in with name and password, and out; the trail has each, and without a trail nobody gets in."""

import logging

from django.contrib.auth import authenticate as check_password
from django.contrib.auth import login, logout
from django.http import HttpRequest

from access.authentication import authenticate, forget, person
from access.models import User
from access.principal import Principal
from access.throttle import TooManyAttempts, attempt, forgive
from access.trail import event
from audit.kinds import SIGN_IN, SIGN_IN_FAILED, SIGN_OUT, Outcome
from audit.record import AuditUnavailable, record

_log = logging.getLogger(__name__)


class SignInRefused(Exception):
    """Name and password don't belong together. The same for unknown names, wrong passwords and disabled people."""


def sign_in(request: HttpRequest, username: str, password: str) -> Principal:
    """Sign the person in with a new session.

    Raises SignInRefused, TooManyAttempts, or AuditUnavailable (then nobody is signed in).
    """
    try:
        tried = attempt(username, getattr(request, "client_address", ""))
    except TooManyAttempts:
        _record_failure(request, username, "too many failed sign-ins")
        raise
    user = check_password(request, username=username, password=password)
    if not isinstance(user, User):
        _record_failure(request, username, "name and password don't match")
        raise SignInRefused
    login(request, user)
    principal = person(user, request.session.session_key or "")
    try:
        record([event(request, SIGN_IN, principal)])
    except AuditUnavailable:
        logout(request)
        raise
    forgive(tried)
    return principal


def sign_out(request: HttpRequest) -> None:
    """End the session. It ends even if the trail is away: an ended session shows nothing to anybody."""
    principal = authenticate(request)
    logout(request)
    forget(request)
    try:
        record([event(request, SIGN_OUT, principal)])
    except AuditUnavailable:
        _log.exception("a sign-out is not in the trail")


def _record_failure(request: HttpRequest, username: str, reason: str) -> None:
    """Only names that exist are written down: what else stands in the field may be a password."""
    user = User.objects.filter(username=username).first()
    known = {"principal_id": str(user.external_id), "principal_name": user.username} if user else {}
    record(
        [
            event(
                request,
                SIGN_IN_FAILED,
                None,
                outcome=Outcome.MINOR_FAILURE,
                outcome_description=reason if user else f"{reason} (unknown name)",
                decision="deny",
                rule="password",
                auth_method="session",
                **known,
            )
        ]
    )
