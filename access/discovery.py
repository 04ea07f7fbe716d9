"""Where an app finds what it needs to begin: SMART App Launch 2.0 ``.well-known/smart-configuration``, and RFC 8414."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from access.federation_settings import EVERY_ALGORITHM
from access.middleware import open_to_all
from access.smart import NAMED
from access.tokens import GRANT_TYPES

CLIENT_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")
# After SMART App Launch 2.0, 2.0.8.1: launches from outside only, and no FHIR user.
CAPABILITIES: Final = (
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "context-standalone-patient",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)


@open_to_all
@require_safe
def authorization_server(request: HttpRequest) -> HttpResponse:
    """The metadata of the authorization server (RFC 8414 2)."""
    return _answer(_metadata())


@open_to_all
@require_safe
def smart_configuration(request: HttpRequest) -> HttpResponse:
    """The same with what SMART adds."""
    return _answer(_metadata() | {"capabilities": list(CAPABILITIES)})


def _metadata() -> dict[str, Any]:
    root = settings.PACS.public_root
    return {
        "issuer": root,
        "authorization_endpoint": root + reverse("authorize"),
        "token_endpoint": root + reverse("token"),
        "token_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(EVERY_ALGORITHM),
        "revocation_endpoint": root + reverse("revoke"),
        "revocation_endpoint_auth_methods_supported": [*CLIENT_METHODS, "none"],
        "introspection_endpoint": root + reverse("introspect"),
        "introspection_endpoint_auth_methods_supported": list(CLIENT_METHODS),
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(NAMED),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": root + reverse("docs"),
    }


def _answer(document: dict[str, Any]) -> HttpResponse:
    return JsonResponse(document, headers={"Cache-Control": "public, max-age=3600"})
