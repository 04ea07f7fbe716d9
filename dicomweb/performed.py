"""The Modality Performed Procedure Step Service (PS3.18 15): ``/modality-performed-procedure-steps/{mppsUID}``.

POST creates, POST with ``update`` in the query string changes, GET reads. There is no list, in the standard neither.
"""

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from access.authentication import principal_of
from access.roles import Permission
from archive.patient_facts import Moment
from audit import kinds
from audit.kinds import Action
from dicom.json_items import texts
from dicom.xml import to_xml
from dicomweb.attribute_filter import without
from dicomweb.data_set_body import data_set_of
from dicomweb.data_sets import JSON, SINGLE_XML
from dicomweb.errors import BadRequest
from dicomweb.query_string import pairs_of
from dicomweb.view import DicomwebView, dicomweb_root, json_response
from worklist import performed
from worklist.models import PerformedProcedureStep
from worklist.reach import visible_orders, visible_performed

FORMS = (JSON, SINGLE_XML)
_PATIENT_ID = "00100020"
_KNOWN = frozenset({"update", "accept", "charset"})


class _Performed(DicomwebView):
    permission = Permission.WORKLIST
    event = kinds.PROCEDURE_RECORD

    def note(self, request: HttpRequest, row: PerformedProcedureStep, action: Action) -> None:
        """The event of what was done with a step; inside the transaction that did it."""
        self.record(
            request,
            action=action,
            outcome_description=f"performed procedure step {row.mpps_uid}: {row.status}",
            study_uids=row.study_instance_uids,
            patient_ids=texts(row.data_set, _PATIENT_ID),
        )


class ReportPerformed(_Performed):
    """``POST``: what a modality says that it does, and has done."""

    @extend_schema(
        operation_id="performed_step",
        summary="Create, or with update change, a performed procedure step (MPPS-RS, PS3.18 15.4, 15.5)",
        parameters=[OpenApiParameter("update", OpenApiTypes.STR, description="change the step that is known")],
        request={"application/dicom+json": OpenApiTypes.OBJECT},
        responses={200: None, 201: None},
    )
    def post(self, request: HttpRequest, mpps: str) -> HttpResponse:
        """201 with nothing for a new step; 200 with nothing for one that was changed."""
        self.negotiate(request, FORMS)
        updates = _updates(request)
        data_set = data_set_of(request)
        principal = principal_of(request)
        moment = Moment(timezone.now(), principal.id)

        def note(row: PerformedProcedureStep) -> None:
            self.note(request, row, "U" if updates else "C")

        if updates:
            performed.update(mpps, data_set, visible_performed(principal), moment, note)
            return HttpResponse(status=200)
        performed.create(mpps, data_set, visible_orders(principal), moment, note)
        response = HttpResponse(status=201)
        response["Location"] = f"{dicomweb_root(request)}/modality-performed-procedure-steps/{mpps}"
        return response


class ReadPerformed(_Performed):
    """``GET``: what was said."""

    @extend_schema(
        operation_id="performed_step_read",
        summary="Retrieve a performed procedure step (MPPS-RS, PS3.18 15.6)",
        responses={(200, "application/dicom+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: HttpRequest, mpps: str) -> HttpResponseBase:
        """Its data set as the modality gave it."""
        chosen = self.negotiate(request, FORMS)
        row = performed.retrieve(mpps, visible_performed(principal_of(request)))
        self.note(request, row, "R")
        text = without(orjson.dumps(row.data_set), self.withheld(request))
        if chosen == SINGLE_XML:
            return HttpResponse(to_xml(text), content_type=SINGLE_XML.media_type)
        return json_response(b"[" + text + b"]")


class PerformedStep(ReportPerformed, ReadPerformed):
    """``/modality-performed-procedure-steps/{mppsUID}``."""


def _updates(request: HttpRequest) -> bool:
    """Whether the step is changed. Raises ``BadRequest`` for another parameter: who misspells it would create."""
    names = {name for name, _ in pairs_of(request.META.get("QUERY_STRING", ""))}
    if not names <= _KNOWN:
        raise BadRequest("unknown parameter; known is update")
    return "update" in names
