"""Parameters of the DICOMweb resources as OpenAPI 3.0 objects: in the path, the query string and header fields."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from archive import request_attributes
from archive.search import searchable
from archive.thumbnails import LARGEST_EDGE
from dicom.annotation import KEYWORDS
from dicom.attributes import ATTRIBUTES, Attribute, Level, Matching
from dicom.icc import CHOICES
from dicomweb.change_feed import DEFAULT_LIMIT, MOST, ChangeFeed, LatestChange
from dicomweb.event_channel import EventChannel
from dicomweb.extended_tags import ExtendedTagErrors
from dicomweb.metadata import RetrieveMetadata
from dicomweb.performed import ReportPerformed
from dicomweb.qido import SearchView
from dicomweb.rendered import RetrieveRendered
from dicomweb.rendered_sets import RetrieveRenderedFrames, RetrieveRenderedSet
from dicomweb.thumbnails import RetrieveThumbnail
from dicomweb.view import DicomwebView
from dicomweb.wado_uri import WadoUri
from dicomweb.workitem import UpdateWorkItem
from dicomweb.workitem_state import WorkItemState
from dicomweb.workitem_subscriptions import WorkItemSubscriber
from dicomweb.workitems import CreateWorkItem, SearchWorkItems
from dicomweb.worklist import ScheduledSteps
from worklist.worklist_search import KEYS, OF_STEPS, SEQUENCE

Json = dict[str, Any]

# UID_PATTERN says the same with a look-ahead; here the length has a word of its own.
UID: Final[Json] = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "minLength": 1, "maxLength": 64}
_TEXT: Final[Json] = {"type": "string"}
_FLAG: Final[Json] = {"type": "boolean", "default": False}
_NUMBER: Final = r"[+-]?([0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9})"
_WINDOW: Final = rf"^{_NUMBER},{_NUMBER}(,(linear|linear-exact|sigmoid))?$"
_DATE: Final = r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?"


def _text(pattern: str) -> Json:
    return {"type": "string", "pattern": pattern}


def _whole(least: int, most: int, **more: Any) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most} | more


def _range(one: str) -> Json:
    return _text(f"^({one}|{one}-|-{one}|{one}-{one})?$")


def _spoken(attribute: Attribute) -> str:
    return f"({attribute.tag[:4]},{attribute.tag[4:]}), {attribute.matching.replace('_', ' ')} matching"


# How a value is written that an attribute of this matching can be searched by (PS3.4 C.2.2.2).
_OF_MATCHING: Final[Mapping[Matching, Json]] = {
    "uid": _text(r"^([0-9]+(\.[0-9]+)*(,[0-9]+(\.[0-9]+)*)*)?$"),
    "wildcard": _TEXT,
    "person_name": _TEXT,
    "date": _range(_DATE),
    "time": _range(_TIME),
    "single": _TEXT,
    "number": _text(r"^([+-]?[0-9]{1,12})?$"),
}

PATH: Final[Mapping[str, tuple[str, Json]]] = {
    "study": ("Study Instance UID", UID),
    "series": ("Series Instance UID", UID),
    "instance": ("SOP Instance UID", UID),
    "transaction": ("Transaction UID, made by the client", UID),
    "mpps": ("SOP Instance UID of the performed procedure step, made by the modality", UID),
    "workitem": ("SOP Instance UID of the workitem", UID),
    "title": ("AE title of the subscriber", _text(r"^[^/]{1,64}$")),
    "requester": ("AE title of whoever asks", _text(r"^[^/]{1,64}$")),
    "numbers": (
        "frame numbers from 1, separated by commas; one alone for a picture",
        _text(r"^[0-9]{1,9}(,[0-9]{1,9})*$"),
    ),
    "tag": ("path of the attribute by tags or keywords, with dots between them", _text(r"^[0-9A-Za-z.]{1,600}$")),
    "operation": ("the id that a declaration was answered with", _text(r"^[0-9a-f]{32}$")),
    "path": (
        "tag of the value, as its BulkDataURI has it; below sequences {tag}/{item}/{tag}",
        _text(r"^[0-9A-F]{8}(/[0-9]{1,6}/[0-9A-F]{8})*$"),
    ),
}

_EDGE: Final = "[1-9][0-9]{0,2}"
_SIZE: Final = _text(rf"^{_EDGE},{_EDGE}$")
_REGION: Final = rf"(,({_NUMBER})?){{0,2}}"
_DRAWN: Final[Mapping[str, tuple[str, Json]]] = {
    "annotation": (
        "what is written over the picture (PS3.18 8.3.5.1.1)",
        _text(rf"^({'|'.join(sorted(KEYWORDS))})(,({'|'.join(sorted(KEYWORDS))}))*$"),
    ),
    "presentationSeriesUID": ("with presentationUID: the series of that state", UID),
    "presentationUID": ("with presentationSeriesUID: the state that the image is shown by", UID),
}
_PICTURE: Final[Mapping[str, tuple[str, Json]]] = {
    "window": ("center,width,function (PS3.18 8.3.5.1.4)", _text(_WINDOW)),
    "viewport": (
        "width,height in pixels, then x,y of the region and its width,height (PS3.18 8.3.5.1.3)",
        _text(rf"^{_EDGE},{_EDGE}{_REGION}$"),
    ),
    "quality": ("of a lossy picture (PS3.18 8.3.5.1.2)", _whole(1, 100, default=90)),
    "iccprofile": ("which colour profile is embedded (PS3.18 8.3.5.1.5)", {"type": "string", "enum": list(CHOICES)}),
    **_DRAWN,
}
_METADATA: Final = ("with the metadata of what is stored", _FLAG)
_SINCE: Final = _whole(0, 10**18 - 1, format="int64")
_QUERIES: Final[Mapping[type[DicomwebView], Mapping[str, tuple[str, Json]]]] = {
    SearchView: {
        "limit": ("at most so many answers", _whole(0, 999_999_999)),
        "offset": ("skip so many answers", _whole(0, 999_999_999, default=0)),
        "includefield": ("further attributes by keyword or tag, or all", {"type": "array", "items": _TEXT}),
        "fuzzymatching": ("person names by the beginning of any word", _FLAG),
        "emptyvaluematching": ('"" matches what has no value', _FLAG),
        "multiplevaluematching": ("all of several values must be there", _FLAG),
        "orderby": ("attributes to sort by, separated by commas, a - before descending ones", _TEXT),
        "count": ("tell the number of all answers in X-Total-Count", _FLAG),
        "after": ("go on behind a page: the token of its Link header", _TEXT),
    },
    RetrieveThumbnail: {"viewport": (f"width,height in pixels, {LARGEST_EDGE} at most (PS3.18 8.3.5.2)", _SIZE)},
    RetrieveRendered: _PICTURE,
    RetrieveRenderedFrames: _PICTURE,
    RetrieveRenderedSet: _PICTURE,
    WadoUri: {
        "requestType": ("WADO", {"type": "string", "enum": ["WADO"]}),
        "studyUID": ("Study Instance UID", UID),
        "seriesUID": ("Series Instance UID", UID),
        "objectUID": ("SOP Instance UID", UID),
        "contentType": ("media types, in the order of preference", _TEXT),
        "transferSyntax": ("of an object: the one it is stored in", UID),
        "frameNumber": ("of a picture, from 1", _whole(1, 999_999_999)),
        "rows": ("height of the picture at most", _whole(1, 8192)),
        "columns": ("width of the picture at most", _whole(1, 8192)),
        "windowCenter": ("with windowWidth", {"type": "number"}),
        "windowWidth": ("with windowCenter", {"type": "number", "minimum": 1}),
        "imageQuality": ("of a lossy picture", _whole(1, 100, default=90)),
        **_DRAWN,
        "anonymize": ("objects are not de-identified", {"type": "string", "enum": ["no"]}),
    },
    ChangeFeed: {
        "since": ("only entries after this sequence", _SINCE),
        "offset": ("the same; with a window of time, skip so many entries", _SINCE),
        "limit": ("entries at most", _whole(1, MOST, default=DEFAULT_LIMIT)),
        "startTime": ("only entries of this time or later", {"type": "string", "format": "date-time"}),
        "endTime": ("only entries before this time", {"type": "string", "format": "date-time"}),
        "includemetadata": _METADATA,
    },
    LatestChange: {"includemetadata": _METADATA},
    ScheduledSteps: {
        "limit": ("at most so many answers", _whole(0, 999_999_999)),
        "offset": ("skip so many answers", _whole(0, 999_999_999, default=0)),
        "includefield": ("attributes by keyword or tag, or all; all that is known is given", _TEXT),
        "fuzzymatching": ("person names by the beginning of any word", _FLAG),
        **{
            f"{SEQUENCE}.{key.keyword}" if key.keyword in OF_STEPS else key.keyword: (
                _spoken(key),
                _OF_MATCHING[key.matching],
            )
            for key in KEYS.values()
        },
    },
    ReportPerformed: {"update": ("change the step that is known (PS3.18 15.5)", _TEXT)},
    CreateWorkItem: {"workitem": ("UID of the new workitem, if it isn't in the body", UID)},
    SearchWorkItems: {
        "limit": ("at most so many answers", _whole(0, 999_999_999)),
        "offset": ("skip so many answers", _whole(0, 999_999_999, default=0)),
        "includefield": ("further attributes by keyword or tag, or all", _TEXT),
        "fuzzymatching": ("person names by the beginning of any word", _FLAG),
        "WorklistLabel": ("any attribute of workitems by keyword or tag, also within a sequence", _TEXT),
        "ProcedureStepState": ("SCHEDULED, IN PROGRESS, COMPLETED or CANCELED", _TEXT),
    },
    UpdateWorkItem: {"transaction-uid": ("the Transaction UID of the claim, if it isn't in the body", UID)},
    WorkItemState: {"transaction-uid": ("the Transaction UID of the claim, if it isn't in the body", UID)},
    WorkItemSubscriber: {
        "deletionlock": ("the workitem stays after its end until the lock is let go", _FLAG),
        "filter": ("matching keys of a filtered worklist, WorklistLabel=AI,ProcedureStepState=SCHEDULED", _TEXT),
    },
    EventChannel: {"after": ("the number of the last event that is here already", _whole(0, 10**18 - 1))},
    ExtendedTagErrors: {
        "limit": ("instances at most", _whole(1, MOST, default=DEFAULT_LIMIT)),
        "offset": ("skip so many", _whole(0, 999_999_999, default=0)),
    },
}
_REQUIRED: Final = frozenset({"requestType", "studyUID", "seriesUID", "objectUID"})

ACCEPT: Final[Json] = {
    "name": "accept",
    "in": "query",
    "description": "what Accept says, for those who can't set header fields (PS3.18 8.3.3.1)",
    "schema": _TEXT,
}
HEADERS: Final[Mapping[str, tuple[str, Json]]] = {
    "Range": ("a part of a single-part body (RFC 9110 14.2)", _TEXT),
    "If-Range": ("give a part of this representation only (RFC 9110 13.1.5)", _TEXT),
    "If-None-Match": ("304 if the client has it already (RFC 9110 13.1.2)", _TEXT),
    "If-Modified-Since": ("the same by time (RFC 9110 13.1.3)", _TEXT),
}
_REQUEST_ID: Final[Json] = {
    "name": "X-Request-ID",
    "in": "header",
    "description": "names the request in logs and trail; any other value is replaced",
    "schema": _text(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$"),
}
COMPONENTS: Final[Mapping[str, Json]] = (
    {"Accept": ACCEPT, "RequestId": _REQUEST_ID}
    | {
        name: {"name": name, "in": "header", "description": text, "schema": schema}
        for name, (text, schema) in HEADERS.items()
    }
    | {
        name: {"name": name, "in": "path", "required": True, "description": text, "schema": schema}
        for name, (text, schema) in PATH.items()
    }
)


def parameters(
    names: Sequence[str], view: type[DicomwebView], owner: type[DicomwebView], *, ranges: bool
) -> list[Json]:
    """Of one operation: ``names`` are the variables of its path; ``ranges`` says whether its body comes in parts."""
    found: list[Json] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    described = next((_QUERIES[each] for each in owner.__mro__ if each in _QUERIES), {})
    found += [_query(name, text, schema) for name, (text, schema) in described.items()]
    if issubclass(owner, SearchView):
        found += _of_search(view.level)  # type: ignore[attr-defined]
    fields = [*HEADERS] if ranges else ["If-None-Match"] if owner is RetrieveMetadata else []
    return found + [{"$ref": f"#/components/parameters/{name}"} for name in ("Accept", "RequestId", *fields)]


def _query(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": name in _REQUIRED, "description": text, "schema": schema}


def _of_search(level: Level) -> list[Json]:
    """What a level is searched by: attributes by keyword, and anything else by tag or dotted path."""
    levels = searchable(level)
    matched = [each for each in ATTRIBUTES if each.level in levels and each.matching != "none"]
    found = [_query(each.keyword, _spoken(each), _OF_MATCHING[each.matching]) for each in matched]
    found.append(_query("ModalitiesInStudy", "(0008,0061), any of several", _TEXT))
    if "series" in levels:
        found += [
            _query(f"RequestAttributesSequence.{keyword_for_tag(tag)}", f"in an item of (0040,0275): {tag}", _TEXT)
            for tag in sorted(request_attributes.KEYS)
        ]
    rest = _query(
        "attributes",
        "the same by tag (00100010), in pairs; what is not known is named in a Warning",
        {"type": "object", "additionalProperties": _TEXT},
    )
    return [*found, rest | {"style": "form", "explode": True}]
