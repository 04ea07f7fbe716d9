"""The DICOMweb resources in OpenAPI 3.0, made of what routes and what answers, like the capabilities document."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dicom.transfer_syntaxes import BY_UID
from dicomweb.bulkdata import INERT, RetrieveBulkData
from dicomweb.capabilities import (
    WADL,
    Capabilities,
    content_types,
    declared,
    described,
    method_id,
    taken,
)
from dicomweb.commitment import Commitment
from dicomweb.extended_tags import ChangeTag, DeclareTags
from dicomweb.frames import RetrieveFrames
from dicomweb.openapi_answers import HEADERS, answers_of, declared_answers, problem_responses
from dicomweb.openapi_parameters import COMPONENTS, Json, parameters
from dicomweb.openapi_schemas import SCHEMAS
from dicomweb.performed import ReportPerformed
from dicomweb.pixeldata import RetrievePixelData
from dicomweb.urls import urlpatterns
from dicomweb.view import DicomwebView
from dicomweb.workitem import UpdateWorkItem
from dicomweb.workitem_state import WorkItemCancellation, WorkItemState
from dicomweb.workitems import CreateWorkItem, SearchWorkItems

PREFIX: Final = "/dicom-web/"
_TAG: Final = "DICOMweb"
# Frames come in the media type of their transfer syntax, too, and documents in their own.
_FRAMES: Final = sorted({syntax.media_type for syntax in BY_UID.values()})
_MORE: Final = {RetrieveFrames: _FRAMES, RetrieveBulkData: [*_FRAMES, *sorted(INERT)], RetrievePixelData: _FRAMES}
# JSON bodies; the others are bytes.
_BODIES: Final[Mapping[type[DicomwebView], str]] = {
    Commitment: "DataSet",
    ReportPerformed: "DataSet",
    CreateWorkItem: "DataSet",
    UpdateWorkItem: "DataSet",
    WorkItemState: "DataSet",
    WorkItemCancellation: "DataSet",
    DeclareTags: "Declarations",
    ChangeTag: "QueryStatus",
}


def paths(security: Sequence[Json]) -> Json:
    """Every resource with its methods; HEAD wherever there is GET."""
    found: Json = {}
    for entry, template, method, owner in described(urlpatterns):
        view: type[DicomwebView] = entry.callback.view_class  # type: ignore[attr-defined]
        told = declared(view, owner, method)
        summary = (told.get_summary() if told else None) or f"Search (PS3.18 10.6): {entry.name}"
        operation = _operation(view, owner, method, template, content_types(owner, method, told)) | {
            "operationId": _lower(method_id(entry, method, owner)),
            "summary": summary,
        }
        if method in ("post", "put", "patch") and taken(owner):
            operation["requestBody"] = _body(owner)
        found.setdefault(PREFIX + template, {})[method] = operation
    document = [WADL.media_type, "application/json"]
    found[PREFIX] = {
        method: _operation(Capabilities, Capabilities, method, "", document)
        | {"operationId": f"{method}Capabilities", "summary": "Retrieve capabilities (PS3.18 8.9)"}
        for method in ("get", "options")
    }
    for item in found.values():
        if "get" in item:
            item["head"] = _head(item["get"])
        for operation in item.values():
            operation |= {"tags": [_TAG], "security": list(security)}
    return found


def components() -> Json:
    """What the paths refer to."""
    return {
        "schemas": dict(SCHEMAS),
        "parameters": dict(COMPONENTS),
        "headers": dict(HEADERS),
        "responses": problem_responses(),
    }


def _operation(
    view: type[DicomwebView], owner: type[DicomwebView], method: str, template: str, media_types: Sequence[str]
) -> Json:
    names = re.findall(r"{(\w+)}", template)
    answers = declared_answers(owner, method)
    return {
        "parameters": parameters(names, view, owner, ranges=206 in answers.statuses and owner is not SearchWorkItems),
        "responses": answers_of(owner, method, [*_offered(owner, media_types)], in_path=bool(names)),
    }


def _offered(owner: type[DicomwebView], media_types: Sequence[str]) -> Iterator[str]:
    yield from media_types
    for name in _MORE.get(owner, ()):
        yield from (each for each in (f'multipart/related; type="{name}"', name) if each not in media_types)


def _body(owner: type[DicomwebView]) -> Json:
    name = next((_BODIES[each] for each in owner.__mro__ if each in _BODIES), "Bytes")
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"required": True, "content": {name: {"schema": schema} for name in taken(owner)}}


def _head(get: Json) -> Json:
    """The same answers without their bodies (RFC 9110 9.3.2)."""
    responses = {
        status: {"description": answer["description"], "headers": answer["headers"]}
        if "description" in answer
        else answer
        for status, answer in get["responses"].items()
        if status != "206"
    }
    return get | {"operationId": f"{get['operationId']}Head", "responses": responses}


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]
