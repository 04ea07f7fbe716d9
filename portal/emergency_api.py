"""Emergency accesses for programs: begin one, list one's own, end one."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import policy
from access.acting import Acting
from access.authentication import principal_of
from access.emergency import DEFAULT_MINUTES, MOST_REASON, BadReason, begin, checked_reason, end, most_minutes
from access.emergency_lookup import NoSuchPatient, SeveralPatients, TooManyWrong, patient_of
from access.emergency_models import EmergencyAccess, Verdict
from access.principal import Principal
from access.trail import event
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from portal.api import AlwaysJson

LISTED = 100
STUDIES_NAMED = 100
NO_STORE = {"Cache-Control": "no-store"}
TAG = "Emergency access"
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

LACKING = OpenApiResponse(description="The role lacks the right")


class BadWish(APIException):
    """400: the text says which field, and no value."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "bad-request"


class Several(APIException):
    """409: the identifier is of several patients."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "several patients have this identifier: give a study, an accession number or an issuer"
    default_code = "several-patients"


class EmergencyWish(serializers.Serializer):  # type: ignore[type-arg]
    """One patient, by a study, an accession number or a patient ID, whichever comes first; why, and for how long."""

    study = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="Study Instance UID")
    accession = serializers.CharField(required=False, allow_blank=True, max_length=16)
    patient_id = serializers.CharField(required=False, allow_blank=True, max_length=64)
    issuer = serializers.CharField(required=False, allow_blank=True, max_length=64, help_text="narrows patient_id")
    reason = serializers.CharField(max_length=MOST_REASON, help_text="at least ten characters")
    minutes = serializers.IntegerField(required=False, min_value=1)

    def validate_reason(self, text: str) -> str:
        """A reason that says something."""
        try:
            return checked_reason(text)
        except BadReason as error:
            raise serializers.ValidationError(str(error)) from error

    def validate_minutes(self, minutes: int) -> int:
        """No longer than the house allows."""
        if minutes > most_minutes():
            raise serializers.ValidationError(f"at most {most_minutes()}")
        return minutes

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One identifier at least."""
        if not any(attrs.get(name) for name in ("study", "accession", "patient_id")):
            raise serializers.ValidationError("name a study, an accession number or a patient_id")
        return attrs


class EmergencyAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """An emergency access; ``studies`` are those that it opens now."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=["open", "ended"])
    reason = serializers.CharField()
    started = serializers.DateTimeField()
    expires = serializers.DateTimeField()
    ended = serializers.DateTimeField(allow_null=True)
    review = serializers.ChoiceField(choices=["open", *Verdict.values])
    studies = serializers.ListField(child=serializers.CharField())


class _EmergencyView(APIView):
    content_negotiation_class = AlwaysJson

    def allowed(self, request: Request) -> Principal:
        """The person who may do this. Raises PermissionDenied, with its event."""
        principal = principal_of(request)
        if not policy.may_break_glass(principal):
            denied = {"decision": "deny", "rule": "emergency", "outcome": Outcome.SERIOUS_FAILURE}
            record([event(request._request, REFUSED, principal, **denied)])
            raise PermissionDenied("your role does not include the right to open patients in an emergency")
        return principal


class EmergencyAccesses(_EmergencyView):
    """``/api/emergency-access``."""

    @extend_schema(
        operation_id="emergency_begin",
        request=EmergencyWish,
        responses={
            201: OpenApiResponse(EmergencyAnswer, "It is open"),
            400: OpenApiResponse(description="No reason, no identifier, or too long"),
            403: LACKING,
            404: OpenApiResponse(description="No patient has this identifier"),
            409: OpenApiResponse(description="Several patients have it"),
            429: OpenApiResponse(description="Too many wrong identifiers"),
        },
        tags=[TAG],
        summary="Open one patient in an emergency",
    )
    def post(self, request: Request) -> Response:
        """Open all studies of one patient for some minutes; it is recorded, and somebody looks at it later."""
        principal = self.allowed(request)
        wish = EmergencyWish(data=request.data)
        if not wish.is_valid():
            raise BadWish("; ".join(f"{name}: {' '.join(map(str, told))}" for name, told in wish.errors.items()))
        given, by = wish.validated_data, Acting(request._request, principal)
        identifiers = {name: given.get(name, "") for name in ("study", "accession", "patient_id", "issuer")}
        try:
            patient = patient_of(by, principal, **identifiers)
        except NoSuchPatient as error:
            raise NotFound("no patient has this identifier") from error
        except SeveralPatients as error:
            raise Several from error
        except TooManyWrong as error:
            raise Throttled(error.retry_after) from error
        begun = begin(patient, given["reason"], given.get("minutes", min(DEFAULT_MINUTES, most_minutes())), by)
        begun.refresh_from_db()
        return Response(_answer(begun), status=201, headers=NO_STORE)

    @extend_schema(
        operation_id="emergency_list",
        responses={200: OpenApiResponse(EmergencyAnswer(many=True), "The newest hundred"), 403: LACKING},
        tags=[TAG],
        summary="One's own emergency accesses, the newest first",
    )
    def get(self, request: Request) -> Response:
        """The newest hundred."""
        principal = self.allowed(request)
        own = EmergencyAccess.objects.filter(user__external_id=principal.id).select_related("patient")
        answers = [_answer(access) for access in own.order_by("-started_at")[:LISTED]]
        named = sorted({uid for answer in answers for uid in answer["studies"]})
        query = "one's own emergency accesses"
        record([event(request._request, SEARCH, principal, rule="emergency", study_uids=named, query=query)])
        return Response(answers, headers=NO_STORE)


class OneEmergencyAccess(_EmergencyView):
    """``/api/emergency-access/<id>``."""

    @extend_schema(
        operation_id="emergency_end",
        responses={
            204: OpenApiResponse(description="It has ended"),
            403: LACKING,
            404: OpenApiResponse(description="None of one's own has this id"),
        },
        parameters=[OpenApiParameter("access", {"type": "string", "pattern": _UUID}, OpenApiParameter.PATH)],
        tags=[TAG],
        summary="End an emergency access",
    )
    def delete(self, request: Request, access: UUID) -> Response:
        """It opens nothing from the next request on; ending it twice is no error."""
        principal = self.allowed(request)
        found = EmergencyAccess.objects.filter(external_id=access, user__external_id=principal.id).first()
        if found is None:
            raise Http404
        end(found, Acting(request._request, principal))
        return Response(status=204, headers=NO_STORE)


def _answer(access: EmergencyAccess) -> dict[str, Any]:
    running = EmergencyAccess.objects.active().filter(pk=access.pk).exists()
    studies = access.studies.order_by("-study_date", "-pk") if running else access.studies.none()
    return {
        "id": str(access.external_id),
        "state": "open" if running else "ended",
        "reason": access.reason,
        "started": access.started_at.isoformat(),
        "expires": access.expires_at.isoformat(),
        "ended": access.ended_at.isoformat() if access.ended_at else None,
        "review": access.verdict or "open",
        "studies": list(studies.values_list("study_instance_uid", flat=True)[:STUDIES_NAMED]),
    }
