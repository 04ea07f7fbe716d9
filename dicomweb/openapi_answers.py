"""Answers of the DICOMweb resources as OpenAPI 3.0 objects; refusals come from the one table of ``dicomweb.errors``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import OperationalError
from rest_framework import exceptions

from access.retrying import LEAST_SECONDS
from archive.errors import (
    ArchiveDamaged,
    ArchiveFull,
    ArchiveUnavailable,
    Conflict,
    InvalidQuery,
    NotFound,
    NotRenderable,
)
from audit.record import AuditUnavailable
from dicomweb.bulkdata import RetrieveBulkData
from dicomweb.bulkdata_sets import RetrieveBulkDataSet
from dicomweb.capabilities import Capabilities
from dicomweb.change_feed import ChangeFeed, LatestChange
from dicomweb.commitment import Commitment
from dicomweb.delete import DeleteView
from dicomweb.errors import (
    PROBLEMS,
    BadRequest,
    BodyAborted,
    NoChannels,
    NotAcceptable,
    NoUpgrade,
    RangeNotSatisfiable,
    TooLarge,
    TooManyChannels,
    UnsupportedMediaType,
)
from dicomweb.event_channel import EventChannel
from dicomweb.extended_tags import (
    ChangeTag,
    DeclareTags,
    ExtendedTagErrors,
    ExtendedTagOperation,
    ListTags,
    ReadTag,
)
from dicomweb.frames import RetrieveFrames
from dicomweb.metadata import RetrieveMetadata
from dicomweb.multipart import MultipartError
from dicomweb.performed import ReadPerformed, ReportPerformed
from dicomweb.pixeldata import RetrievePixelData
from dicomweb.qido import SearchView
from dicomweb.rendered import RetrieveRendered
from dicomweb.rendered_sets import RetrieveRenderedFrames, RetrieveRenderedSet
from dicomweb.stow import StoreView
from dicomweb.thumbnails import RetrieveThumbnail
from dicomweb.view import DicomwebView
from dicomweb.wado import RetrieveInstances
from dicomweb.wado_uri import WadoUri
from dicomweb.workitem import RetrieveWorkItem, UpdateWorkItem
from dicomweb.workitem_release import ReleaseWorkItem
from dicomweb.workitem_state import WorkItemCancellation, WorkItemState
from dicomweb.workitem_subscriptions import SuspendedSubscription, WorkItemSubscriber
from dicomweb.workitems import CreateWorkItem, SearchWorkItems
from dicomweb.worklist import ScheduledSteps
from workitems.errors import Gone
from worklist.performed_rules import InvalidPerformedStep

Json = dict[str, Any]
PROBLEM_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Answers:
    """What one method of a resource answers: its successes, and what may go wrong besides ``_ANYWHERE``."""

    statuses: tuple[int, ...]
    refusals: tuple[type[Exception], ...] = ()
    schema: str = ""  # of JSON; "" for bytes
    # Header fields of a success besides X-Request-ID
    fields: tuple[str, ...] = ()


# Whoever asks, whatever for: the database and the trail may be away.
_ANYWHERE: Final = (BadRequest, exceptions.NotAuthenticated, AuditUnavailable, OperationalError)
_READING: Final = (exceptions.PermissionDenied, NotAcceptable, NotFound, ArchiveDamaged, ArchiveUnavailable)
_BODY: Final = (exceptions.PermissionDenied, BodyAborted, UnsupportedMediaType, TooLarge, ArchiveUnavailable)
_PARTS: Final = ("Accept-Ranges", "ETag", "Last-Modified", "Vary")
_TAGS: Final = (exceptions.PermissionDenied, NotAcceptable)
_OF_PARTS: Final = Answers((200, 206, 304), (*_READING, RangeNotSatisfiable), fields=_PARTS)
_RENDERED: Final = Answers((200,), (*_READING, NotRenderable, InvalidQuery), fields=("Warning",))
_WORK: Final = Answers(
    (200,), (*_BODY, MultipartError, NotFound, Gone, Conflict), fields=("Content-Location", "Warning")
)
_WATCHED: Final = (exceptions.PermissionDenied, NotFound)
ANSWERS: Final[Mapping[tuple[type[DicomwebView], str], Answers]] = {
    (SearchView, "get"): Answers(
        (200, 204),
        (exceptions.PermissionDenied, NotAcceptable, InvalidQuery, ArchiveUnavailable),
        "DataSets",
        ("Warning", "X-Total-Count", "Link"),
    ),
    (RetrieveInstances, "get"): _OF_PARTS,
    (RetrieveFrames, "get"): Answers(_OF_PARTS.statuses, (*_OF_PARTS.refusals, NotRenderable), fields=_PARTS),
    (RetrieveBulkData, "get"): Answers(_OF_PARTS.statuses, (*_OF_PARTS.refusals, NotRenderable), fields=_PARTS),
    (RetrievePixelData, "get"): Answers(_OF_PARTS.statuses, (*_OF_PARTS.refusals, NotRenderable), fields=_PARTS),
    (RetrieveBulkDataSet, "get"): Answers((200,), (*_READING, NotRenderable)),
    (RetrieveMetadata, "get"): Answers((200, 304), _READING, "DataSets", ("ETag", "Vary")),
    (RetrieveRendered, "get"): _RENDERED,
    (RetrieveRenderedFrames, "get"): _RENDERED,
    (RetrieveRenderedSet, "get"): _RENDERED,
    (RetrieveThumbnail, "get"): Answers(_OF_PARTS.statuses, (*_OF_PARTS.refusals, NotRenderable), fields=_PARTS),
    (WadoUri, "get"): Answers(_OF_PARTS.statuses, (*_OF_PARTS.refusals, NotRenderable)),
    (StoreView, "post"): Answers((200, 202, 409), (*_BODY, MultipartError, ArchiveFull), "DataSet"),
    (DeleteView, "delete"): Answers((204,), (exceptions.PermissionDenied, NotFound, ArchiveUnavailable)),
    (ChangeFeed, "get"): Answers((200,), (exceptions.PermissionDenied, NotAcceptable, ArchiveUnavailable), "Changes"),
    (LatestChange, "get"): Answers(
        (200, 204), (exceptions.PermissionDenied, NotAcceptable, ArchiveUnavailable), "Change"
    ),
    (ListTags, "get"): Answers((200,), _TAGS, "ExtendedTags"),
    (DeclareTags, "post"): Answers((202,), (*_BODY, NotAcceptable, Conflict), "Declared", ("Location",)),
    (ReadTag, "get"): Answers((200,), (*_TAGS, NotFound), "ExtendedTag"),
    (ChangeTag, "patch"): Answers((200,), (*_BODY, NotAcceptable, NotFound, Conflict), "ExtendedTag"),
    (ChangeTag, "delete"): Answers((204,), (exceptions.PermissionDenied, NotFound)),
    (ExtendedTagErrors, "get"): Answers((200,), (*_TAGS, NotFound), "ExtendedTagErrors"),
    (ExtendedTagOperation, "get"): Answers((200,), (*_TAGS, NotFound), "Operation"),
    (Commitment, "post"): Answers((200,), (*_BODY, NotAcceptable, Conflict), "DataSet"),
    (Commitment, "get"): Answers((200,), _READING, "DataSet"),
    (ScheduledSteps, "get"): Answers(
        (200, 204), (exceptions.PermissionDenied, NotAcceptable, InvalidQuery), "DataSets", ("Warning",)
    ),
    (ReportPerformed, "post"): Answers(
        (200, 201),
        (*_BODY, NotAcceptable, MultipartError, InvalidPerformedStep, NotFound, Conflict),
        fields=("Location",),
    ),
    (ReadPerformed, "get"): Answers((200,), (exceptions.PermissionDenied, NotAcceptable, NotFound), "DataSets"),
    (CreateWorkItem, "post"): Answers(
        (201,), (*_BODY, MultipartError, Conflict), fields=("Location", "Content-Location", "Warning")
    ),
    (SearchWorkItems, "get"): Answers(
        (200, 204, 206),
        (exceptions.PermissionDenied, NotAcceptable, InvalidQuery, TooLarge),
        "DataSets",
        ("Warning",),
    ),
    (RetrieveWorkItem, "get"): Answers(
        (200,), (exceptions.PermissionDenied, NotAcceptable, NotFound, Gone), "DataSets", ("Content-Location",)
    ),
    (UpdateWorkItem, "post"): _WORK,
    (WorkItemState, "put"): _WORK,
    (WorkItemCancellation, "post"): Answers((202,), _WORK.refusals, fields=_WORK.fields),
    (WorkItemSubscriber, "post"): Answers((201,), (*_WATCHED, Gone, InvalidQuery), fields=("Content-Location",)),
    (WorkItemSubscriber, "delete"): Answers((200,), _WATCHED),
    (SuspendedSubscription, "post"): Answers((200,), _WATCHED),
    (ReleaseWorkItem, "post"): Answers((204,), (*_WATCHED, Gone, Conflict)),
    (EventChannel, "get"): Answers((101,), (exceptions.PermissionDenied, NoUpgrade, NoChannels, TooManyChannels)),
    (Capabilities, "get"): Answers((200,), (NotAcceptable,), "Capabilities", ("Vary",)),
    (Capabilities, "options"): Answers((200,), (NotAcceptable,), "Capabilities", ("Vary", "Allow")),
}

_EMPTY: Final = frozenset({101, 204, 304})
_SAID: Final[Mapping[int, str]] = {
    101: "The connection is a WebSocket from now on",
    200: "What was asked for",
    201: "It is made",
    202: "Done in part, or with warnings (PS3.18 10.5.3), or still going on",
    204: "Nothing",
    206: "The range asked for; of workitems, the first of the answers",
    304: "The client has it already",
    409: "No instance was stored; each with its reason",
}
_FIELDS: Final[Mapping[str, tuple[str, Json]]] = {
    "Accept-Ranges": ("ranges of a single-part body can be asked for", {"type": "string", "enum": ["bytes"]}),
    "Allow": ("the methods of the resource", {"type": "string"}),
    "Content-Location": ("where what this is about can be read", {"type": "string"}),
    "Content-Range": ("which range this is, or how many bytes there are", {"type": "string", "pattern": "^bytes "}),
    "ETag": ("names the representation", {"type": "string", "pattern": '^(W/)?".*"$'}),
    "Last-Modified": ("when the instance was stored", {"type": "string"}),
    "Location": ("of what was made, or of what tells how far it has come", {"type": "string"}),
    "Link": ("the next page (RFC 8288)", {"type": "string", "pattern": '^<.*>; rel="next"$'}),
    "Retry-After": ("come again after so many seconds", {"type": "integer", "minimum": LEAST_SECONDS}),
    "Vary": ("header fields that the answer depends on", {"type": "string"}),
    "WWW-Authenticate": ("RFC 6750 3", {"type": "string", "pattern": "^Bearer "}),
    "Warning": ("299, what was asked for in vain (PS3.18 8.3.4)", {"type": "string", "pattern": "^299 "}),
    "X-Request-ID": ("the name of the request in logs and trail", {"type": "string"}),
    "X-Total-Count": ("number of all answers, if count=true", {"type": "integer", "minimum": 0}),
}
HEADERS: Final[Json] = {name: {"description": text, "schema": schema} for name, (text, schema) in _FIELDS.items()}
# status -> fields of its refusals besides X-Request-ID
_OF_REFUSALS: Final[Mapping[int, str]] = {
    401: "WWW-Authenticate",
    405: "Allow",
    416: "Content-Range",
    503: "Retry-After",
    507: "Retry-After",
}


def answers_of(owner: type[DicomwebView], method: str, media_types: Sequence[str], *, in_path: bool) -> Json:
    """The responses object of a method; ``in_path``: its address names something that may be unknown."""
    answers = declared_answers(owner, method)
    refused = statuses((*_ANYWHERE, *answers.refusals)) | ({404} if in_path else set())
    found: Json = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in refused}
    for status in answers.statuses:
        content = {} if status in _EMPTY else {name: {"schema": _schema(name, answers)} for name in media_types}
        fields = answers.fields + (("Content-Range",) if status == 206 else ())
        found[str(status)] = {"description": _SAID[status], "headers": headers(fields)} | (
            {"content": content} if content else {}
        )
    return dict(sorted(found.items()))


def declared_answers(owner: type[DicomwebView], method: str) -> Answers:
    """The row of the table for a method."""
    return next(ANSWERS[each, method] for each in owner.__mro__ if (each, method) in ANSWERS)


def headers(fields: Collection[str]) -> Json:
    """Header fields of an answer; they are there when they have something to say."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*fields, "X-Request-ID")}


