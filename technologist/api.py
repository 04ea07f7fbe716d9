"""``/api/worklist/reconciliation``: the queue for programs, by the same rules as its pages."""

from collections.abc import Iterable
from typing import Any, Final

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access.authentication import principal_of
from archive.errors import Conflict, NotFound
from dicom.uids import UID_PATTERN
from technologist.door import corrected, may_judge, refuse, write_down
from technologist.reconciliation import carry_out, judged
from worklist.models import Outcome
from worklist.queue import Waiting, waiting
from worklist.queue_view import DECISIONS, Case, Decision
from worklist.reach import visible_orders

TAG: Final = "Worklist"
NO_STORE: Final = {"Cache-Control": "no-store"}
MOST: Final = 200
_LARGEST_ROW: Final = (1 << 63) - 1
_STUDY: Final = OpenApiParameter("study", {"type": "string", "pattern": f"^{UID_PATTERN}$"}, OpenApiParameter.PATH)
_REFUSALS: Final = {
    400: OpenApiResponse(description="The request can't be understood"),
    403: OpenApiResponse(description="The caller may not read the worklist, or not correct studies"),
}
_OF_ONE: Final = _REFUSALS | {404: OpenApiResponse(description="There is no such study, or it was not looked at yet")}


class BadInput(exceptions.APIException):
    """400; the text names what is wrong, and no value."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid"


class NotAsItIs(exceptions.APIException):
    """409: something has changed, or the decision is impossible; the text says which."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class QueueAsked(serializers.Serializer):  # type: ignore[type-arg]
    """Which part of the queue."""

    outcome = serializers.ChoiceField(choices=Outcome.values, required=False)
    limit = serializers.IntegerField(min_value=1, max_value=MOST, default=50)
    offset = serializers.IntegerField(min_value=0, max_value=1_000_000, default=0)


class WaitingAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A study that waits; ``strangers`` of its objects came under another patient, ``candidates`` are procedures."""

    study = serializers.CharField()
    outcome = serializers.ChoiceField(choices=Outcome.values)
    quarantined = serializers.BooleanField()
    opened_at = serializers.DateTimeField()
    strangers = serializers.IntegerField()
    candidates = serializers.ListField(child=serializers.IntegerField())


class ProposalAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A requested procedure that could be meant, and why. Of those that are not ``possible`` the patient is another."""

    procedure = serializers.IntegerField()
    accession_number = serializers.CharField(allow_blank=True)
    requested_procedure_id = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    reasons = serializers.ListField(child=serializers.CharField())
    linked = serializers.BooleanField()
    possible = serializers.BooleanField()


class DifferenceAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """An attribute of the study as it came, of its patient now, and of each proposal in their order."""

    title = serializers.CharField()
    study = serializers.CharField(allow_blank=True)
    patient = serializers.CharField(allow_blank=True)
    orders = serializers.ListField(child=serializers.CharField(allow_blank=True))
    differs = serializers.ListField(child=serializers.BooleanField())


class CaseAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A study to be judged; ``state`` goes back with the decision."""

    study = serializers.CharField()
    outcome = serializers.ChoiceField(choices=Outcome.values)
    quarantined = serializers.BooleanField()
    settled_by = serializers.CharField(allow_blank=True)
    strangers = serializers.IntegerField()
    proposals = ProposalAnswer(many=True)
    lines = DifferenceAnswer(many=True)
    decisions = serializers.ListField(child=serializers.ChoiceField(choices=DECISIONS))
    state = serializers.CharField()


class JudgementWish(serializers.Serializer):  # type: ignore[type-arg]
    """What is decided, why, and the ``state`` on which it was. ``procedures`` are what ``link`` links to."""

    decision = serializers.ChoiceField(choices=DECISIONS)
    procedures = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=_LARGEST_ROW), required=False, default=list, max_length=50
    )
    reason = serializers.CharField(max_length=500)
    state = serializers.RegexField(r"^[0-9a-f]{32}$")


class JudgementAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """The procedures that the study answers now."""

    linked = serializers.ListField(child=serializers.IntegerField())


class _AlwaysJson(DefaultContentNegotiation):
    """There is one representation; it is given whatever is accepted (RFC 9110 12.5.1)."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), "application/json"


