"""``GET /subscribers/{aetitle}``: the Notification Connection, a WebSocket on which events come (PS3.18 8.10.4).

``after=N`` says what was seen last, where a subscriber keeps account itself; without it the events begin behind the
last one that an earlier channel has confirmed. The request is answered like any other; then its connection leaves the
web worker for ``dicomweb.channels``.
"""

import base64
import binascii
import re
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from wsproto.utilities import generate_accept_token

from access.again import credentials_of
from access.authentication import principal_of
from access.roles import Permission
from audit import kinds
from dicomweb.channels import Opening, channels
from dicomweb.errors import BadRequest, NoChannels, NoUpgrade, TooManyChannels
from dicomweb.view import DicomwebView
from dicomweb.workitem_subscriptions import entity_of, own_title
from workitems.subscriptions import subscriber_of

_VERSION: Final = "13"
_NUMBER: Final = re.compile(r"[0-9]{1,18}")


class EventChannel(DicomwebView):
    """The channel of one application entity, for whom its title belongs to."""

    permission = Permission.WORKITEMS_READ
    event = kinds.WORKITEM_WATCHED

    @extend_schema(
        operation_id="workitem_event_channel",
        summary="Open the channel on which events of workitems come, a WebSocket (PS3.18 8.10.4)",
        parameters=[
            OpenApiParameter("after", OpenApiTypes.INT, description="the number of the last event that was seen"),
        ],
        responses={
            101: OpenApiResponse(description="A WebSocket; each message is one event as DICOM JSON"),
            403: OpenApiResponse(description="The AE title is somebody else's, or the request came from another site"),
            426: OpenApiResponse(description="The request asks for no WebSocket of version 13"),
            503: OpenApiResponse(description="There are as many channels as there may be"),
        },
    )
    def get(self, request: HttpRequest, title: str) -> HttpResponse:
        """101, and the connection is a channel from then on."""
        if not _asks_for_websocket(request):
            raise NoUpgrade(f"ask for Upgrade: websocket, version {_VERSION}")
        key = _key(request)
        _refuse_other_sites(request)
        entity, after = entity_of(request, title), _after(request)
        if not hasattr(request.META.get("gunicorn.socket"), "successor"):
            raise NoChannels("this server can't give a connection away")
        if not channels().has_room(entity.holder):
            raise TooManyChannels("there are as many channels as there may be")
        with own_title(), transaction.atomic():
            subscriber = subscriber_of(entity)
            if after is not None and after > subscriber.last_number:
                raise BadRequest("after: there is no event of this number yet")
            self.record(request, query=f"event channel of {entity.ae_title}")
        number = subscriber.received if after is None else after
        opening = Opening(subscriber.pk, principal_of(request).id, number, credentials_of(request))
        answer = _switched(key)
        # With the answer, not with the request: if anything on its way out makes it an error, the connection stays.
        answer.successor = partial(channels().attach, opening)  # type: ignore[attr-defined]
        return answer


def _asks_for_websocket(request: HttpRequest) -> bool:
    words = {word.strip().lower() for word in request.headers.get("Connection", "").split(",")}
    upgrade = request.method == "GET" and request.headers.get("Upgrade", "").strip().lower() == "websocket"
    return upgrade and "upgrade" in words and request.headers.get("Sec-WebSocket-Version", "").strip() == _VERSION


def _key(request: HttpRequest) -> bytes:
    """Sec-WebSocket-Key: 16 bytes in base64 (RFC 6455 4.2.1). Raises ``BadRequest``."""
    text = request.headers.get("Sec-WebSocket-Key", "").strip()
    try:
        valid = len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise BadRequest("Sec-WebSocket-Key: expected 16 bytes in base64")
    return text.encode()


def _refuse_other_sites(request: HttpRequest) -> None:
    """A browser sends the cookie with WebSockets of any page, and always says of which: it must be ours."""
    if "Authorization" in request.headers:
        return
    ours = {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}
    if request.headers.get("Origin") not in ours:
        raise PermissionDenied("this request comes from another site")


def _after(request: HttpRequest) -> int | None:
    text = request.GET.get("after")
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise BadRequest("after: expected a number")
    return int(text)


def _switched(key: bytes) -> HttpResponse:
    answer = HttpResponse(status=101)
    headers: dict[str, Any] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": generate_accept_token(key).decode(),
    }
    for name, value in headers.items():
        answer[name] = value
    return answer