def statuses(kinds: Collection[type[Exception]]) -> set[int]:
    """The statuses that exceptions of these kinds are answered with."""
    return {PROBLEMS[kind].status for kind in kinds}


def problem_responses() -> Json:
    """A response component for each status of the table, with the codes that it comes with."""
    by_status: dict[int, dict[str, str]] = {}
    for problem in PROBLEMS.values():
        by_status.setdefault(problem.status, {}).setdefault(problem.code, problem.title)
    return {f"Problem{status}": problem_response(status, codes) for status, codes in sorted(by_status.items())}


def problem_response(status: int, codes: Mapping[str, str]) -> Json:
    """Problem details (RFC 9457) of one status; ``codes`` with their titles."""
    schema = {
        "type": "object",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string", "enum": ["about:blank"]},
            "title": {"type": "string"},
            "status": {"type": "integer", "enum": [status]},
            "code": {"type": "string", "enum": sorted(codes)},
            "detail": {"type": "string"},
        },
    }
    field = _OF_REFUSALS.get(status)
    return {
        "description": "; ".join(dict.fromkeys(codes.values())),
        "headers": headers((field,) if field else ()),
        "content": {PROBLEM_TYPE: {"schema": schema}},
    }


def _schema(media_type: str, answers: Answers) -> Json:
    """JSON by its shape, XML as text, anything else as bytes."""
    if media_type.endswith("json") and answers.schema:
        return {"$ref": f"#/components/schemas/{answers.schema}"}
    if media_type.endswith("+xml"):
        return {"type": "string"}
    return {"$ref": "#/components/schemas/Bytes"}
