"""The Modality Scheduled Procedure Step Service (PS3.18 14): ``GET /modality-scheduled-procedure-steps``."""

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied

from access.authentication import principal_of
from access.roles import Permission
from audit import kinds
from dicomweb.attribute_filter import LEFT_OUT, without
from dicomweb.data_sets import FORMS, XML, xml_response
from dicomweb.query_string import pairs_of, warning
from dicomweb.view import DicomwebView, json_response
from dicomweb.worklist_query import parse
from worklist.reach import visible_orders
from worklist.worklist_search import KEYS, OF_STEPS, SEQUENCE, search

_PARAMETERS = [
    OpenApiParameter("limit", OpenApiTypes.INT, description="at most so many answers"),
    OpenApiParameter("offset", OpenApiTypes.INT, description="skip so many answers"),
    OpenApiParameter("includefield", OpenApiTypes.STR, description="all that is known of a step is given anyway"),
    OpenApiParameter("fuzzymatching", OpenApiTypes.BOOL, description="person names by the beginning of any word"),
    *(
        OpenApiParameter(f"{SEQUENCE}.{key}" if key in OF_STEPS else key, OpenApiTypes.STR, description="matching key")
        for key in KEYS
    ),
]


class ScheduledSteps(DicomwebView):
    """The modality worklist, for whoever performs what is on it."""

    permission = Permission.WORKLIST
    event = kinds.SEARCH

    @extend_schema(
        operation_id="modality_worklist",
        summary="Search the modality worklist (MWL-RS, PS3.18 14.4)",
        parameters=_PARAMETERS,
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest) -> HttpResponseBase:
        """Scheduled steps in the order of their start; what was asked for in vain is named in ``Warning: 299``."""
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
        found = search(parsed.query, visible_orders(principal_of(request)))
        self.record(request, query=query_string, instance_count=len(found.items))
        texts = [without(orjson.dumps(item), withheld) for item in found.items]
        response = xml_response(texts) if chosen == XML else json_response(b"[" + b",".join(texts) + b"]")
        warnings = [f"The {name} parameter is not supported." for name in parsed.unsupported[:20]]
        if found.truncated:
            warnings.append(f"The number of answers exceeds the limit of {parsed.query.limit}.")
        if not parsed.include.isdisjoint(withheld):
            warnings.append(LEFT_OUT)
        if warnings:
            response["Warning"] = warning(warnings)
        return response