class _OfQueue(APIView):
    """For whoever may say which order a study answers."""

    content_negotiation_class = _AlwaysJson

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before every method. Raises MethodNotAllowed, and PermissionDenied with its event."""
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            raise exceptions.MethodNotAllowed(request.method or "")
        if not may_judge(principal_of(request)):
            refuse(request._request, principal_of(request))


class Queue(_OfQueue):
    """``/api/worklist/reconciliation``."""

    @extend_schema(
        operation_id="reconciliation_queue",
        parameters=[QueueAsked],
        responses={200: OpenApiResponse(WaitingAnswer(many=True), "The newest first"), **_REFUSALS},
        tags=[TAG],
        summary="Studies that found no order, too many, or that of another patient",
    )
    def get(self, request: Request) -> Response:
        """What waits within the studies that the caller may correct."""
        asked = _given(QueueAsked(data=request._request.GET.dict()))
        principal = principal_of(request)
        outcome = Outcome(asked["outcome"]) if "outcome" in asked else None
        found = waiting(corrected(principal), outcome, limit=asked["limit"], offset=asked["offset"])
        uids = [each.study.study_instance_uid for each in found]
        whose = [each.study.patient.patient_id for each in found]
        write_down(request._request, principal, "reconciliation queue", study_uids=uids, patient_ids=whose)
        return Response([_waiting(each) for each in found], headers=NO_STORE)


class OneStudy(_OfQueue):
    """``/api/worklist/reconciliation/<study>``."""

    @extend_schema(
        operation_id="reconciliation_study",
        parameters=[_STUDY],
        responses={200: OpenApiResponse(CaseAnswer, "What there is to judge"), **_OF_ONE},
        tags=[TAG],
        summary="One study beside the orders that could be meant",
    )
    def get(self, request: Request, study: str) -> Response:
        """What differs, what is proposed and why, and what may be decided."""
        principal = principal_of(request)
        found = _case(request, study)
        whose = [found.study.patient.patient_id, *(each.patient.patient_id for each in found.proposals)]
        write_down(request._request, principal, "reconciliation of a study", study_uids=[study], patient_ids=whose)
        return Response(_told(found), headers=NO_STORE)


class Judgements(_OfQueue):
    """``/api/worklist/reconciliation/<study>/decision``."""

    @extend_schema(
        operation_id="reconciliation_decide",
        parameters=[_STUDY],
        request=JudgementWish,
        responses={
            200: OpenApiResponse(JudgementAnswer, "It is done"),
            **_OF_ONE,
            415: OpenApiResponse(description="The body is no JSON"),
            409: OpenApiResponse(description="The study has changed since, or that can't be decided; says which"),
        },
        tags=[TAG],
        summary="Say which orders a study answers",
    )
    def post(self, request: Request, study: str) -> Response:
        """Decide on the state that was seen."""
        wish = _given(JudgementWish(data=request.data))
        decision = Decision(wish["decision"])
        if decision is Decision.LINK and not wish["procedures"]:
            raise BadInput("procedures: what the study answers")
        found = _case(request, study)
        wanted = (decision, wish["procedures"], wish["reason"], wish["state"])
        try:
            linked = carry_out(request._request, principal_of(request), found, *wanted)
        except (Conflict, NotFound) as error:
            raise NotAsItIs(str(error)) from error
        return Response({"linked": list(linked)}, headers=NO_STORE)


def _case(request: Request, study: str) -> Case:
    principal = principal_of(request)
    try:
        return judged(principal, study, visible_orders(principal))
    except Http404:
        raise exceptions.NotFound from None


def _waiting(found: Waiting) -> dict[str, Any]:
    return {
        "study": found.study.study_instance_uid,
        "outcome": found.outcome,
        "quarantined": found.study.quarantined,
        "opened_at": found.opened_at,
        "strangers": found.strangers,
        "candidates": [each.procedure for each in found.candidates],
    }


def _told(found: Case) -> dict[str, Any]:
    return {
        "study": found.study.study_instance_uid,
        "outcome": found.outcome,
        "quarantined": found.study.quarantined,
        "settled_by": found.settled_by,
        "strangers": found.strangers,
        "proposals": [
            {
                "procedure": each.procedure.pk,
                "accession_number": each.procedure.order.accession_number,
                "requested_procedure_id": each.procedure.procedure_id,
                "description": each.procedure.description,
                "reasons": list(each.reasons),
                "linked": each.linked,
                "possible": each.possible,
            }
            for each in found.proposals
        ],
        "lines": [
            {
                "title": line.title,
                "study": line.came,
                "patient": line.now,
                "orders": [text for text, _ in line.orders],
                "differs": [differs for _, differs in line.orders],
            }
            for line in found.lines
        ],
        "decisions": [each.value for each in found.decisions],
        "state": found.state,
    }


def _given(form: serializers.Serializer[Any]) -> dict[str, Any]:
    if not form.is_valid():
        raise BadInput("; ".join(f"{name}: is missing, or not what is expected" for name in form.errors))
    checked: dict[str, Any] = form.validated_data
    return checked
