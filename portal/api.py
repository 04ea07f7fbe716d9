"""Small answers for programs and the offline documentation of the API."""

from collections.abc import Iterable

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.authentication import principal_of
from access.policy import permissions
from access.smart import named_in_words

# Swagger UI draws its icons from data: addresses; its scripts and styles are files of ours.
DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)


class PrincipalScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes ``PrincipalAuthentication``: a machine's token, or a person's session."""

    target_class = "access.authentication.PrincipalAuthentication"
    name = ["token", "session"]

    def get_security_definition(self, auto_schema: object) -> list[dict[str, object]]:
        """The two schemes, in the order of ``name``."""
        flow = {"tokenUrl": "/oauth/token/", "scopes": named_in_words()}
        of_people = flow | {"authorizationUrl": "/oauth/authorize/", "refreshUrl": "/oauth/token/"}
        return [
            {"type": "oauth2", "flows": {"clientCredentials": flow, "authorizationCode": of_people}},
            {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
        ]

    def get_security_requirement(self, auto_schema: object) -> list[dict[str, list[str]]]:
        """Either of them, not both."""
        return [{name: []} for name in self.name]


class WhoAmIAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """Who the server takes you for."""

    kind = serializers.ChoiceField(choices=["person", "client"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    roles = serializers.ListField(child=serializers.CharField())
    permissions = serializers.DictField(child=serializers.ChoiceField(choices=["all", "granted"]))


class AlwaysJson(DefaultContentNegotiation):
    """There is one representation; it is given whatever is accepted (RFC 9110 12.5.1)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """JSON."""
        return JSONRenderer(), "application/json"


class WhoAmI(APIView):
    """Roles and permissions of whoever asks."""

    content_negotiation_class = AlwaysJson

    @extend_schema(
        responses=OpenApiResponse(WhoAmIAnswer, "The principal with its rights and their scope"),
        summary="Who the server takes you for",
    )
    def get(self, request: Request) -> Response:
        """The principal with its rights and their scope."""
        principal = principal_of(request)
        return Response(
            {
                "kind": principal.kind,
                "id": principal.id,
                "name": principal.name,
                "roles": list(principal.roles),
                "permissions": permissions(principal),
            },
            headers={"Cache-Control": "no-store"},
        )


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from files of ours, without inline script or style."""

    template_name = "portal/api_docs.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> Response:
        """The page, or with ``?script`` its starting script."""
        response: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]
        response["Content-Security-Policy"] = DOCS_POLICY
        return response
