"""What a token is, for a resource server that was shown one (RFC 7662)."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views.mixins import OAuthLibMixin
from oauthlib.common import Request  # type: ignore[import-untyped]

from access.access_tokens import token_principal
from access.app_sessions import digest
from access.models import Client

NOT_ACTIVE = {"active": False}


@method_decorator([csrf_exempt, sensitive_post_parameters("token", "client_secret")], name="dispatch")
class IntrospectView(OAuthLibMixin, View):  # type: ignore[misc]
    """200 for clients that may ask, 403 for others, 401 for whoever is no client."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """``active`` false for whatever opens nothing, without a reason (RFC 7662 2.2)."""
        client = self._client(request)
        if client is None:
            headers = {"WWW-Authenticate": 'Basic realm="lightbox"'}
            return JsonResponse({"error": "invalid_client"}, status=401, headers=headers)
        if not client.may_introspect:
            return JsonResponse({"error": "access_denied"}, status=403)
        token = request.POST.get("token", "")
        if not token:
            return JsonResponse({"error": "invalid_request"}, status=400)
        return JsonResponse(about(token), headers={"Cache-Control": "no-store"})

    def _client(self, request: HttpRequest) -> Client | None:
        core = self.get_oauthlib_core()
        asked = Request(*core._extract_params(request))
        is_known = core.server.request_validator.authenticate_client(asked)
        return asked.client if is_known and isinstance(asked.client, Client) else None


def about(token: str) -> dict[str, object]:
    """What a token of ``/oauth/token/`` is; ``patient`` is there if it reaches only that one."""
    principal = token_principal(token)
    row = get_access_token_model().objects.select_related("application").filter(token_checksum=digest(token)).first()
    if principal is None or row is None:
        return dict(NOT_ACTIVE)
    found: dict[str, object] = {
        "active": True,
        "iss": settings.PACS.public_root,
        "sub": principal.id,
        "username": principal.name,
        "client_id": row.application.client_id,
        "token_type": "Bearer",
        "scope": row.scope,
        "iat": int(row.created.timestamp()),
        "exp": int(row.expires.timestamp()),
    }
    return found | ({"patient": str(principal.patient)} if principal.patient is not None else {})
