"""Who asks, proved from the request: a person's session, an OAuth2 bearer token of a machine or of an app that acts
for a person, an API key, another issuer's JWT, or a share link's token.

Cost in queries: a bearer token or API key 1 (with its holder and the roles), a link's token 1 (with its grants), a
session 2 (session, user with roles). Nothing is written but the refusal of a link or key that has ended, and once a
minute when a key was used last.
"""

import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from access.access_tokens import token_principal
from access.api_keys import MARK as KEY_MARK
from access.api_keys import by_key
from access.emergency_rule import running_of
from access.held_roles import held, held_by
from access.jwt_bearer import by_jwt, is_jwt
from access.link_door import VIEWER_FILES, by_cookie, by_token, mounted_link
from access.links import MARK
from access.models import User
from access.principal import Principal
from telemetry import spans

CHALLENGE = 'Bearer realm="lightbox"'
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FOUND = "_principal"


class Authenticated:
    """What stands at ``request.user`` of a DRF view: somebody proved, with ``principal``."""

    is_authenticated = True
    is_anonymous = False
    is_active = True

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    def __str__(self) -> str:
        return self.principal.name


def authenticate(request: HttpRequest) -> Principal | None:
    """The principal of ``request``, None without credentials; found once and kept on the request.

    Raises AuthenticationFailed for credentials that are unknown, expired, disabled or of another scheme. A bad
    ``Authorization`` never falls back to the cookie.
    """
    if not hasattr(request, _FOUND):
        with spans.auth:
            setattr(request, _FOUND, _find(request))
    principal: Principal | None = getattr(request, _FOUND)
    return principal


def known_principal(request: HttpRequest) -> Principal | None:
    """The principal that was found for ``request``; None where nobody has asked, or nobody was found."""
    found: Principal | None = getattr(request, _FOUND, None)
    return found


def forget(request: HttpRequest) -> None:
    """Let the next question look again, after a sign-out within the request."""
    if hasattr(request, _FOUND):
        delattr(request, _FOUND)


def principal_of(request: HttpRequest | Request) -> Principal:
    """The principal of a request that got past the door. Raises NotAuthenticated if there is none."""
    principal = authenticate(request._request if isinstance(request, Request) else request)
    if principal is None:
        raise NotAuthenticated()
    return principal


class PrincipalAuthentication(BaseAuthentication):
    """The one authentication class of the DRF views (PS3.18 8.10: 401 carries a challenge, RFC 6750 3)."""

    def authenticate(self, request: Request) -> tuple[Authenticated, None] | None:
        """Whoever asks, or None. Raises AuthenticationFailed (401), PermissionDenied (403) for a forged form."""
        principal = authenticate(request._request)
        if principal is None:
            return None
        if "HTTP_AUTHORIZATION" not in request.META:
            refuse_forged(request._request)
        return Authenticated(principal), None

    def authenticate_header(self, request: Request) -> str:
        """The challenge for 401."""
        return challenge(request._request)


class HasPrincipal(BasePermission):
    """Any proved principal; what it may do is asked of ``access.policy``."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """True for a proved principal."""
        return isinstance(request.user, Authenticated)


def challenge(request: HttpRequest) -> str:
    """``WWW-Authenticate`` for a 401 (RFC 6750 3): with ``error`` only if a token was sent."""
    return f'{CHALLENGE}, error="invalid_token"' if "Authorization" in request.headers else CHALLENGE


def refuse_forged(request: HttpRequest) -> None:
    """Let an unsafe request with a cookie through only from our own pages.

    Browsers send ``Origin`` with every unsafe request: it must be ours. Without one the CSRF token must be there.
    Raises PermissionDenied.
    """
    if request.method in SAFE_METHODS:
        return
    origin = request.headers.get("Origin")
    if origin is not None:
        if origin not in {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}:
            raise PermissionDenied("this request comes from another site")
        return
    check = CsrfViewMiddleware(_unreached)
    check.process_request(request)
    if check.process_view(request, _unreached, (), {}) is not None:
        raise PermissionDenied("neither an Origin nor a CSRF token shows that this request comes from our own pages")


def _unreached(request: HttpRequest) -> HttpResponse:
    """Stands where Django's check wants the view; not exempt, and never called."""
    return HttpResponse()


def _find(request: HttpRequest) -> Principal | None:
    """By the header, else by the cookie that belongs to the address: below a link's own addresses no session counts."""
    header = request.META.get("HTTP_AUTHORIZATION")
    link = mounted_link(request)
    if header is not None:
        found = _bearer(request, header)
        if link is not None and (found.kind, found.id) != ("link", link):
            raise AuthenticationFailed("this token is not of this link")
        return found
    if link is not None:
        return by_cookie(request, link)
    return _person(request) or (by_cookie(request) if request.path.startswith(VIEWER_FILES) else None)


def _bearer(request: HttpRequest, header: str) -> Principal:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise AuthenticationFailed("only Bearer tokens are accepted")
    token = token.strip()
    if is_jwt(token):
        return by_jwt(token)
    if token.startswith(MARK):
        return by_token(request, token)
    if token.startswith(KEY_MARK):
        return by_key(request, token)
    found = token_principal(token)
    if found is None:
        raise AuthenticationFailed("the token is unknown, expired or revoked")
    return found


def _person(request: HttpRequest) -> Principal | None:
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_active:
        return None
    return person(user, request.session.session_key or "")


def person(user: User, session_key: str) -> Principal:
    """The principal of a person who signed in with a password."""
    rows = getattr(user, "held_rows", None)
    roles = held_by(user) if rows is None else held(rows)
    names = tuple(role.name for role in roles)
    return Principal(
        "person",
        str(user.external_id),
        user.username,
        names,
        "session",
        digest(session_key),
        held=roles,
        emergencies=running_of(user),
    )


def digest(secret: str) -> str:
    """A stable name for a session or token that doesn't open anything."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32] if secret else ""
