"""Subscribe, Unsubscribe and Suspend Global Subscription (PS3.18 11.10 to 11.12).

An AE title belongs to the person or machine that used it first: nobody subscribes or unsubscribes somebody else, but
whoever manages may end what others began.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.policy import may
from access.roles import Permission
from audit import kinds
from dicomweb.errors import BadRequest
from dicomweb.view import dicomweb_root
from dicomweb.workitem_view import WorkItemView, ae_title_in, empty
from workitems.events import FILTERED
from workitems.matching import path_of
from workitems.subscriptions import (
    WORKLISTS,
    Entity,
    TitleTaken,
    subscribe,
    subscribe_to_worklist,
    suspend,
    unsubscribe,
)

_BOOLEANS: Final = {"true": True, "false": False}
# A comma between keys; those within a value are of the value.
_BETWEEN_KEYS: Final = re.compile(r",(?=[A-Za-z0-9.]+=)")
_IGNORED: Final = frozenset({"accept", "charset", "deletionlock"})
_LOCK = OpenApiParameter(
    "deletionlock", OpenApiTypes.BOOL, description="the workitem stays after its end until the lock is let go"
)
_FILTER = OpenApiParameter(
    "filter", description="matching keys of a filtered worklist: `WorklistLabel=AI,ProcedureStepState=SCHEDULED`"
)
_MISSING = OpenApiResponse(description="There is no such workitem, or no such subscription")
_TAKEN = OpenApiResponse(description="The AE title is somebody else's")


class _SubscriptionView(WorkItemView):
    permission = Permission.WORKITEMS_READ
    event = kinds.WORKITEM_WATCHED


class WorkItemSubscriber(_SubscriptionView):
    """The subscription of one application entity to a workitem, or to a worklist by one of its well-known UIDs."""

    @extend_schema(
        operation_id="workitem_subscribe",
        summary="Subscribe to a workitem or a worklist (PS3.18 11.10)",
        parameters=[_LOCK, _FILTER],
        request=None,
        responses={
            201: OpenApiResponse(description="Content-Location names the channel on which events come"),
            400: OpenApiResponse(description="A parameter is malformed, or a filter is missing"),
            403: _TAKEN,
            404: _MISSING,
        },
    )
    def post(self, request: HttpRequest, workitem: str, title: str) -> HttpResponse:
        """201, with the URL of the event channel."""
        entity, lock = entity_of(request, title), _deletion_lock(request)
        said = f"subscribe {entity.ae_title} to {workitem}"
        with own_title(), transaction.atomic():
            if workitem in WORKLISTS:
                matches = self._filter(request) if workitem == FILTERED else None
                subscribe_to_worklist(entity, self.reach(request), matches, deletion_lock=lock)
                self.record(request, query=said)
            else:
                item = subscribe(entity, self.reach(request), workitem, deletion_lock=lock)
                self.record(request, query=said, study_uids=item.study_instance_uids)
        answer = empty(201)
        answer["Content-Location"] = f"{_websocket(dicomweb_root(request))}/subscribers/{entity.ae_title}"
        return answer

    @extend_schema(
        operation_id="workitem_unsubscribe",
        summary="Unsubscribe from a workitem or a worklist (PS3.18 11.11)",
        responses={200: OpenApiResponse(description="No more events, and no lock"), 403: _TAKEN, 404: _MISSING},
    )
    def delete(self, request: HttpRequest, workitem: str, title: str) -> HttpResponse:
        """200; events that are written already are still told."""
        entity = entity_of(request, title)
        with own_title(), transaction.atomic():
            unsubscribe(entity, workitem)
            self.record(request, query=f"unsubscribe {entity.ae_title} from {workitem}")
        return empty(200)

    def _filter(self, request: HttpRequest) -> Sequence[tuple[str, str]]:
        """The matching keys. Raises ``BadRequest``, and PermissionDenied for what the principal is not shown."""
        matches = _matches(request)
        withheld = self.withheld(request)
        if any(not withheld.isdisjoint(path_of(name) or ()) for name, _ in matches):
            raise PermissionDenied("your role is not shown one of the attributes that this filter matches")
        return matches


class SuspendedSubscription(_SubscriptionView):
    """The end of a worklist's subscription for what is still to come."""

    @extend_schema(
        operation_id="workitem_suspend",
        summary="Suspend the subscription of a worklist (PS3.18 11.12)",
        request=None,
        responses={200: OpenApiResponse(description="No new workitems"), 403: _TAKEN, 404: _MISSING},
    )
    def post(self, request: HttpRequest, workitem: str, title: str) -> HttpResponse:
        """200; workitems that are subscribed to go on being told."""
        entity = entity_of(request, title)
        with own_title(), transaction.atomic():
            suspend(entity, workitem)
            self.record(request, query=f"suspend {entity.ae_title} for {workitem}")
        return empty(200)


def entity_of(request: HttpRequest, title: str) -> Entity:
    """The application entity that a request is about. Raises ``BadRequest`` for what is no AE title."""
    principal = principal_of(request)
    return Entity(ae_title_in(title), principal.id, manages=may(principal, Permission.MANAGE))


@contextmanager
def own_title() -> Iterator[None]:
    """A title that is somebody else's is refused like any other right (PS3.18 table 11.10.3-1: 403)."""
    try:
        yield
    except TitleTaken as error:
        raise PermissionDenied(str(error)) from error


def _deletion_lock(request: HttpRequest) -> bool:
    given = request.GET.get("deletionlock", "false").lower()
    if given not in _BOOLEANS:
        raise BadRequest("deletionlock: expected true or false")
    return _BOOLEANS[given]


def _matches(request: HttpRequest) -> Sequence[tuple[str, str]]:
    """The matching keys of ``filter`` (PS3.18 11.10.1.2), and those given by themselves as in earlier editions."""
    limits = settings.PACS.limits
    most, longest = limits.search_parameters, limits.search_value_characters
    found: list[tuple[str, str]] = []
    for name, value in request.GET.lists():
        for each in value:
            if name == "filter":
                found += [_pair(piece) for piece in _BETWEEN_KEYS.split(each)]
            elif name not in _IGNORED:
                found.append((name, each))
    if not found:
        raise BadRequest("filter: a filtered worklist needs at least one key")
    if len(found) > most or any(len(text) > longest or "\x00" in text for _, text in found):
        raise BadRequest(f"filter: more than {most} keys, or a value of more than {longest} characters")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise BadRequest("filter: expected keys of the form attribute=value with commas between them")
    return name, value


def _websocket(url: str) -> str:
    """``ws`` for ``http``, ``wss`` for ``https``."""
    return f"ws{url.removeprefix('http')}"
