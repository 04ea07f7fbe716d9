"""Bringing a study back from a slower tier before somebody opens it, for programs."""

from __future__ import annotations

from typing import Final

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from access import policy
from access.authentication import principal_of
from access.roles import Permission
from access.trail import event
from audit.kinds import ACCESS, REFUSED, Outcome
from audit.record import record
from custody.tiers.recalling import wish_for
from dicom.uids import UID_PATTERN
from portal.api import AlwaysJson

RULE: Final = "recall"


class RecallAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """How many series of the study lie elsewhere and are brought back now; 0: all of it can be read at once."""

    series = serializers.IntegerField(min_value=0)


class Recalls(APIView):
    """``/api/studies/<study>/recall``."""

    content_negotiation_class = AlwaysJson

    @extend_schema(
        operation_id="recall_study",
        parameters=[
            OpenApiParameter(
                "study", {"type": "string", "pattern": f"^{UID_PATTERN}$"}, "path", description="Study Instance UID"
            )
        ],
        request=None,
        responses={
            202: OpenApiResponse(RecallAnswer, "It is being brought back, as far as it lies elsewhere"),
            403: OpenApiResponse(description="The role lacks the right to open images"),
            404: OpenApiResponse(description="There is no such study among those that the caller may open"),
        },
        tags=["Tiers"],
        summary="Bring a study back from a slower tier",
    )
    def post(self, request: Request, study: str) -> Response:
        """Bring back what lies elsewhere of a study that the caller may open."""
        principal = principal_of(request)
        if not policy.may(principal, Permission.RETRIEVE):
            denied = {"decision": "deny", "rule": RULE, "outcome": Outcome.MINOR_FAILURE}
            record([event(request._request, REFUSED, principal, **denied)])
            raise PermissionDenied("your role does not include the right to open images")
        reached = policy.visible_studies(principal, Permission.RETRIEVE).filter(study_instance_uid=study)
        pk = reached.values_list("pk", flat=True).first()
        if pk is None:
            raise Http404
        series = wish_for([pk])
        text = f"{series} series brought back from a slower tier"
        record([event(request._request, ACCESS, principal, study_uids=[study], outcome_description=text)])
        return Response({"series": series}, status=202)
