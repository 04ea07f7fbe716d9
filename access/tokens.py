"""``/oauth/token/``: client credentials, codes and refresh tokens (RFC 6749 4.4, 4.1.3, 6); ``/oauth/revoke/``
(RFC 7009), ``/oauth/introspect/`` (RFC 7662); and the trail of all three."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final
from urllib.parse import unquote_plus

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.views import RevokeTokenView
from oauth2_provider.views import TokenView as OAuthTokenView

from access import app_sessions
from access.client_assertion import named_in
from access.held_roles import held_by
from access.introspection import IntrospectView
from access.models import AppSession, Client
from access.throttle import TooManyAttempts, attempt, forgive
from access.trail import event
from audit.kinds import SIGN_IN, SIGN_IN_FAILED, SIGN_OUT, TOKEN_CHECKED, EventKind, Outcome
from audit.record import record

GRANT_TYPES: Final = ("client_credentials", "authorization_code", "refresh_token")
# The field in which a grant shows what may be used once.
_SECRETS: Final[Mapping[str, str]] = {"authorization_code": "code", "refresh_token": "refresh_token"}


class TwoMethods(Exception):
    """The client authenticates itself in two ways, or as two clients (RFC 6749 2.3: not more than one)."""


class _OnTrail:
    """What both endpoints share: guessing is slow, and what happens commits together with its event."""

    kind: ClassVar[EventKind]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The library's answer; 400 for text that no client has or fields in the address, 429 after many failures."""
        try:
            client_id = _client_id(request)
        except TwoMethods:
            return JsonResponse({"error": "invalid_request"}, status=400)
        # What stands in the address is in logs, and would be taken for a field of the form (RFC 6749 2.3.1).
        if request.GET or any("\0" in text for text in (client_id, *request.POST.values())):
            return JsonResponse({"error": "invalid_request"}, status=400)
        try:
            tried = attempt(client_id, getattr(request, "client_address", ""))
        except TooManyAttempts as error:
            _record(request, SIGN_IN_FAILED, client_id, reason=str(error))
            return JsonResponse({"error": "slow_down"}, status=429, headers={"Retry-After": str(error.retry_after)})
        with transaction.atomic():
            response: HttpResponse = super().post(request, *args, **kwargs)  # type: ignore[misc]
            if response.status_code != 200:
                _record(request, SIGN_IN_FAILED, client_id, reason=f"refused with status {response.status_code}")
                self.refused(request)
                return response
            _record(request, self.kind, client_id, token=self.token(request, response))
        forgive(tried)
        return response

    def refused(self, request: HttpRequest) -> None:
        """What else has to happen when nobody got anything."""

    def token(self, request: HttpRequest, response: HttpResponse) -> str:
        """The token that this is about."""
        raise NotImplementedError


class Token(_OnTrail, OAuthTokenView):  # type: ignore[misc]
    """Issue a token: 200; 400 and 401 as RFC 6749 5.2 has them. A token that isn't on the trail doesn't exist."""

    kind = SIGN_IN

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A grant of the kinds above, and no other."""
        if request.POST.get("grant_type") not in GRANT_TYPES:
            return JsonResponse({"error": "unsupported_grant_type"}, status=400)
        return super().post(request, *args, **kwargs)

    def refused(self, request: HttpRequest) -> None:
        """If it is because a code or refresh token came a second time, all tokens of that session end."""
        grant_type = request.POST["grant_type"]
        secret = request.POST.get(_SECRETS.get(grant_type, ""), "")
        session = app_sessions.used_again(grant_type, secret) if secret else None
        if session is not None:
            app_sessions.end_stolen(session, grant_type, request)

    def token(self, request: HttpRequest, response: HttpResponse) -> str:
        """The token issued."""
        return str(json.loads(response.content)["access_token"])


class Revoke(_OnTrail, RevokeTokenView):  # type: ignore[misc]
    """Revoke a token of the client that asks: 200 whether there was one or not (RFC 7009 2.2), else 401."""

    kind = SIGN_OUT

    def token(self, request: HttpRequest, response: HttpResponse) -> str:
        """The token named."""
        return request.POST.get("token", "")


class Introspect(_OnTrail, IntrospectView):
    """Say what a token is, to clients that may ask."""

    kind = TOKEN_CHECKED

    def token(self, request: HttpRequest, response: HttpResponse) -> str:
        """The token asked about."""
        return request.POST.get("token", "")


def _record(request: HttpRequest, kind: EventKind, client_id: str, *, token: str = "", reason: str = "") -> None:
    client = Client.objects.filter(client_id=client_id).first()
    session = app_sessions.of_access_token(token) if kind is SIGN_IN else None
    if session is not None:
        _record_of_person(request, session, token)
        return
    record(
        [
            event(
                request,
                kind,
                None,
                principal_kind="client" if client else "anonymous",
                principal_id=str(client.external_id) if client else "",
                principal_name=client.name if client else "",
                roles=(client.role,) if client else (),
                auth_method="oauth2",
                token_id=hashlib.sha256(token.encode()).hexdigest()[:32] if token else "",
                outcome=Outcome.MINOR_FAILURE if reason else Outcome.SUCCESS,
                outcome_description=reason,
                decision="deny" if reason else "allow",
            )
        ]
    )


def _record_of_person(request: HttpRequest, session: AppSession, token: str) -> None:
    """A person is signed in by what an app got."""
    record(
        [
            event(
                request,
                SIGN_IN,
                None,
                principal_kind="person",
                principal_id=str(session.user.external_id),
                principal_name=session.user.username,
                roles=tuple(role.name for role in held_by(session.user)),
                auth_method="oauth2",
                token_id=hashlib.sha256(token.encode()).hexdigest()[:32],
                rule=f"app:{session.client.external_id}",
                outcome_description=f"{app_sessions.described(session)} got a token: {request.POST['grant_type']}",
                patient_ids=app_sessions.patient_ids(session),
            )
        ]
    )


def _client_id(request: HttpRequest) -> str:
    """The name the client gives itself: HTTP Basic, else the form (RFC 6749 2.3.1). "" if there is none.

    Raises TwoMethods: the library would fall back from one to the other, and the token of one client would be counted
    and written down under the name of another.
    """
    named, secrets = request.POST.getlist("client_id"), request.POST.getlist("client_secret")
    if len(named) > 1 or len(secrets) > 1:
        raise TwoMethods
    header = request.headers.get("Authorization")
    if "client_assertion" in request.POST or "client_assertion_type" in request.POST:
        return _asserted_client_id(request, named)
    if header is None:
        return named[0] if named else ""
    scheme, _, encoded = header.partition(" ")
    client_id = ""
    if scheme.lower() == "basic":
        try:
            client_id = unquote_plus(base64.b64decode(encoded).decode().partition(":")[0])
        except (binascii.Error, ValueError):
            client_id = ""
    if secrets or (named and named[0] != client_id):
        raise TwoMethods
    return client_id


def _asserted_client_id(request: HttpRequest, named: list[str]) -> str:
    """The name in the assertion with which the client signs (RFC 7521 4.2). Raises TwoMethods."""
    assertions, kinds = request.POST.getlist("client_assertion"), request.POST.getlist("client_assertion_type")
    two_methods = "Authorization" in request.headers or "client_secret" in request.POST
    if two_methods or len(assertions) != 1 or len(kinds) != 1:
        raise TwoMethods
    client_id = named_in(assertions[0])
    if named and named[0] != client_id:
        raise TwoMethods
    return client_id
