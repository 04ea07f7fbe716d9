"""The Capabilities Description (PS3.18 8.9 and Annex H): a WADL document, made of what routes and what answers.

Resources and methods are those of ``dicomweb.urls``, parameters those that the views declare, search attributes those
of ``dicom.attributes``. The Retrieve Capabilities transaction itself is not described (Annex H, note).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import getattr_static
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, SubElement, tostring

import orjson
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema

from access.roles import Permission
from dicom.attributes import ATTRIBUTES, Level
from dicomweb.bulkdata import RetrieveBulkData
from dicomweb.change_feed import ChangeFeed, LatestChange
from dicomweb.commitment import Commitment
from dicomweb.data_sets import FORMS, JSON, SINGLE_XML
from dicomweb.extended_tags import ManageTags, ReadTags
from dicomweb.frames import RetrieveFrames
from dicomweb.media_types import Representation
from dicomweb.metadata import RetrieveMetadata
from dicomweb.performed import ReadPerformed, ReportPerformed
from dicomweb.pixeldata import RetrievePixelData
from dicomweb.qido import SearchView
from dicomweb.rendered import RetrieveRendered
from dicomweb.rendered_media import ALL, PICTURES, SINGLE
from dicomweb.rendered_sets import RetrieveRenderedFrames, RetrieveRenderedSet
from dicomweb.stow import StoreView
from dicomweb.thumbnails import RetrieveThumbnail
from dicomweb.view import DicomwebView, dicomweb_root
from dicomweb.wado import RetrieveInstances
from dicomweb.wado_uri import WadoUri
from dicomweb.workitem import RetrieveWorkItem, UpdateWorkItem
from dicomweb.workitem_state import WorkItemCancellation, WorkItemState
from dicomweb.workitems import CreateWorkItem, SearchWorkItems
from dicomweb.worklist import ScheduledSteps
from dicomweb.zip_body import ZIP

NAMESPACE = "http://wadl.dev.java.net/2009/02"
WADL = Representation("application/vnd.sun.wadl+xml", None, multipart=False)
# `choose` knows application/json by this name; the answer says application/json.
_AS_JSON = Representation("application/dicom+json", None, multipart=False)
METHODS = ("get", "post", "put", "patch", "delete")
_VERBS = {
    Permission.SEARCH: "SearchFor",
    Permission.RETRIEVE: "Retrieve",
    Permission.OBJECTS: "Retrieve",
    Permission.STORE: "Store",
    Permission.DELETE: "Delete",
    Permission.WORKLIST: "SearchFor",
}
# Of what is managed
_CHANGES = {"get": "Retrieve", "post": "Declare", "patch": "Change", "delete": "Remove"}
_OF_WORKITEMS: Mapping[type, str] = {
    CreateWorkItem: "Create",
    SearchWorkItems: "SearchFor",
    RetrieveWorkItem: "Retrieve",
    UpdateWorkItem: "Update",
    WorkItemState: "Change",
    WorkItemCancellation: "RequestOf",
}
# Of what modalities say
_SAYS = {"get": "Retrieve", "post": "Report"}
_LEVELS: Sequence[Level] = ("patient", "study", "series", "instance")
_DICOM = tuple(Representation("application/dicom", None, multipart) for multipart in (True, False))
_OCTETS = tuple(Representation("application/octet-stream", None, multipart) for multipart in (True, False))
# What a door offers where its OpenAPI declaration names less.
_OFFERED: Mapping[type, Sequence[Representation]] = {
    SearchView: FORMS,
    RetrieveMetadata: FORMS,
    StoreView: (JSON, SINGLE_XML),
    RetrieveInstances: (*_DICOM, Representation(ZIP, None, multipart=False)),
    RetrieveFrames: _OCTETS,
    RetrieveBulkData: _OCTETS,
    RetrievePixelData: _OCTETS[:1],
    RetrieveRendered: ALL,
    RetrieveRenderedFrames: (*SINGLE, *PICTURES),
    RetrieveRenderedSet: PICTURES,
    RetrieveThumbnail: SINGLE[:1],
    WadoUri: (*ALL, _DICOM[1]),
    ChangeFeed: (Representation("application/json", None, multipart=False),),
    LatestChange: (Representation("application/json", None, multipart=False),),
    Commitment: (JSON,),
    ReadTags: (Representation("application/json", None, multipart=False),),
    ManageTags: (Representation("application/json", None, multipart=False),),
    ScheduledSteps: FORMS,
    ReadPerformed: (JSON, SINGLE_XML),
    SearchWorkItems: FORMS,
    RetrieveWorkItem: (JSON, SINGLE_XML, *FORMS[1:]),
}
_TAKEN: Mapping[type, Sequence[str]] = {
    StoreView: (
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom+json"',
        'multipart/related; type="application/dicom+xml"',
        "application/dicom",
    ),
    Commitment: ("application/dicom+json",),
    ReportPerformed: (JSON.media_type, SINGLE_XML.media_type),
    ManageTags: ("application/json",),
    CreateWorkItem: (JSON.media_type, SINGLE_XML.media_type),
    UpdateWorkItem: (JSON.media_type, SINGLE_XML.media_type),
    WorkItemState: (JSON.media_type, SINGLE_XML.media_type),
    WorkItemCancellation: (JSON.media_type, SINGLE_XML.media_type),
}


class Capabilities(DicomwebView):
    """``OPTIONS /`` of the service, and GET for those who cannot send OPTIONS.

    Any principal may ask, whatever its rights; there is nothing about patients in it, so it leaves no event.
    """

    patterns: ClassVar[Sequence[URLPattern]] = ()

    def initial(self, request: HttpRequest) -> None:
        """No right is asked for; that somebody asks is seen to by the middleware."""
        self.check_origin(request)

    @extend_schema(
        operation_id="capabilities",
        summary="Retrieve capabilities (PS3.18 8.9)",
        responses={(200, WADL.media_type): OpenApiTypes.STR, (200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest) -> HttpResponse:
        """WADL, or the same tree as JSON."""
        chosen = self.negotiate(request, (WADL, _AS_JSON))
        tree = description(self.patterns, dicomweb_root(request))
        if chosen == WADL:
            response = HttpResponse(tostring(tree, "utf-8", xml_declaration=True), content_type=WADL.media_type)
        else:
            response = HttpResponse(orjson.dumps({"application": as_json(tree)}), content_type="application/json")
        response["Vary"] = "Accept"
        return response

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The same, with the methods of the resource."""
        response = self.get(request)
        response["Allow"] = "GET, HEAD, OPTIONS"
        return response


