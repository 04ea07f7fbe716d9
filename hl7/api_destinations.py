"""``/api/hl7/destinations``: systems that are told of orders and reports, for programs."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from access.acting import Acting
from access.authentication import principal_of
from access.refused_change import RefusedChange
from access.step_up import require_recent
from hl7.api import NO_STORE, TAG, Conflict, OfInterfaces, given_in
from hl7.api_answers import LARGEST_ROW
from hl7.destinations import change, check, make, switch, try_out
from hl7.models import Hl7Interface
from hl7.outbound_models import Destination
from hl7.outbound_queue import Queue, queue_of, queues
from hl7.pages_door import write_down

_REFUSALS: Final = {
    400: OpenApiResponse(description="The request can't be understood"),
    403: OpenApiResponse(description="The caller has no right to interfaces, or has to confirm who they are"),
}
_NOT_THERE: Final = {404: OpenApiResponse(description="There is no such destination")}
_OF_BODY: Final = {
    409: OpenApiResponse(description="Another destination has this name"),
    415: OpenApiResponse(description="No JSON"),
}
_NUMBER: Final = OpenApiParameter(
    "number",
    {"type": "integer", "minimum": 0, "maximum": LARGEST_ROW, "pattern": "^[0-9]{1,19}$"},
    OpenApiParameter.PATH,
)
_VALUES: Final = (
    *("name", "host", "port", "tls", "ca", "interface", "echo", "order_message", "order_statuses", "report_statuses"),
    *("pdf", "answers", "version", "charset", "sending_application", "sending_facility", "receiving_application"),
    *("receiving_facility", "processing_id", "time_zone"),
)


@extend_schema_serializer(component_name="Hl7DestinationWish")
class DestinationWish(serializers.ModelSerializer[Destination]):
    """A destination. ``interface`` is the name of the interface by which the same system sends to us."""

    interface = serializers.SlugRelatedField(
        slug_field="name", queryset=Hl7Interface.objects.all(), required=False, allow_null=True
    )
    port = serializers.IntegerField(min_value=1, max_value=65535)
    enabled = serializers.BooleanField(required=False)

    class Meta:
        model = Destination
        fields = ("enabled", *_VALUES)
        # A name that is taken is a conflict.
        extra_kwargs = {
            "name": {"validators": [], "max_length": 100},
            "host": {"max_length": 253},
            "ca": {"max_length": 100_000},
            "time_zone": {"max_length": 60},
            **{name: {"max_length": 180} for name in _VALUES if name.startswith(("sending_", "receiving_"))},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """The rules of destinations, for what is sent with what is there (``hl7.destinations.check``)."""
        before = self.instance or Destination(host="", port=0)
        values = {name: getattr(before, name) for name in _VALUES} | attrs
        if wrong := check(values):
            raise serializers.ValidationError({name: [words] for name, words in wrong.items()})
        return attrs


@extend_schema_serializer(component_name="Hl7Destination")
class DestinationAnswer(DestinationWish):
    """A destination and how its queue is doing."""

    id = serializers.IntegerField()
    failures = serializers.IntegerField(help_text="connections without success since the last answer")
    error = serializers.CharField(allow_blank=True)
    waiting = serializers.IntegerField()
    retrying = serializers.IntegerField()
    held = serializers.IntegerField(help_text="behind one of the same patient that has to be tried again")
    dead = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True)
    delivered_at = serializers.DateTimeField(allow_null=True)

    class Meta(DestinationWish.Meta):
        fields = (  # type: ignore[assignment]
            *("id", "enabled", *_VALUES, "failures", "error", "waiting", "retrying", "held", "dead", "oldest"),
            "delivered_at",
        )


@extend_schema_serializer(component_name="Hl7Connection")
class ConnectionAnswer(serializers.Serializer[Any]):
    """Whether a destination can be connected to; ``error`` says why not."""

    connected = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)


def told(queue: Queue) -> dict[str, Any]:
    """A destination as JSON."""
    row = queue.destination
    values = {name: getattr(row, name) for name in ("enabled", *_VALUES, "failures", "error")}
    counts = {name: getattr(queue, name) for name in ("waiting", "retrying", "held", "dead", "oldest", "delivered_at")}
    return {"id": row.pk, **values, "interface": row.interface.name if row.interface else None, **counts}


class Destinations(OfInterfaces):
    """``/api/hl7/destinations``."""

    @extend_schema(
        operation_id="hl7_destinations",
        responses={200: OpenApiResponse(DestinationAnswer(many=True), "The destinations"), **_REFUSALS},
        tags=[TAG],
        summary="Systems that are told of orders and reports, and how their queues are doing",
    )
    def get(self, request: Request) -> Response:
        """All, by name."""
        body = [told(each) for each in queues()]
        write_down(request._request, principal_of(request), "hl7 destinations")
        return Response(body, headers=NO_STORE)

    @extend_schema(
        operation_id="hl7_destination_create",
        request=DestinationWish,
        responses={201: OpenApiResponse(DestinationAnswer, "The destination"), **_REFUSALS, **_OF_BODY},
        tags=[TAG],
        summary="A new destination",
    )
    def post(self, request: Request) -> Response:
        """Make it."""
        require_recent(request)
        values = given_in(DestinationWish(data=request.data))
        try:
            made = make(values, Acting(request._request, principal_of(request)))
        except RefusedChange as error:
            raise Conflict(str(error)) from error
        return Response(told(queue_of(made)), status=status.HTTP_201_CREATED, headers=NO_STORE)


class OneDestination(OfInterfaces):
    """``/api/hl7/destinations/<number>``."""

    @extend_schema(
        operation_id="hl7_destination",
        parameters=[_NUMBER],
        responses={200: OpenApiResponse(DestinationAnswer, "The destination"), **_REFUSALS, **_NOT_THERE},
        tags=[TAG],
        summary="One destination",
    )
    def get(self, request: Request, number: int) -> Response:
        """The destination."""
        body = told(queue_of(_destination(number)))
        write_down(request._request, principal_of(request), f"hl7 destination {number}")
        return Response(body, headers=NO_STORE)

    @extend_schema(
        operation_id="hl7_destination_change",
        parameters=[_NUMBER],
        request=DestinationWish(partial=True),
        responses={200: OpenApiResponse(DestinationAnswer, "The destination"), **_REFUSALS, **_NOT_THERE, **_OF_BODY},
        tags=[TAG],
        summary="Change a destination, or switch it on or off",
    )
    def patch(self, request: Request, number: int) -> Response:
        """What is sent changes, the rest stays."""
        require_recent(request)
        found, by = _destination(number), Acting(request._request, principal_of(request))
        values = given_in(DestinationWish(found, data=request.data, partial=True))
        enabled = values.pop("enabled", found.enabled)
        try:
            change(found, values, by)
        except RefusedChange as error:
            raise Conflict(str(error)) from error
        if enabled != found.enabled:
            switch(found, enabled=enabled, by=by)
        return Response(told(queue_of(found)), headers=NO_STORE)


class DestinationTrial(OfInterfaces):
    """``/api/hl7/destinations/<number>/try``."""

    @extend_schema(
        operation_id="hl7_destination_try",
        parameters=[_NUMBER],
        request=None,
        responses={200: OpenApiResponse(ConnectionAnswer, "What came of it"), **_REFUSALS, **_NOT_THERE},
        tags=[TAG],
        summary="Connect to a destination, and send nothing",
    )
    def post(self, request: Request, number: int) -> Response:
        """Try it."""
        require_recent(request)
        why = try_out(_destination(number), Acting(request._request, principal_of(request)))
        return Response({"connected": not why, "error": why}, headers=NO_STORE)


def _destination(number: int) -> Destination:
    found = Destination.objects.filter(pk=number).first() if number <= LARGEST_ROW else None
    if found is None:
        raise exceptions.NotFound
    return found
