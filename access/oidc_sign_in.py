"""Single sign-on from its beginning in this browser to its end in the same one; the trail has each."""

import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest

from access.federation_settings import OidcConfig
from access.jwt_checks import LEEWAY_SECONDS, Refused
from access.oidc_people import NotOurs, person_of
from access.oidc_provider import Secrets, authorization_address, claims_for, end_session_address, provider
from access.remembered import Away, BadAnswer
from access.sessions_of import PROVED_AT, PROVED_BY
from access.sign_in import begin_session
from access.throttle import attempt, forgive
from access.trail import event
from audit.kinds import SIGN_IN_FAILED, Outcome
from audit.record import record

MOST_SECONDS: Final = 600
_STARTED: Final = "single_sign_on"
_NOTHING: Final = ("", "", "", "", 0.0, False)
_RULE: Final = "oidc"
# What the provider may say instead of a code (RFC 6749 4.1.2.1, Core 3.1.2.6); other words are not repeated.
_REFUSALS: Final[Mapping[str, str]] = {
    "access_denied": "the sign-in was refused or cancelled there",
    "login_required": "nobody is signed in there",
    "interaction_required": "the provider wants to ask something first",
    "temporarily_unavailable": "the provider is not available now",
    "server_error": "something went wrong at the provider",
}


class SignOnFailed(Exception):
    """Nobody is signed in. ``status`` is that of the page, the message is for the person who wanted in."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def begin(request: HttpRequest, onward: str) -> str:
    """Where to send the browser; the session remembers what must come back. Raises SignOnFailed.

    Somebody who is signed in already is asked there to prove it again.
    """
    oidc = _oidc()
    made = Secrets(*(secrets.token_urlsafe(32) for _ in range(3)))
    try:
        again = request.user.is_authenticated
        address = authorization_address(provider(oidc.issuer), oidc, made, again=again)
    except Away as error:
        raise _away(error) from error
    except BadAnswer as error:
        raise _wrong(error) from error
    request.session[_STARTED] = [made.state, made.nonce, made.verifier, onward, time.time(), again]
    return address


def finish(request: HttpRequest) -> str:
    """Sign in whoever the provider sends back; where to go then.

    Raises SignOnFailed, TooManyAttempts, or AuditUnavailable (then nobody is signed in). What was begun in this
    browser ends here, whether it is right or not; what was begun elsewhere leaves no event: anybody could make them.
    """
    oidc = _oidc()
    state, nonce, verifier, onward, began, again = request.session.pop(_STARTED, None) or _NOTHING
    returned = request.GET.get("state", "")
    if not state or not hmac.compare_digest(returned.encode("utf-8", "replace"), state.encode()):
        raise SignOnFailed(400, "This sign-in was not begun in this browser, or was used already.")
    tried = attempt(f"sso {state}", getattr(request, "client_address", ""))
    try:
        if time.time() - began > MOST_SECONDS:
            raise SignOnFailed(400, "This sign-in took too long.")
        claims = _claims(request, oidc, Secrets(state, nonce, verifier))
        shown_at = claims.get("auth_time")
        if again and isinstance(shown_at, int | float) and shown_at < began - LEEWAY_SECONDS:
            raise SignOnFailed(401, "The sign-in service did not ask again who you are.")
        user = person_of(request, oidc, claims)
    except NotOurs as error:
        _record_failure(request, str(error), str(claims["sub"]))
        raise SignOnFailed(403, str(error)) from error
    except SignOnFailed as error:
        _record_failure(request, str(error.__cause__ or error))
        raise
    begin_session(request, user, _RULE)
    # A provider that knows the browser asks nobody: that is no proof of who sits there (``access.step_up``).
    now = time.time()
    request.session[PROVED_AT] = min(shown_at, now) if isinstance(shown_at, int | float) else now if again else 0.0
    forgive(tried)
    return str(onward)


def leave_address(request: HttpRequest) -> str:
    """Where to sign out as well, for who came in by single sign-on and if that is set; "" for nowhere. Never waits for
    a provider that is away."""
    oidc = settings.PACS.oidc
    if not (oidc.issuer and oidc.sign_out) or request.session.get(PROVED_BY) != _RULE:
        return ""
    try:
        return end_session_address(provider(oidc.issuer), oidc)
    except (Away, BadAnswer):
        return ""


def _oidc() -> OidcConfig:
    oidc: OidcConfig = settings.PACS.oidc
    if not oidc.issuer:
        raise SignOnFailed(404, "There is no single sign-on here.")
    return oidc


def _claims(request: HttpRequest, oidc: OidcConfig, made: Secrets) -> Mapping[str, Any]:
    """What the provider says. Raises SignOnFailed."""
    answer = request.GET
    try:
        there = provider(oidc.issuer)
        if answer.get("iss", "" if there.names_itself else oidc.issuer) != oidc.issuer:
            raise Refused("the answer is of another provider")
        if "error" in answer or not answer.get("code"):
            word = _REFUSALS.get(answer.get("error", ""), "the provider sent no code")
            raise SignOnFailed(401, f"You are not signed in: {word}.")
        return claims_for(answer["code"], there, oidc, made)
    except Away as error:
        raise _away(error) from error
    except BadAnswer as error:
        raise _wrong(error) from error
    except Refused as error:
        raise SignOnFailed(502, "What the sign-in service says can't be believed. Tell your administrator.") from error


def _away(error: Away) -> SignOnFailed:
    return _caused(SignOnFailed(503, "The sign-in service can't be reached now. Try again in a moment."), error)


def _wrong(error: BadAnswer) -> SignOnFailed:
    return _caused(SignOnFailed(502, "The sign-in service gives a wrong answer. Tell your administrator."), error)


def _caused(failed: SignOnFailed, error: Exception) -> SignOnFailed:
    failed.__cause__ = error
    return failed


def _record_failure(request: HttpRequest, reason: str, subject: str = "") -> None:
    """The subject is written down where an administrator needs it, to link it."""
    record(
        [
            event(
                request,
                SIGN_IN_FAILED,
                None,
                outcome=Outcome.MINOR_FAILURE,
                outcome_description=f"{reason} (subject {subject})" if subject else reason,
                decision="deny",
                rule=_RULE,
                auth_method="session",
            )
        ]
    )
