"""The worklist as a whole: Create Workitem and Search (PS3.18 11.4, 11.9): ``/workitems``."""

import orjson
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.roles import Permission
from audit import kinds
from dicomweb.attribute_filter import LEFT_OUT, without
from dicomweb.data_set_body import data_set_of
from dicomweb.data_sets import FORMS, XML, xml_response
from dicomweb.errors import TooLarge
from dicomweb.query_string import pairs_of, warning
from dicomweb.view import json_response
from dicomweb.workitem_query import parse, uid_among
from dicomweb.workitem_view import ByMethod, WorkItemView, empty, uid_in
from workitems.creating import create
from workitems.search import search

_UID_NAMES = frozenset({"workitem", "affectedsopinstanceuid"})
_AFFECTED_SOP_INSTANCE_UID, _SOP_INSTANCE_UID = "00001000", "00080018"
_COMMANDS = "0000"
MODIFIED = "The Workitem was created with modifications."
_MOST_BYTES = 64 << 20


class CreateWorkItem(WorkItemView):
    """``POST``: a new workitem."""

    permission = Permission.WORKITEMS_MANAGE

    @extend_schema(
        operation_id="workitem_create",
        summary="Create a workitem (UPS-RS, PS3.18 11.4)",
        parameters=[OpenApiParameter("workitem", OpenApiTypes.STR, description="the UID of the new workitem")],
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={201: None},
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """201 and where it is. Its UID is a parameter, or stands in the body; without one it gets one."""
        data_set = data_set_of(request)
        pairs = pairs_of(request.META.get("QUERY_STRING", ""))
        named = (uid_in(data_set, tag) for tag in (_AFFECTED_SOP_INSTANCE_UID, _SOP_INSTANCE_UID))
        uid = uid_among(pairs, _UID_NAMES, *named)
        kept = {tag: value for tag, value in data_set.items() if not tag.startswith(_COMMANDS)}
        with transaction.atomic():
            created = create(uid, kept, principal_of(request))
            self.note(request, created.workitem, "C", "created")
        response = empty(201, *([MODIFIED] if created.modified else []))
        response["Location"] = response["Content-Location"] = self.location(request, created.workitem.uid)
        return response


class SearchWorkItems(WorkItemView):
    """``GET``: the workitems that match."""

    permission = Permission.WORKITEMS_READ
    event = kinds.SEARCH

    @extend_schema(
        operation_id="workitem_search",
        summary="Search for workitems (UPS-RS, PS3.18 11.9)",
        parameters=[
            OpenApiParameter("limit", OpenApiTypes.INT, description="at most so many answers"),
            OpenApiParameter("offset", OpenApiTypes.INT, description="skip so many answers"),
            OpenApiParameter("includefield", OpenApiTypes.STR, description="further attributes, or all"),
            OpenApiParameter("fuzzymatching", OpenApiTypes.BOOL, description="names by the beginning of any word"),
            OpenApiParameter("ProcedureStepState", OpenApiTypes.STR, description="any attribute by keyword or tag"),
        ],
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """By their scheduled start. 204 if there are none, 206 if there are more than are answered (11.9.3.1)."""
        chosen = self.negotiate(request, FORMS)
        limits = settings.PACS.limits
        query_string = request.META.get("QUERY_STRING", "")
        parsed = parse(
            pairs_of(query_string),
            default_limit=limits.search_default_limit,
            most=limits.search_limit,
            longest_value=limits.search_value_characters,
        )
        withheld = self.withheld(request)
        if not parsed.keys.isdisjoint(withheld):
            raise PermissionDenied("your role is not shown one of the attributes that this search matches")
        found = search(parsed.query, self.reach(request))
        texts = [without(orjson.dumps(data_set), withheld) for data_set in found.data_sets]
        if sum(map(len, texts)) > _MOST_BYTES:
            raise TooLarge(f"the answer has more than {_MOST_BYTES} bytes: ask for fewer with limit")
        self.record(request, query=query_string, instance_count=len(texts))
        if not texts:
            response: HttpResponseBase = HttpResponse(status=204)
        else:
            response = xml_response(texts) if chosen == XML else json_response(b"[" + b",".join(texts) + b"]")
        warnings = [f"The {name} parameter is not supported." for name in parsed.unsupported[:20]]
        if found.more:
            response.status_code = 206 if texts else 204
            warnings.append("There are additional results that can be requested.")
        if not (parsed.query.include or frozenset()).isdisjoint(withheld):
            warnings.append(LEFT_OUT)
        if warnings:
            response["Warning"] = warning(warnings)
        return response


class WorkItems(ByMethod, SearchWorkItems, CreateWorkItem):
    """``/workitems``: search by GET, create by POST."""

    reads, writes = SearchWorkItems, CreateWorkItem
