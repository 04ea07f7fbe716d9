"""The change feed: ``GET /changefeed`` and ``/changefeed/latest``, in the form of Azure's DICOM service.

Two things are different. ``includemetadata`` is off by default, and needs the right to retrieve: news are not images.
And ``since`` is offered beside ``offset``: it is always a position. Without a window of time ``offset`` is the same,
positions having no gaps; with one it skips so many entries of the window.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.policy import may, visible_studies, withheld
from access.roles import Permission
from access.trail import event
from archive.change_feed import Change, Window, changes, latest, metadata_of
from audit import kinds
from audit.record import record
from dicomweb.attribute_filter import without
from dicomweb.errors import BadRequest
from dicomweb.media_types import Representation
from dicomweb.view import DicomwebView, dicomweb_root

DEFAULT_LIMIT = 100
MOST = 1000
# Also what is asked for as application/json.
_JSON = Representation("application/dicom+json", None, multipart=False)
_NUMBER = re.compile(r"[0-9]{1,18}")
_OF_LATEST = frozenset({"includemetadata", "accept"})
_OF_FEED = _OF_LATEST | {"offset", "since", "limit", "starttime", "endtime"}

_INCLUDE = OpenApiParameter("includemetadata", OpenApiTypes.BOOL, description="with the metadata of what is stored")
_PARAMETERS = [
    OpenApiParameter("since", OpenApiTypes.INT, description="only entries after this sequence"),
    OpenApiParameter("offset", OpenApiTypes.INT, description="the same; with a window of time, skip so many entries"),
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {MOST}, {DEFAULT_LIMIT} by default"),
    OpenApiParameter("startTime", OpenApiTypes.DATETIME, description="only entries of this time or later"),
    OpenApiParameter("endTime", OpenApiTypes.DATETIME, description="only entries before this time"),
    _INCLUDE,
]


class _FeedView(DicomwebView):
    permission = Permission.SEARCH
    event = kinds.SEARCH

    def answer(self, request: HttpRequest, found: Sequence[Change], with_metadata: bool) -> list[dict[str, Any]]:
        """The entries as JSON objects, with the record of the search and of what was read for it."""
        metadata: Mapping[str, bytes] = {}
        principal = principal_of(request)
        events = [
            event(
                request,
                self.event,
                principal,
                query=request.META.get("QUERY_STRING", ""),
                instance_count=len(found),
            )
        ]
        if with_metadata:
            if not may(principal, Permission.RETRIEVE):
                raise PermissionDenied("your role does not include the right to retrieve, which metadata needs")
            read = metadata_of(found, visible_studies(principal, Permission.RETRIEVE), dicomweb_root(request))
            hidden = withheld(principal, Permission.RETRIEVE)
            metadata = {uid: without(text, hidden) for uid, text in read.items()}
        if metadata:
            studies = {change.study_instance_uid for change in found if change.sop_instance_uid in metadata}
            events.append(
                event(
                    request,
                    kinds.ACCESS,
                    principal,
                    query="metadata",
                    study_uids=sorted(studies),
                    instance_count=len(metadata),
                )
            )
        record(events)
        return [_entry(change, metadata.get(change.sop_instance_uid)) for change in found]


class ChangeFeed(_FeedView):
    """``GET /changefeed``."""

    @extend_schema(
        operation_id="changefeed",
        summary="What was created and deleted, in order",
        parameters=_PARAMETERS,
        responses={(200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """Entries in the order of their sequence."""
        self.negotiate(request, [_JSON])
        values = _parameters(request, _OF_FEED)
        window = _window(values)
        found = changes(self.scope(request), window)
        return _json(self.answer(request, found, _flag(values, "includemetadata")))


class LatestChange(_FeedView):
    """``GET /changefeed/latest``."""

    @extend_schema(
        operation_id="changefeed_latest",
        summary="The last entry of the change feed",
        parameters=[_INCLUDE],
        responses={(200, "application/json"): OpenApiTypes.OBJECT, 204: None},
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """The last entry; 204 if there is none."""
        self.negotiate(request, [_JSON])
        values = _parameters(request, _OF_LATEST)
        last = latest(self.scope(request))
        entries = self.answer(request, [last] if last else [], _flag(values, "includemetadata"))
        return _json(entries[0]) if entries else HttpResponse(status=204)


def _parameters(request: HttpRequest, known: frozenset[str]) -> dict[str, str]:
    """Names without regard to case. What is unknown is refused: a reader whose ``since`` is misspelt starts anew."""
    values: dict[str, str] = {}
    for given, texts in request.GET.lists():
        name = given.lower()
        if name not in known:
            raise BadRequest("unknown parameter; known are " + ", ".join(sorted(known)))
        if name != "accept" and (name in values or len(texts) > 1):
            raise BadRequest(f"{name} is given twice")
        values[name] = texts[0]
    return values


def _window(values: Mapping[str, str]) -> Window:
    limit = _number(values, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MOST:
        raise BadRequest(f"limit: expected a whole number from 1 to {MOST}")
    start, end = _time(values, "starttime"), _time(values, "endtime")
    if start and end and start >= end:
        raise BadRequest("startTime: expected a time before endTime")
    since, offset = _number(values, "since", 0), _number(values, "offset", 0)
    if start or end:
        return Window(since=since, start=start, end=end, skip=offset, limit=limit)
    return Window(since=max(since, offset), limit=limit)


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"{name}: expected a whole number of at most 18 digits")
    return int(text)


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "false").lower()
    if text not in ("true", "false"):
        raise BadRequest(f"{name}: expected true or false")
    return text == "true"


def _time(values: Mapping[str, str], name: str) -> datetime | None:
    """A time of ISO 8601; one without an offset is UTC."""
    text = values.get(name)
    if text is None:
        return None
    try:
        # A plus sign that was not percent-encoded has become a space.
        found = datetime.fromisoformat(re.sub(r" (?=\d\d:?\d\d$)", "+", text) if "T" in text else text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{name}: expected a time like 2026-01-31T12:00:00Z") from error


def _entry(change: Change, metadata: bytes | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "sequence": change.position,
        "studyInstanceUid": change.study_instance_uid,
        "seriesInstanceUid": change.series_instance_uid,
        "sopInstanceUid": change.sop_instance_uid,
        "action": change.action,
        "timestamp": change.timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "state": change.state,
    }
    if metadata is not None:
        entry["metadata"] = orjson.Fragment(metadata)
    return entry


def _json(body: Any) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), content_type="application/json")
