"""Attributes declared at run time to be searched: ``/extendedquerytags``, in the form of Azure's DICOM service.

Beyond that form: several tags with dots between them (a path into sequences), keywords, and each tag's ``progress``.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.roles import Permission
from archive import extended_tags
from archive.errors import NotFound
from archive.extended_declaration import MOST_TAGS, ExtendedAttribute, InvalidDeclaration, checked
from archive.extended_models import ExtendedTagError
from archive.extended_tags import Declared
from audit import kinds
from dicomweb.body import body_reader
from dicomweb.errors import BadRequest, TooLarge, UnsupportedMediaType
from dicomweb.media_types import Representation
from dicomweb.multipart import parse_content_type
from dicomweb.view import DicomwebView, dicomweb_root

# Also what is asked for as application/json.
JSON = Representation("application/dicom+json", None, multipart=False)
_LONGEST_BODY = 1 << 18
_DEFAULT_LIMIT, _MOST = 100, 1000
_NUMBER = re.compile(r"[0-9]{1,9}")
_FIELDS = ("path", "vr", "privatecreator", "level")
_ENABLED = {"enabled": True, "disabled": False}
_OBJECT = {(200, "application/json"): OpenApiTypes.OBJECT}


class ReadTags(DicomwebView):
    """Reading about tags: for who may search."""

    permission = Permission.SEARCH
    event = kinds.SEARCH


class ManageTags(DicomwebView):
    """Changing them, and reading which instances could not be indexed: for who manages."""

    permission = Permission.MANAGE
    event = kinds.CONFIGURATION


class _ByMethod(DicomwebView):
    """A resource that is read with one right and changed with another."""

    permission = ReadTags.permission
    event = ReadTags.event

    def initial(self, request: HttpRequest) -> None:
        """Ask for the right that the method needs."""
        changes: type[DicomwebView] = ManageTags if request.method in ("POST", "PATCH", "DELETE") else ReadTags
        self.permission, self.event = changes.permission, changes.event  # type: ignore[misc]
        super().initial(request)


class ListTags(ReadTags):
    """``GET /extendedquerytags``."""

    @extend_schema(operation_id="extended_query_tags", summary="All extended query tags", responses=_OBJECT)
    def get(self, request: HttpRequest) -> HttpResponse:
        """The declared attributes with what became of them."""
        self.negotiate(request, [JSON])
        self.record(request, query="extended query tags")
        root, counts = dicomweb_root(request), self.sees_all(request)
        return _json([_tag(each, root, counts=counts) for each in extended_tags.declared()])


class DeclareTags(ManageTags):
    """``POST /extendedquerytags``."""

    @extend_schema(
        operation_id="declare_extended_query_tags",
        summary="Declare attributes to be searched; what is stored is indexed in the background",
        request={"application/json": OpenApiTypes.OBJECT},
        responses={(202, "application/json"): OpenApiTypes.OBJECT},
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """202 with the operation that indexes what is stored, and the tags; all are declared or none."""
        self.negotiate(request, [JSON])
        body = _body(request)
        wanted = [_attribute(each, number) for number, each in enumerate(body if isinstance(body, list) else [body], 1)]
        if not 0 < len(wanted) <= MOST_TAGS:
            raise BadRequest(f"expected a list of 1 to {MOST_TAGS} tags")
        paths = ",".join(each.path for each in wanted)
        pk = extended_tags.declare(wanted, lambda: self.record(request, query=f"declare extended query tags {paths}"))
        root = dicomweb_root(request)
        made = [_tag(each, root) for each in extended_tags.declared() if each.operation == pk]
        response = _json(_reference(pk, root) | {"tags": made}, 202)
        response["Location"] = _reference(pk, root)["href"]
        return response


class ExtendedTags(_ByMethod, ListTags, DeclareTags):
    """``/extendedquerytags``."""


class ReadTag(ReadTags):
    """``GET /extendedquerytags/{tag}``."""

    @extend_schema(operation_id="extended_query_tag", summary="One extended query tag", responses=_OBJECT)
    def get(self, request: HttpRequest, tag: str) -> HttpResponse:
        """The tag with what became of it."""
        self.negotiate(request, [JSON])
        found = extended_tags.declared_at(tag)
        self.record(request, query=f"extended query tag {found.attribute.path}")
        return _json(_tag(found, dicomweb_root(request), counts=self.sees_all(request)))


class ChangeTag(ManageTags):
    """``PATCH`` and ``DELETE /extendedquerytags/{tag}``."""

    @extend_schema(
        operation_id="change_extended_query_tag",
        summary="Let a tag be searched, or not",
        request={"application/json": OpenApiTypes.OBJECT},
        responses=_OBJECT,
    )
    def patch(self, request: HttpRequest, tag: str) -> HttpResponse:
        """The tag as it is now. Values are kept up to date while it is disabled."""
        self.negotiate(request, [JSON])
        status = _lower(_body(request)).get("querystatus")
        if not isinstance(status, str) or status.lower() not in _ENABLED:
            raise BadRequest("queryStatus: expected Enabled or Disabled")
        text = f"{status.lower()}: extended query tag {extended_tags.declared_at(tag).attribute.path}"
        changed = extended_tags.enable(tag, _ENABLED[status.lower()], lambda: self.record(request, query=text))
        return _json(_tag(changed, dicomweb_root(request)))

    @extend_schema(
        operation_id="remove_extended_query_tag", summary="Take an extended query tag back", responses={204: None}
    )
    def delete(self, request: HttpRequest, tag: str) -> HttpResponse:
        """204: it is no longer searched, and its values go soon."""
        text = f"remove extended query tag {extended_tags.declared_at(tag).attribute.path}"
        extended_tags.remove(tag, lambda: self.record(request, query=text))
        return HttpResponse(status=204)


class ExtendedTagResource(_ByMethod, ReadTag, ChangeTag):
    """``/extendedquerytags/{tag}``."""


class ExtendedTagErrors(ManageTags):
    """``GET /extendedquerytags/{tag}/errors``."""

    event = kinds.SEARCH

    @extend_schema(
        operation_id="extended_query_tag_errors",
        summary="Instances whose value could not be indexed, and why",
        parameters=[
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"1 to {_MOST}, {_DEFAULT_LIMIT} by default"),
            OpenApiParameter("offset", OpenApiTypes.INT, description="skip so many"),
        ],
        responses=_OBJECT,
    )
    def get(self, request: HttpRequest, tag: str) -> HttpResponse:
        """The instances by their UIDs, never a value."""
        self.negotiate(request, [JSON])
        limit, offset = _number(request, "limit", _DEFAULT_LIMIT), _number(request, "offset", 0)
        if not 1 <= limit <= _MOST:
            raise BadRequest(f"limit: expected a whole number from 1 to {_MOST}")
        found = [_error(each) for each in extended_tags.errors_of(tag, limit, offset)]
        studies = sorted({each["studyInstanceUid"] for each in found})
        self.record(request, query="extended query tag errors", study_uids=studies, instance_count=len(found))
        return _json(found)


class ExtendedTagOperation(ReadTags):
    """``GET /operations/{operation}``."""

    @extend_schema(
        operation_id="operation", summary="How far the indexing of what is stored has come", responses=_OBJECT
    )
    def get(self, request: HttpRequest, operation: str) -> HttpResponse:
        """The operation that a declaration began."""
        self.negotiate(request, [JSON])
        try:
            found = extended_tags.operation(UUID(operation))
        except ValueError as error:
            raise NotFound("there is no such operation") from error
        self.record(request, query="operation")
        root = dicomweb_root(request)
        progress = {"progress": {"done": found.done, "total": found.total}} if self.sees_all(request) else {}
        percent = 100 if found.finished or not found.total else found.done * 100 // found.total
        running = "Running" if found.done else "NotStarted"
        return _json(
            {
                "operationId": found.id.hex,
                "type": "Reindex",
                "status": "Completed" if found.finished else running,
                "percentComplete": percent,
                **progress,
                "createdTime": _time(found.created_at),
                "lastUpdatedTime": _time(found.updated_at),
                "resources": [f"{root}/extendedquerytags/{path}" for path in found.paths],
            }
        )


def _body(request: HttpRequest) -> Any:
    found = parse_content_type(request.META.get("CONTENT_TYPE", "")).type
    if found != "application/json":
        raise UnsupportedMediaType(f"expected application/json, found {found}")
    read = body_reader(request)
    body = b""
    while len(body) <= _LONGEST_BODY and (piece := read(1 << 16)):
        body += piece
    if len(body) > _LONGEST_BODY:
        raise TooLarge(f"the body is larger than {_LONGEST_BODY} bytes")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error.msg} at character {error.pos}") from error


def _lower(given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise BadRequest("expected a JSON object")
    return {name.lower(): value for name, value in given.items()}


def _attribute(given: Any, number: int) -> ExtendedAttribute:
    named = _lower(given)
    values = [named.get(name) or "" for name in _FIELDS]
    if not all(isinstance(value, str) for value in values):
        raise BadRequest(f"tag {number}: expected path, vr, privateCreator and level as texts")
    path, vr, creator, level = values
    try:
        return checked(path, vr, level, creator)
    except InvalidDeclaration as error:
        raise BadRequest(f"tag {number}: {error}") from error


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, str(default))
    if not _NUMBER.fullmatch(text):
        raise BadRequest(f"{name}: expected a whole number of at most 9 digits")
    return int(text)


def _tag(declared: Declared, root: str, *, counts: bool = True) -> dict[str, Any]:
    """``counts`` are of the whole archive: nothing for who may search a part of it."""
    attribute = declared.attribute
    found: dict[str, Any] = {
        "path": attribute.path,
        "vr": attribute.vr,
        "level": attribute.level.capitalize(),
        "status": declared.status.capitalize(),
        "queryStatus": "Enabled" if declared.enabled else "Disabled",
        "operation": _reference(declared.operation, root),
    }
    if counts:
        found["progress"] = {"done": declared.done, "total": declared.total, "errors": declared.errors}
    if attribute.private_creator:
        found["privateCreator"] = attribute.private_creator
    if counts and declared.errors:
        href = f"{root}/extendedquerytags/{attribute.path}/errors"
        found["errors"] = {"count": declared.errors, "href": href}
    return found


def _reference(pk: UUID, root: str) -> dict[str, str]:
    return {"id": pk.hex, "href": f"{root}/operations/{pk.hex}"}


def _error(row: ExtendedTagError) -> dict[str, str]:
    return {
        "studyInstanceUid": row.study_instance_uid,
        "seriesInstanceUid": row.series_instance_uid,
        "sopInstanceUid": row.sop_instance_uid,
        "createdTime": _time(row.created_at),
        "errorMessage": row.reason,
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(orjson.dumps(body), status=status, content_type="application/json")