def described(patterns: Sequence[URLPattern]) -> Iterator[tuple[URLPattern, str, str, type[DicomwebView]]]:
    """Each method of each resource: route, template (``studies/{study}``), method, and the class that has it."""
    for entry in patterns:
        view = entry.callback.view_class  # type: ignore[attr-defined]
        if issubclass(view, Capabilities):
            continue
        for method in METHODS:
            owner = next((each for each in view.__mro__ if method in vars(each)), None)
            if owner is not None:
                yield entry, re.sub(r"<\w+:(\w+)>", r"{\1}", str(entry.pattern)), method, owner


def description(patterns: Sequence[URLPattern], root: str) -> Element:
    """The WADL ``application`` element (PS3.18 Annex H); resources are nested by the segments of their paths."""
    application = Element("application", xmlns=NAMESPACE)
    nodes = {"": SubElement(application, "resources", base=root)}
    for entry, template, method, owner in described(patterns):
        node, path = nodes[""], ""
        for segment in template.split("/"):
            path = f"{path}/{segment}"
            if path not in nodes:
                nodes[path] = SubElement(node, "resource", path=segment)
                if segment.startswith("{"):
                    SubElement(nodes[path], "param", name=segment[1:-1], style="template", required="true")
            node = nodes[path]
        _describe(node, entry, method, owner)
    return application


