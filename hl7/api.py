"""``/api/hl7/...``: interfaces and messages for programs, with the same rights and events as the pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.authentication import principal_of
from access.principal import Principal
from audit.bounded import bounded
from audit.kinds import ORDER_RECORD
from hl7 import api_answers as answers
from hl7.errors import NotAMessage, Refused
from hl7.feeds import feeds
from hl7.message_search import kept
from hl7.models import Hl7Message
from hl7.pages_door import CLOSED, about, is_closed, may_look, open_ones, refuse, write_down
from hl7.pages_parked import attempt_one
from hl7.preview import Preview
from hl7.replay import NotReplayable

TAG: Final = "HL7 v2"
NO_STORE: Final = {"Cache-Control": "no-store"}
_MESSAGE: Final = OpenApiParameter(
    "message",
    {"type": "integer", "minimum": 0, "maximum": answers.LARGEST_ROW, "pattern": "^[0-9]{1,19}$"},
    OpenApiParameter.PATH,
)
REFUSALS: Final = {
    400: OpenApiResponse(description="The request can't be understood"),
    403: OpenApiResponse(description="The caller has no right to interfaces, or the patient's record is closed"),
}
_OF_ONE: Final = REFUSALS | {404: OpenApiResponse(description="There is no such message")}
NO_JSON: Final = {415: OpenApiResponse(description="The body is no JSON")}
_OF_WAITING: Final = {
    **_OF_ONE,
    **NO_JSON,
    409: OpenApiResponse(description="It doesn't wait, or can't be applied; says why"),
}


class BadInput(exceptions.APIException):
    """400; the text names what is wrong, and no value."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid"


class Conflict(exceptions.APIException):
    """409: as things are that can't be done; the text says why."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class TooLong(exceptions.APIException):
    """503: the question takes too long."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "too-long"
    default_detail = "that takes too long: ask about a shorter time, or about one interface"


class _AlwaysJson(DefaultContentNegotiation):
    """There is one representation; it is given whatever is accepted (RFC 9110 12.5.1)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), "application/json"


class OfInterfaces(APIView):
    """For whoever has the right to interfaces."""

    content_negotiation_class = _AlwaysJson

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before every method. Raises MethodNotAllowed, and PermissionDenied with its event."""
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            raise exceptions.MethodNotAllowed(request.method or "")
        if not may_look(principal_of(request)):
            refuse(request._request, principal_of(request), "your roles don't include the right to interfaces")


class Interfaces(OfInterfaces):
    """``/api/hl7/interfaces``."""

    @extend_schema(
        operation_id="hl7_interfaces",
        responses={200: OpenApiResponse(answers.InterfaceAnswer(many=True), "Each interface"), **REFUSALS},
        tags=[TAG],
        summary="How each interface runs",
    )
    def get(self, request: Request) -> Response:
        """All interfaces by name."""
        body = [answers.told_feed(each) for each in feeds(timezone.now())]
        write_down(request._request, principal_of(request), "hl7 interfaces")
        return Response(body, headers=NO_STORE)


class Messages(OfInterfaces):
    """``/api/hl7/messages``."""

    @extend_schema(
        operation_id="hl7_messages",
        parameters=[answers.MessagesAsked],
        responses={
            200: OpenApiResponse(answers.MessagesAnswer, "A page, the newest message first"),
            **REFUSALS,
            503: OpenApiResponse(description="The question takes too long"),
        },
        tags=[TAG],
        summary="HL7 messages that came, and what became of them",
    )
    def get(self, request: Request) -> Response:
        """Messages by what says nothing of a patient."""
        return _page(request, answers.MessagesAsked(data=request._request.GET.dict()))


class MessageSearch(OfInterfaces):
    """``/api/hl7/messages/search``."""

    @extend_schema(
        operation_id="hl7_messages_search",
        request=answers.MessagesSought,
        responses={
            200: OpenApiResponse(answers.MessagesAnswer, "A page, the newest message first"),
            **REFUSALS,
            **NO_JSON,
            503: OpenApiResponse(description="The question takes too long"),
        },
        tags=[TAG],
        summary="The same, also by a patient's or an order's number",
    )
    def post(self, request: Request) -> Response:
        """Messages by anything; a patient's identifier is never part of an address."""
        return _page(request, answers.MessagesSought(data=request.data))


