"""One workitem: Retrieve and Update (PS3.18 11.5, 11.6): ``/workitems/{workitem}``."""

import orjson
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.authentication import principal_of
from access.roles import Permission
from dicom.xml import to_xml
from dicomweb.attribute_filter import without
from dicomweb.data_set_body import data_set_of
from dicomweb.data_sets import FORMS, JSON, SINGLE_XML, xml_response
from dicomweb.query_string import pairs_of
from dicomweb.view import json_response
from dicomweb.workitem_query import uid_among
from dicomweb.workitem_view import TRANSACTION_NAMES, TRANSACTION_UID, ByMethod, WorkItemView, empty, uid_in
from workitems.changing import found, update
from workitems.errors import Refusal


class RetrieveWorkItem(WorkItemView):
    """``GET``: what is to be done, and how far it is."""

    permission = Permission.WORKITEMS_READ

    @extend_schema(
        operation_id="workitem_retrieve",
        summary="Retrieve a workitem (UPS-RS, PS3.18 11.5)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest, workitem: str) -> HttpResponseBase:
        """Its data set; the Transaction UID is in no answer (PS3.4 CC.2.7.3)."""
        chosen = self.negotiate(request, (JSON, SINGLE_XML, FORMS[1]))
        item = found(self.reach(request), workitem)
        text = without(orjson.dumps(item.data_set), self.withheld(request))
        self.note(request, item, "R", "retrieved")
        response: HttpResponseBase
        if chosen == JSON:
            response = json_response(b"[" + text + b"]")
        elif chosen == SINGLE_XML:
            response = HttpResponse(to_xml(text), content_type=SINGLE_XML.media_type)
        else:
            response = xml_response([text])
        response["Content-Location"] = self.location(request, workitem)
        return response


class UpdateWorkItem(WorkItemView):
    """``POST``: changes of a workitem, by its performer or, before it has one, by whoever manages workitems."""

    permission = Permission.WORKITEMS_PERFORM
    partly = (Permission.WORKITEMS_MANAGE,)
    # PS3.18 table 11.6.3-1 has the final states among the bad requests.
    bad_requests = frozenset({Refusal.NO_LONGER_UPDATED})

    @extend_schema(
        operation_id="workitem_update",
        summary="Update a workitem (UPS-RS, PS3.18 11.6)",
        parameters=[
            OpenApiParameter("transaction-uid", OpenApiTypes.STR, description="the Transaction UID of the claim")
        ],
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={200: None},
    )
    def post(self, request: HttpRequest, workitem: str) -> HttpResponse:
        """200 with nothing. The Transaction UID is a parameter, or stands in the body."""
        data_set = data_set_of(request)
        pairs = pairs_of(request.META.get("QUERY_STRING", ""))
        transaction_uid = uid_among(pairs, TRANSACTION_NAMES, uid_in(data_set, TRANSACTION_UID))
        with transaction.atomic():
            item = update(self.reach(request), workitem, data_set, transaction_uid, principal_of(request))
            self.note(request, item, "U", "updated")
        response = empty(200)
        response["Content-Location"] = self.location(request, workitem)
        return response


class WorkItemResource(ByMethod, RetrieveWorkItem, UpdateWorkItem):
    """``/workitems/{workitem}``: retrieve by GET, update by POST."""

    reads, writes = RetrieveWorkItem, UpdateWorkItem