def as_json(element: Element) -> dict[str, Any]:
    """An element as a JSON object: attributes by name, children as arrays by the name of their element."""
    found: dict[str, Any] = {name: value for name, value in element.items() if name != "xmlns"}
    for child in element:
        found.setdefault(child.tag, []).append(as_json(child))
    return found | ({"text": element.text} if element.text else {})


def method_id(entry: URLPattern, method: str, owner: type[DicomwebView]) -> str:
    """A name of its own for each method: ``SearchForStudies``."""
    name = "".join(word.capitalize() for word in (entry.name or "").split("-"))
    # Whoever may store may read what became of it.
    stored = method == "get" and owner.permission is Permission.STORE
    if owner.permission is Permission.MANAGE:
        return f"{_CHANGES[method]}{name}"
    if (said := _OF_WORKITEMS.get(owner)) is not None:
        return f"{said}{name}"
    if issubclass(owner, ReportPerformed | ReadPerformed):
        return f"{_SAYS[method]}{name}"
    verb = _VERBS.get(Permission.RETRIEVE if stored else owner.permission, method.capitalize())
    return f"{verb}{name}"


def _describe(node: Element, entry: URLPattern, method: str, owner: type[DicomwebView]) -> None:
    element = SubElement(node, "method", name=method.upper(), id=method_id(entry, method, owner))
    request, response = SubElement(element, "request"), SubElement(element, "response")
    view = entry.callback.view_class  # type: ignore[attr-defined]
    told = declared(view, owner, method)
    offers = content_types(owner, method, told)
    if offers:
        accept = SubElement(request, "param", name="Accept", style="header", default=offers[0])
        for offer in offers:
            SubElement(accept, "option", value=offer)
            SubElement(response, "representation", mediaType=offer)
    queries = {parameter.name for parameter in told.get_override_parameters()} if told else set()
    if method == "get" and issubclass(view, SearchView):
        queries |= _search_names(view.level)
    for query in sorted(queries):
        SubElement(request, "param", name=query, style="query")
    for media_type in taken(owner) if method in ("post", "put", "patch") else ():
        SubElement(request, "representation", mediaType=media_type)
    response.set("status", "204" if method == "delete" else "200")


def _search_names(level: Level) -> set[str]:
    """Keyword and tag of what the level and those above it are searched by (PS3.18 8.3.4)."""
    levels = _LEVELS[: _LEVELS.index(level) + 1]
    matched = [each for each in ATTRIBUTES if each.level in levels and each.matching != "none"]
    return {name for each in matched for name in (each.keyword, each.tag)} | {"ModalitiesInStudy", "00080061"}


def content_types(owner: type[DicomwebView], method: str, declared: Any) -> list[str]:
    """What a method answers with, in the server's order of preference; ``declared`` as of the function below."""
    offers = next((_OFFERED[each] for each in owner.__mro__ if each in _OFFERED), None)
    if offers is not None:
        return [
            f'multipart/related; type="{offer.media_type}"' if offer.multipart else offer.media_type for offer in offers
        ]
    responses = declared.get_response_serializers() if declared and method == "get" else {}
    if not isinstance(responses, Mapping):
        return []
    return [status[1] for status in responses if isinstance(status, tuple)]


def taken(owner: type[DicomwebView]) -> Sequence[str]:
    """The media types of the bodies that a resource takes."""
    return next((_TAKEN[each] for each in owner.__mro__ if each in _TAKEN), ())


def declared(view: type[DicomwebView], owner: type[DicomwebView], method: str) -> Any:
    """What ``extend_schema`` was told about a method, or else about its class; ``None`` if nothing."""
    schema = getattr(getattr(owner, method), "kwargs", {}).get("schema")
    if schema is None and issubclass(owner, SearchView):
        schema = type(getattr_static(view, "schema"))
    if schema is None:
        return None
    found = schema()
    # It asks its view for the API version of the request; there are no versions.
    found.view, found.method = view(), method.upper()
    found.view.determine_version = lambda *_, **__: (None, None)
    found.view.setup(HttpRequest())
    return found