class OneMessage(OfInterfaces):
    """``/api/hl7/messages/<message>``."""

    @extend_schema(
        operation_id="hl7_message",
        parameters=[_MESSAGE],
        responses={200: OpenApiResponse(answers.OneMessageAnswer, "The message"), **_OF_ONE},
        tags=[TAG],
        summary="One message with its bytes and its answer",
    )
    def get(self, request: Request, message: int) -> Response:
        """All of a message."""
        found, patient_ids = _opened(request, message)
        write_down(request._request, principal_of(request), f"hl7 message {message}", patient_ids=patient_ids)
        return Response(answers.told_whole(found), headers=NO_STORE)


class Replay(OfInterfaces):
    """``/api/hl7/messages/<message>/replay``."""

    @extend_schema(
        operation_id="hl7_message_replay",
        parameters=[_MESSAGE],
        request=answers.ReplayWish,
        responses={200: OpenApiResponse(answers.ReplayAnswer, "What was done, or would be"), **_OF_WAITING},
        tags=[TAG],
        summary="Apply a message that waits once more, or say what that would do",
    )
    def post(self, request: Request, message: int) -> Response:
        """Apply it by the profile that its interface has now."""
        wish = given_in(answers.ReplayWish(data=request.data))
        what = "try" if wish["dry_run"] else "replay"
        found = _act(request, message, what, wish["reason"]) or Preview((), ())
        return Response(answers.told_replay(message, found, dry_run=wish["dry_run"]), headers=NO_STORE)


class Dismissal(OfInterfaces):
    """``/api/hl7/messages/<message>/dismissal``."""

    @extend_schema(
        operation_id="hl7_message_dismiss",
        parameters=[_MESSAGE],
        request=answers.DismissalWish,
        responses={204: OpenApiResponse(description="It doesn't wait any more, and is kept"), **_OF_WAITING},
        tags=[TAG],
        summary="Nothing is to be done about a message",
    )
    def post(self, request: Request, message: int) -> Response:
        """It is kept as it is."""
        _act(request, message, "discard", given_in(answers.DismissalWish(data=request.data))["reason"])
        return Response(status=status.HTTP_204_NO_CONTENT, headers=NO_STORE)


def _page(request: Request, form: serializers.Serializer[Any]) -> Response:
    given = given_in(form)
    asked, limit = answers.question(given), given["limit"]
    try:
        with bounded(statement_seconds=settings.PACS.limits.search_seconds):
            rows = asked.page(given.get("before"), limit + 1)
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        raise TooLong from error
    page = open_ones(principal_of(request), asked, rows[:limit])
    patient_ids = (asked.patient,) if asked.patient else ()
    what = f"hl7 messages {asked.words()}".strip()
    write_down(request._request, principal_of(request), what, patient_ids=patient_ids)
    following = rows[limit - 1].pk if len(rows) > limit else None
    body = {"messages": [answers.told(each) for each in page], "next": following}
    return Response(body, headers=NO_STORE)


def _opened(request: Request, number: int) -> tuple[Hl7Message, tuple[str, ...]]:
    """The message and the Patient IDs in it. Raises NotFound, and PermissionDenied with its event."""
    found = kept().defer(None).filter(pk=number).first() if number <= answers.LARGEST_ROW else None
    if found is None:
        raise exceptions.NotFound
    patient_ids, persons = about(found)
    if is_closed(principal_of(request), persons):
        refuse(request._request, principal_of(request), CLOSED, patient_ids=patient_ids)
    return found, tuple(patient_ids)


def _act(request: Request, number: int, what: str, reason: str) -> Preview | None:
    """Do it, with its event. Raises Conflict where the message doesn't wait, or can't be applied."""
    principal: Principal = principal_of(request)
    _, patient_ids = _opened(request, number)
    try:
        done = attempt_one(number, what, reason, principal.name)
    except Refused as refused:
        raise Conflict(f"{int(refused.condition)} {refused.place or ''} {refused.text}") from refused
    except (NotReplayable, NotAMessage) as error:
        raise Conflict("there is no such message that waits") from error
    told = {"outcome_description": reason, "patient_ids": patient_ids}
    write_down(request._request, principal, f"hl7 {what} {number}", kind=ORDER_RECORD, **told)
    return done


def given_in(form: serializers.Serializer[Any]) -> dict[str, Any]:
    if not form.is_valid():
        raise BadInput("; ".join(f"{name}: {_words(errors)}" for name, errors in form.errors.items()))
    checked: dict[str, Any] = form.validated_data
    return checked


def _words(errors: Any) -> str:
    codes = [getattr(each, "code", "") for each in errors]
    return "is none of those there are" if "invalid_choice" in codes else " ".join(map(str, errors))
