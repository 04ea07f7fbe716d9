"""``/api/clients``: machines, apps and devices for programs that set them up."""

from typing import Any
from uuid import UUID

from django.db import transaction
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.client_activity import with_activity
from access.client_role import set_client_role
from access.clients import create_app, create_device
from access.custom_roles import is_role
from access.models import Client
from access.people import create_client, rotate_secret
from access.principal import Limit, LimitKind
from access.smart import DEFAULT_OF_APPS
from access.step_up import require_recent
from access.switching import set_active
from administration.api import NO_STORE, TAG, BadInput, Managed, given, in_path, refusals
from administration.api_lists import PAGING, Paging, part
from administration.api_people import LimitField
from administration.clients import find, has_secret

KINDS = ("machine", "device", "app")
NOT_THERE = "There is no client of this id"


class NewClient(serializers.Serializer):  # type: ignore[type-arg]
    """A machine needs ``role``, a device ``ae_title``, an app ``redirect_uris``."""

    kind = serializers.ChoiceField(choices=KINDS, default="machine")
    name = serializers.CharField(max_length=200)
    role = serializers.CharField(max_length=40, required=False)
    ae_title = serializers.CharField(max_length=16, required=False)
    redirect_uris = serializers.ListField(child=serializers.CharField(max_length=2_000), required=False, max_length=20)
    scopes = serializers.ListField(child=serializers.CharField(max_length=100), required=False, max_length=100)
    public = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What the kind needs is there."""
        needed = {"machine": "role", "device": "ae_title", "app": "redirect_uris"}[attrs["kind"]]
        if not attrs.get(needed):
            raise serializers.ValidationError({needed: ["this is needed"]})
        return attrs

    def validate_role(self, name: str) -> str:
        """A role that there is."""
        return known_role(name)


class ClientChange(serializers.Serializer):  # type: ignore[type-arg]
    """What of a client changes. Everything else that is sent is ignored."""

    is_active = serializers.BooleanField(required=False)
    role = serializers.CharField(max_length=40, required=False)
    limit = LimitField(required=False, allow_null=True, help_text="with role; none: no limit")
    reason = serializers.CharField(max_length=300, help_text="why; it stands in the trail")

    def validate_role(self, name: str) -> str:
        """A role that there is."""
        return known_role(name)


class ClientAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A client."""

    id = serializers.UUIDField()
    client_id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    role = serializers.CharField(allow_blank=True)
    limit = LimitField(allow_null=True)
    ae_title = serializers.CharField(allow_blank=True)
    scopes = serializers.ListField(child=serializers.CharField())
    redirect_uris = serializers.ListField(child=serializers.CharField())
    is_active = serializers.BooleanField()
    tokens = serializers.IntegerField(help_text="good now")
    created_at = serializers.DateTimeField()
    last_seen = serializers.DateTimeField(allow_null=True)


class ClientWithSecret(ClientAnswer):
    """A client, and a secret or key that is kept nowhere else."""

    secret = serializers.CharField(allow_blank=True)


def known_role(name: str) -> str:
    """``name`` if there is such a role. Raises ValidationError."""
    if not is_role(name):
        raise serializers.ValidationError("there is no such role")
    return name


def answer(client: Any) -> dict[str, Any]:
    """A client, with what it does, as JSON."""
    return {
        "id": client.external_id,
        "client_id": client.client_id,
        "name": client.name,
        "kind": "app" if client.is_app else "device" if client.ae_title else "machine",
        "role": client.role,
        "limit": {"kind": client.limit_kind, "values": client.limit_values} if client.limit_kind else None,
        "ae_title": client.ae_title,
        "scopes": client.scopes,
        "redirect_uris": client.redirect_uris.split(),
        "is_active": client.is_active,
        "tokens": client.tokens_now,
        "created_at": client.created,
        "last_seen": client.heard_at,
    }


class Clients(Managed):
    """``/api/clients``."""

    @extend_schema(
        operation_id="clients",
        parameters=list(PAGING),
        responses={200: OpenApiResponse(ClientAnswer(many=True), "The clients"), **refusals()},
        tags=[TAG],
        summary="Clients by name",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(Paging(data=request.query_params))
        found = part(with_activity(Client.objects.order_by("name")), asked, "name")
        return self.read(request, "clients", [answer(client) for client in found])

    @extend_schema(
        operation_id="client_create",
        request=NewClient,
        responses={
            201: OpenApiResponse(ClientWithSecret, "The client, with its secret or key"),
            **refusals(s409="The name or AE title is taken, or was once", s415="No JSON"),
        },
        tags=[TAG],
        summary="A new client, with its secret or key shown once",
    )
    def post(self, request: Request) -> Response:
        """Make it."""
        require_recent(request)
        sent, by = given(NewClient(data=request.data)), self.acting(request)
        try:
            match sent["kind"]:
                case "machine":
                    client, secret = create_client(sent["name"], sent["role"], by=by)
                case "device":
                    client, _, secret = create_device(sent["name"], sent["ae_title"], by=by)
                case _:
                    scopes = sent.get("scopes") or DEFAULT_OF_APPS
                    client, secret = create_app(
                        sent["name"], sent["redirect_uris"], scopes, public=sent["public"], by=by
                    )
        except ValueError as error:
            raise BadInput(str(error)) from error
        return Response({**answer(find(client.external_id)), "secret": secret}, status=201, headers=NO_STORE)


class OneClient(Managed):
    """``/api/clients/{client}``."""

    @extend_schema(
        operation_id="client",
        parameters=[in_path("client")],
        responses={200: OpenApiResponse(ClientAnswer, "The client"), **refusals(s404=NOT_THERE)},
        tags=[TAG],
        summary="One client",
    )
    def get(self, request: Request, client: UUID) -> Response:
        """The client."""
        return self.read(request, f"client {client}", answer(find(client)))

    @extend_schema(
        operation_id="client_change",
        parameters=[in_path("client")],
        request=ClientChange,
        responses={
            200: OpenApiResponse(ClientAnswer, "The client"),
            **refusals(s404=NOT_THERE, s409="Not allowed by the rules of the house", s415="No JSON"),
        },
        tags=[TAG],
        summary="Switch a client on or off, or change its role",
    )
    def patch(self, request: Request, client: UUID) -> Response:
        """All of it, or nothing."""
        require_recent(request)
        found, sent, by = find(client), given(ClientChange(data=request.data)), self.acting(request)
        with transaction.atomic():
            if "role" in sent:
                limit = sent.get("limit")
                wanted = Limit(LimitKind(limit["kind"]), tuple(limit["values"])) if limit else None
                set_client_role(found, sent["role"], wanted, reason=sent["reason"], by=by)
            if "is_active" in sent and sent["is_active"] != found.is_active:
                set_active(found, active=sent["is_active"], reason=sent["reason"], by=by)
        return Response(answer(find(client)), headers=NO_STORE)


class Secret(Managed):
    """``/api/clients/{client}/secret``."""

    @extend_schema(
        operation_id="client_secret",
        parameters=[in_path("client")],
        request=None,
        responses={
            201: OpenApiResponse(ClientWithSecret, "The client, with its secret or key"),
            **refusals(s404=f"{NOT_THERE}, or it has no secret"),
        },
        tags=[TAG],
        summary="A new secret, shown once; the old one and its tokens end",
    )
    def post(self, request: Request, client: UUID) -> Response:
        """Make it."""
        require_recent(request)
        found = find(client)
        if not has_secret(found):
            raise NotFound
        secret = rotate_secret(found, by=self.acting(request))
        return Response({**answer(find(client)), "secret": secret}, status=201, headers=NO_STORE)
