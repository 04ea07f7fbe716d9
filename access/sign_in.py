"""People sign in with name, password and second factor, and out; without a trail nobody gets in."""

import logging
from enum import Enum
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate as check_password
from django.contrib.auth import login, logout
from django.http import HttpRequest

from access import half_signed_in
from access.authentication import authenticate, forget, person
from access.half_signed_in import HalfSignedIn
from access.models import SecondFactor, User
from access.principal import Principal
from access.second_factor import Shown, WrongFactor, must_have, show
from access.sessions_of import PROVED_BY
from access.step_up import confirm
from access.throttle import TooManyAttempts, attempt, attempt_second_factor, forgive
from access.trail import event
from audit.kinds import SIGN_IN, SIGN_IN_FAILED, SIGN_OUT, Outcome
from audit.record import AuditUnavailable, record
from telemetry.metrics import LOGIN_FAILURES

_log = logging.getLogger(__name__)
_TOO_MANY = "too many failed sign-ins"


class SignInRefused(Exception):
    """Name and password don't belong together. The same for unknown names, wrong passwords and disabled people."""


class Step(Enum):
    """What comes after the right password."""

    IN = 1
    SECOND_FACTOR = 2
    SET_UP = 3


def sign_in(request: HttpRequest, username: str, password: str, onward: str = "/") -> Step:
    """Check name and password. Signed in with a new session only if no second factor is asked for.

    Raises SignInRefused, TooManyAttempts, or AuditUnavailable (then nobody is signed in).
    """
    try:
        tried = attempt(username, _address(request))
    except TooManyAttempts:
        _record_failure(request, username, _TOO_MANY)
        raise
    user = check_password(request, username=username, password=password)
    if not isinstance(user, User):
        _record_failure(request, username, "name and password don't match")
        raise SignInRefused
    has_factor = SecondFactor.objects.filter(user=user).exists()
    if has_factor or must_have(user):
        half_signed_in.begin(request, user, onward)
        forgive(tried)
        return Step.SECOND_FACTOR if has_factor else Step.SET_UP
    begin_session(request, user, "password")
    forgive(tried)
    return Step.IN


def finish(request: HttpRequest, half: HalfSignedIn, shown: Shown) -> Principal:
    """Sign in whoever showed the password and now a second factor. Raises as ``sign_in`` does."""
    user = half.user
    try:
        tried = attempt_second_factor(str(user.external_id), _address(request))
    except TooManyAttempts:
        _record_failure(request, user.username, _TOO_MANY, rule="second factor")
        raise
    try:
        factor = show(request, user, shown)
    except WrongFactor as error:
        _record_failure(request, user.username, str(error), rule="second factor")
        raise SignInRefused from error
    principal = begin_session(request, user, f"password+{factor}")
    forgive(tried)
    return principal


def begin_session(request: HttpRequest, user: User, proved_by: str) -> Principal:
    """A new session for a person who is proved; ``proved_by`` ("password+totp") is the rule of the event.

    Whatever proved the person, this is the way in. Raises AuditUnavailable (then nobody is signed in).
    """
    logout(request)
    request.session[PROVED_BY] = proved_by
    login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
    forget(request)
    principal = person(user, request.session.session_key or "")
    try:
        record([event(request, SIGN_IN, principal, rule=proved_by)])
    except AuditUnavailable:
        logout(request)
        raise
    return principal


def confirm_again(request: HttpRequest, user: User, password: str, shown: Shown) -> None:
    """The person shows the password, or else a second factor, once more (``access.step_up``). Raises as ``sign_in``."""
    by_password, address, person_id = bool(password), _address(request), str(user.external_id)
    try:
        tried = attempt(user.username, address) if by_password else attempt_second_factor(person_id, address)
    except TooManyAttempts:
        _record_failure(request, user.username, _TOO_MANY, rule="confirmation")
        raise
    try:
        if by_password and not user.check_password(password):
            raise WrongFactor("wrong password")
        if not by_password:
            show(request, user, shown)
    except WrongFactor as error:
        _record_failure(request, user.username, str(error), rule="confirmation")
        raise SignInRefused from error
    forgive(tried)
    confirm(request)


def prove_password(request: HttpRequest, user: User, password: str) -> None:
    """Who is signed in shows the password before it is changed. Raises as ``sign_in``."""
    rule = "password change"
    try:
        tried = attempt(user.username, _address(request))
    except TooManyAttempts:
        _record_failure(request, user.username, _TOO_MANY, rule=rule)
        raise
    if not user.check_password(password):
        _record_failure(request, user.username, "wrong password", rule=rule)
        raise SignInRefused
    forgive(tried)


def sign_out(request: HttpRequest) -> None:
    """End the session. It ends even if the trail is away: an ended session shows nothing to anybody."""
    principal = authenticate(request)
    logout(request)
    forget(request)
    try:
        record([event(request, SIGN_OUT, principal)])
    except AuditUnavailable:
        _log.exception("a sign-out is not in the trail")


def _address(request: HttpRequest) -> str:
    return str(getattr(request, "client_address", ""))


def _record_failure(request: HttpRequest, username: str, reason: str, rule: str = "password") -> None:
    """Only names that exist are written down: what else stands in the field may be a password."""
    LOGIN_FAILURES.inc()
    user = User.objects.filter(username=username).first()
    known: dict[str, Any] = {}
    if user is not None:
        known = {"principal_id": str(user.external_id), "principal_name": user.username}
    record(
        [
            event(
                request,
                SIGN_IN_FAILED,
                None,
                outcome=Outcome.MINOR_FAILURE,
                outcome_description=reason if user else f"{reason} (unknown name)",
                decision="deny",
                rule=rule,
                auth_method="session",
                **known,
            )
        ]
    )
