"""``/api/hl7/deliveries``: what is on its way, was delivered, and wasn't, for programs."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_serializer
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import principal_of
from hl7.api import NO_STORE, TAG, Conflict, OfInterfaces, given_in
from hl7.api_answers import LARGEST_ROW
from hl7.outbound_models import DeliveryState, OutboundMessage
from hl7.outbound_queue import NotPossible, deliveries, one
from hl7.pages_delivery import do, patient_ids, persons_of
from hl7.pages_door import CLOSED, is_closed, refuse, write_down
from hl7.shown_message import lines_of

_REFUSALS: Final = {
    400: OpenApiResponse(description="The request can't be understood"),
    403: OpenApiResponse(description="The caller has no right to interfaces, or the patient's record is closed"),
}
_NOT_THERE: Final = {404: OpenApiResponse(description="There is no such message")}
_STATE: Final = {409: OpenApiResponse(description="The state of the message doesn't allow it")}
_OF_BODY: Final = {415: OpenApiResponse(description="No JSON")}
LONGEST_PAGE: Final = 200
_NUMBER: Final = OpenApiParameter(
    "number",
    {"type": "integer", "minimum": 0, "maximum": LARGEST_ROW, "pattern": "^[0-9]{1,19}$"},
    OpenApiParameter.PATH,
)


@extend_schema_serializer(component_name="Hl7DeliveriesAsked")
class DeliveriesAsked(serializers.Serializer[Any]):
    """Which messages; ``before`` is the number of the last one of the page before."""

    state = serializers.ChoiceField(choices=["open", *DeliveryState.values], required=False, default="")
    destination = serializers.CharField(required=False, default="", max_length=100)
    before = serializers.IntegerField(required=False, default=None, min_value=1, max_value=LARGEST_ROW)
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=LONGEST_PAGE)


@extend_schema_serializer(component_name="Hl7Delivery")
class DeliveryAnswer(serializers.Serializer[Any]):
    """A message on its way; ``held_by`` is the one of the same patient that it waits behind."""

    id = serializers.IntegerField()
    destination = serializers.CharField()
    type = serializers.CharField()
    about = serializers.CharField()
    control_id = serializers.CharField()
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    attempts = serializers.IntegerField()
    made_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(allow_blank=True)
    held_by = serializers.IntegerField(allow_null=True)


@extend_schema_serializer(component_name="Hl7DeliveryWhole")
class WholeDelivery(DeliveryAnswer):
    """The same with the segments that are sent, and those of the last answer."""

    raw = serializers.ListField(child=serializers.CharField())
    answer = serializers.ListField(child=serializers.CharField())


@extend_schema_serializer(component_name="Hl7Deliveries")
class DeliveriesAnswer(serializers.Serializer[Any]):
    """A page; ``next`` is what to ask for the next one with, as ``before``."""

    deliveries = DeliveryAnswer(many=True)
    next = serializers.IntegerField(allow_null=True)


@extend_schema_serializer(component_name="Hl7GiveUp")
class GiveUpWish(serializers.Serializer[Any]):
    """Why a message isn't to be sent any more."""

    reason = serializers.CharField(max_length=300)


def told_delivery(row: OutboundMessage) -> dict[str, Any]:
    """A message as JSON, without its bytes."""
    names = ("type", "about", "control_id", "state", "attempts", "made_at", "next_at", "sent_at", "finished_at")
    values = {name: getattr(row, name) for name in (*names, "error", "held_by")}
    return {"id": row.pk, "destination": row.destination.name, **values}


class Deliveries(OfInterfaces):
    """``/api/hl7/deliveries``."""

    @extend_schema(
        operation_id="hl7_deliveries",
        parameters=[DeliveriesAsked],
        responses={200: OpenApiResponse(DeliveriesAnswer, "A page, the newest first"), **_REFUSALS},
        tags=[TAG],
        summary="Messages on their way, delivered, and given up",
    )
    def get(self, request: Request) -> Response:
        """Messages by state and destination."""
        asked = given_in(DeliveriesAsked(data=request._request.GET.dict()))
        limit = asked["limit"]
        rows = list(deliveries(asked["state"], asked["destination"], asked["before"])[: limit + 1])
        page = rows[:limit]
        body = {
            "deliveries": [told_delivery(each) for each in page],
            "next": page[-1].pk if len(rows) > limit else None,
        }
        write_down(request._request, principal_of(request), "hl7 deliveries")
        return Response(body, headers=NO_STORE)


class OneDelivery(OfInterfaces):
    """``/api/hl7/deliveries/<number>``."""

    @extend_schema(
        operation_id="hl7_delivery",
        parameters=[_NUMBER],
        responses={200: OpenApiResponse(WholeDelivery, "The message"), **_REFUSALS, **_NOT_THERE},
        tags=[TAG],
        summary="One message with its segments and the last answer",
    )
    def get(self, request: Request, number: int) -> Response:
        """All of it."""
        found = _delivery(request, number)
        about = patient_ids(found)
        write_down(request._request, principal_of(request), f"hl7 delivery {number}", patient_ids=about)
        answer = lines_of(bytes(found.answer)).lines if found.answer is not None else ()
        body = {**told_delivery(found), "raw": lines_of(bytes(found.raw)).lines, "answer": answer}
        return Response(body, headers=NO_STORE)


class Retry(OfInterfaces):
    """``/api/hl7/deliveries/<number>/retry``."""

    @extend_schema(
        operation_id="hl7_delivery_retry",
        parameters=[_NUMBER],
        request=None,
        responses={200: OpenApiResponse(DeliveryAnswer, "The message"), **_REFUSALS, **_NOT_THERE, **_STATE},
        tags=[TAG],
        summary="Send a message again that was given up, or waits for its next attempt",
    )
    def post(self, request: Request, number: int) -> Response:
        """Send it."""
        return _done(request, number, "retry", "")


class GivingUp(OfInterfaces):
    """``/api/hl7/deliveries/<number>/give-up``."""

    @extend_schema(
        operation_id="hl7_delivery_give_up",
        parameters=[_NUMBER],
        request=GiveUpWish,
        responses={
            200: OpenApiResponse(DeliveryAnswer, "The message"),
            **_REFUSALS,
            **_NOT_THERE,
            **_STATE,
            **_OF_BODY,
        },
        tags=[TAG],
        summary="Send a message no more, so that those behind it go out",
    )
    def post(self, request: Request, number: int) -> Response:
        """Give it up."""
        return _done(request, number, "give_up", given_in(GiveUpWish(data=request.data))["reason"])


def _delivery(request: Request, number: int) -> OutboundMessage:
    """Raises NotFound, and PermissionDenied with its event."""
    found = one(number) if number <= LARGEST_ROW else None
    if found is None:
        raise exceptions.NotFound
    if is_closed(principal_of(request), persons_of(found)):
        refuse(request._request, principal_of(request), CLOSED, patient_ids=patient_ids(found))
    return found


def _done(request: Request, number: int, action: str, reason: str) -> Response:
    found = _delivery(request, number)
    try:
        do(found, action, reason, request._request, principal_of(request))
    except NotPossible as error:
        raise Conflict(str(error)) from error
    return Response(told_delivery(deliveries().get(pk=number)), headers=NO_STORE)
