"""Change Workitem State and Request Cancellation (PS3.18 11.7, 11.8), also with the AE title that clients append."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.authentication import principal_of
from access.roles import Permission
from dicomweb.data_set_body import DataSet, data_set_of
from dicomweb.errors import BadRequest
from dicomweb.query_string import pairs_of
from dicomweb.workitem_query import uid_among
from dicomweb.workitem_view import (
    TRANSACTION_NAMES,
    TRANSACTION_UID,
    WARNINGS,
    WorkItemView,
    ae_title_in,
    body_of,
    empty,
    uid_in,
)
from workitems.changing import change_state, request_cancellation
from workitems.models import State

_STATE = "00741000"


class WorkItemState(WorkItemView):
    """``PUT``: claim a workitem, or say how it ended."""

    permission = Permission.WORKITEMS_PERFORM

    @extend_schema(
        operation_id="workitem_state",
        summary="Change the state of a workitem (UPS-RS, PS3.18 11.7)",
        parameters=[
            OpenApiParameter("transaction-uid", OpenApiTypes.STR, description="if it isn't in the body: the claim's")
        ],
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={200: None},
    )
    def put(self, request: HttpRequest, workitem: str, requester: str = "") -> HttpResponse:
        """200 with nothing; a warning where it has come to that end already."""
        data_set = data_set_of(request)
        to = _state_in(data_set)
        pairs = pairs_of(request.META.get("QUERY_STRING", ""))
        transaction_uid = uid_among(pairs, TRANSACTION_NAMES, uid_in(data_set, TRANSACTION_UID))
        with transaction.atomic():
            asked = change_state(self.reach(request), workitem, to, transaction_uid, principal_of(request).id)
            self.note(request, asked.workitem, "U", f"{to}{'' if asked.already is None else ' already'}")
        response = empty(200, *([] if asked.already is None else [WARNINGS[asked.already]]))
        response["Content-Location"] = self.location(request, workitem)
        return response


class WorkItemCancellation(WorkItemView):
    """``POST``: ask that a workitem be cancelled, which its performer decides once it has one."""

    permission = Permission.WORKITEMS_MANAGE
    partly = (Permission.WORKITEMS_PERFORM,)

    @extend_schema(
        operation_id="workitem_cancel_request",
        summary="Ask for a workitem to be cancelled (UPS-RS, PS3.18 11.8)",
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={202: None},
    )
    def post(self, request: HttpRequest, workitem: str, requester: str = "") -> HttpResponse:
        """202 with nothing. The body, which may be left out, says why, and whom to talk to."""
        requested, title = body_of(request), ae_title_in(requester) if requester else ""
        with transaction.atomic():
            asked = request_cancellation(self.reach(request), workitem, requested, title, principal_of(request).id)
            self.note(request, asked.workitem, "U", "cancellation requested")
        response = empty(202, *([] if asked.already is None else [WARNINGS[asked.already]]))
        response["Content-Location"] = self.location(request, workitem)
        return response


def _state_in(data_set: DataSet) -> str:
    """The state asked for. Raises ``BadRequest``."""
    values = (data_set.get(_STATE) or {}).get("Value") or []
    if len(values) != 1 or values[0] not in State.values:
        raise BadRequest(f"(0074,1000) ProcedureStepState: expected one of {', '.join(State.values)}")
    return str(values[0])
