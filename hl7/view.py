"""``POST /hl7/v2``: one message over HTTP, its answer as the body (HL7 over HTTP, media type application/hl7-v2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from access import policy
from access.authentication import principal_of
from access.roles import Permission
from access.trail import event
from audit.kinds import REFUSED, Outcome
from audit.record import record
from hl7.errors import NotAMessage
from hl7.interfaces import Peer
from hl7.receive import receive

MEDIA_TYPE: Final = "application/hl7-v2"
# What an older convention calls it.
TAKEN: Final = frozenset({MEDIA_TYPE, "x-application/hl7-v2+er7"})


class TooLarge(exceptions.APIException):
    """413."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too-large"
    default_detail = "a message of this size isn't taken"


class _AnswerIsHl7(BaseContentNegotiation):
    """There is one representation of an answer, and refusals are problem details."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> None:
        return None

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), "application/json"


class Hl7V2(APIView):
    """``/hl7/v2``, for whoever may send messages. An interface that is bound to a certificate isn't reached here."""

    content_negotiation_class = _AnswerIsHl7
    parser_classes = ()

    @extend_schema(
        operation_id="sendHl7Message",
        summary="Send an HL7 v2 message",
        tags=["HL7 v2"],
        request={(MEDIA_TYPE): OpenApiTypes.BINARY},
        responses={
            (200, MEDIA_TYPE): OpenApiResponse(OpenApiTypes.STR, "The acknowledgement, whatever it says"),
            204: OpenApiResponse(description="The message asks for no answer"),
            400: OpenApiResponse(description="This is no HL7 v2 message"),
            403: OpenApiResponse(description="The caller may not send messages"),
            415: OpenApiResponse(description=f"The body is no {MEDIA_TYPE}"),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """Apply one message. It is in the trail with its effect (``hl7.trail``)."""
        principal = principal_of(request)
        if not policy.may(principal, Permission.MESSAGES):
            rule = f"right:{Permission.MESSAGES.value}"
            denied = {"decision": "deny", "rule": rule, "outcome": Outcome.MINOR_FAILURE}
            record([event(request._request, REFUSED, principal, **denied)])
            raise exceptions.PermissionDenied("your roles don't include the right to send messages")
        if request._request.headers.get("Content-Type", "").partition(";")[0].strip().lower() not in TAKEN:
            raise exceptions.UnsupportedMediaType(MEDIA_TYPE, f"expected {MEDIA_TYPE}")
        raw = _body(request)
        address = getattr(request._request, "client_address", "")
        try:
            answers = receive(raw, Peer("http", address, account=principal.id, account_name=principal.name))
        except NotAMessage:
            raise exceptions.ParseError("this is no HL7 v2 message") from None
        if answers.now is None:
            return HttpResponse(status=204)
        return HttpResponse(answers.now, content_type=MEDIA_TYPE)


def _body(request: Request) -> bytes:
    """The message, never more than is taken. Raises TooLarge, ParseError where it breaks off."""
    most: int = settings.PACS.hl7.frame_bytes
    declared: Any = request._request.headers.get("Content-Length", "0")
    if declared.isdigit() and int(declared) > most:
        raise TooLarge
    try:
        raw = request._request.read(most + 1)
    except OSError as error:
        raise exceptions.ParseError("the body ended early") from error
    if len(raw) > most:
        raise TooLarge
    return raw
