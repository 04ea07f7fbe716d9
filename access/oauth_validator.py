"""What the OAuth library asks while it answers at ``/oauth/``: codes, refresh tokens and scopes, after our own rows."""

from typing import Any

from django.db.models.functions import Now
from oauth2_provider.models import get_refresh_token_model
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import Request  # type: ignore[import-untyped]

from access import app_sessions, smart
from access.client_assertion import client_of
from access.models import Client


class Validator(OAuth2Validator):  # type: ignore[misc]
    """The library's rules (RFC 6749, 7636, 9700) with app sessions for codes and the scopes of each client.

    The session of a code or refresh token stands at ``request.app_session`` once it is known.
    """

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """By what the client signed if it sent that (RFC 7523 2.2), else by its secret."""
        assertion = getattr(request, "client_assertion", None)
        kind = getattr(request, "client_assertion_type", None)
        if assertion is None and kind is None:
            return bool(super().authenticate_client(request, *args, **kwargs))
        request.client = client_of(kind or "", assertion or "")
        return request.client is not None

    def validate_scopes(
        self, client_id: str, scopes: list[str], client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Leave out what the client may not have (RFC 6749 3.3); False if nothing remains."""
        request.scopes = smart.granted(scopes, client.scopes, contexts(client))
        return bool(request.scopes)

    def get_default_scopes(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> list[str]:
        """What a client gets that names no scope."""
        return smart.default_of(request.client.scopes, contexts(request.client))

    def is_within_original_scope(
        self, request_scopes: list[str], refresh_token: str, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether a refresh asks for no more than was allowed. The limit to one patient is the session's and stays."""
        original = request.app_session.scope.split()
        return smart.granted(request_scopes, original, smart.OF_PEOPLE) == list(request_scopes)

    def validate_code(
        self, client_id: str, code: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether this is a code of this client that was never used, within its minute."""
        session = app_sessions.of_code(code, client)
        if session is None:
            return False
        request.app_session, request.user, request.scopes = session, session.user, session.scope.split()
        return True

    def confirm_redirect_uri(
        self, client_id: str, code: str, redirect_uri: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether it is the address that the code was sent to."""
        return bool(redirect_uri == request.app_session.redirect_uri)

    def get_code_challenge(self, code: str, request: Request) -> str:
        """The challenge of the app that asked for the code."""
        return str(request.app_session.code_challenge)

    def get_code_challenge_method(self, code: str, request: Request) -> str:
        """No other method is accepted when consent is asked for."""
        return "S256"

    def invalidate_authorization_code(
        self, client_id: str, code: str, request: Request, *args: Any, **kwargs: Any
    ) -> None:
        """The code is used up, and the session has begun."""
        type(request.app_session).objects.filter(pk=request.app_session.pk).update(started_at=Now())

    def validate_refresh_token(
        self, refresh_token: str, client: Client, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Whether this is the newest refresh token of an open session of this client; locked, so that one use wins."""
        checksum = app_sessions.digest(refresh_token)
        found = get_refresh_token_model().objects.select_for_update().filter(token_checksum=checksum)
        session = app_sessions.of_refresh_token(refresh_token)
        if found.first() is None or session is None or not type(session).objects.open().filter(pk=session.pk).exists():
            return False
        request.app_session = session
        return bool(super().validate_refresh_token(refresh_token, client, request, *args, **kwargs))

    def revoke_token(self, token: str, token_type_hint: str, request: Request, *args: Any, **kwargs: Any) -> None:
        """Revoke a token of the client; with either token of an app goes its session (RFC 7009 2.1)."""
        session = app_sessions.of_refresh_token(token) or app_sessions.of_access_token(token)
        if session is not None and session.client_id == request.client.pk:
            app_sessions.end([session])
        super().revoke_token(token, token_type_hint, request, *args, **kwargs)

    def save_bearer_token(self, token: dict[str, Any], request: Request, *args: Any, **kwargs: Any) -> None:
        """Store it; the app is told which patient it is limited to (SMART App Launch 2.0, launch context)."""
        super().save_bearer_token(token, request, *args, **kwargs)
        session = getattr(request, "app_session", None)
        if session is not None and session.patient_id is not None:
            token["patient"] = str(session.patient_id)

    def _create_refresh_token(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """The library's, as a member of the session's family."""
        made = super()._create_refresh_token(request, *args, **kwargs)
        made.token_family = request.app_session.external_id
        made.save(update_fields=["token_family"])
        return made

    def _check_and_set_request_resource(self, request: Request) -> None:
        """There is one resource server, so none is named (RFC 8707)."""
        request.resource = []


def contexts(client: Client) -> tuple[str, ...]:
    """The contexts of the scopes that a client can have."""
    return smart.OF_PEOPLE if client.is_app else smart.OF_MACHINES
