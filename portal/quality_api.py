"""Findings about images for programs: what the worker that draws the thumbnails saw to be wrong (``dicom.quality``)."""

from typing import Any

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
from archive.quality import Found, findings
from audit.kinds import REFUSED, SEARCH, Outcome
from audit.record import record
from dicom.quality_codes import CODES, SEVERITIES
from dicom.uids import UID_PATTERN, is_uid
from portal.api import AlwaysJson
from portal.emergency_api import BadWish

RULE = "quality"
NO_STORE = {"Cache-Control": "no-store"}
_DEFAULT_LIMIT, _MOST = 100, 1000
_LARGEST_ROW = (1 << 63) - 1


class FindingsAsked(serializers.Serializer):  # type: ignore[type-arg]
    """Which findings: all filters hold together."""

    code = serializers.ChoiceField(choices=list(CODES), required=False)
    study = serializers.CharField(required=False, max_length=64)
    before = serializers.IntegerField(required=False, min_value=0, max_value=_LARGEST_ROW)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=_MOST, default=_DEFAULT_LIMIT)

    def validate_study(self, text: str) -> str:
        """A UID."""
        if not is_uid(text):
            raise serializers.ValidationError("expected a Study Instance UID")
        return text


class FindingAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """One finding; ``frame`` is 0 for what the header itself says, ``numbers`` say how much."""

    id = serializers.IntegerField()
    code = serializers.ChoiceField(choices=list(CODES))
    severity = serializers.ChoiceField(choices=list(SEVERITIES))
    meaning = serializers.CharField()
    modality = serializers.CharField()
    study = serializers.CharField()
    series = serializers.CharField()
    instance = serializers.CharField()
    frame = serializers.IntegerField()
    numbers = serializers.DictField(child=serializers.FloatField())
    made_at = serializers.DateTimeField()


class FindingsAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A page of findings, the latest first; ``next`` is the ``before`` of the next page, null on the last."""

    findings = FindingAnswer(many=True)
    next = serializers.IntegerField(allow_null=True)


class QualityFindings(APIView):
    """``/api/quality/findings``."""

    content_negotiation_class = AlwaysJson

    @extend_schema(
        operation_id="quality_findings",
        parameters=[
            OpenApiParameter("code", {"type": "string", "enum": list(CODES)}, description="only of this kind"),
            OpenApiParameter(
                "study", {"type": "string", "pattern": f"^{UID_PATTERN}$"}, description="only of this study"
            ),
            OpenApiParameter(
                "before",
                {"type": "integer", "minimum": 0, "maximum": _LARGEST_ROW},
                description="only below this id: `next` of the page before",
            ),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": _MOST, "default": _DEFAULT_LIMIT}),
        ],
        responses={
            200: OpenApiResponse(FindingsAnswer, "A page, the latest finding first"),
            400: OpenApiResponse(description="A parameter is not understood"),
            403: OpenApiResponse(description="The role lacks the right to correct studies"),
        },
        tags=["Image quality"],
        summary="What seems wrong with images",
    )
    def get(self, request: Request) -> Response:
        """Findings about the studies that the caller may correct; those who may correct none are refused."""
        principal = principal_of(request)
        if not policy.may(principal, Permission.UPDATE):
            denied = {"decision": "deny", "rule": RULE, "outcome": Outcome.MINOR_FAILURE}
            record([event(request._request, REFUSED, principal, **denied)])
            raise PermissionDenied("your role does not include the right to correct studies")
        asked = _asked(request)
        limit = asked["limit"]
        found = findings(
            policy.visible_studies(principal, Permission.UPDATE),
            code=asked.get("code", ""),
            study_instance_uid=asked.get("study", ""),
            before=asked.get("before"),
            limit=limit + 1,
        )
        page = found[:limit]
        uids = list(dict.fromkeys(each.study_instance_uid for each in page))
        record([event(request._request, SEARCH, principal, rule=RULE, query="image quality", study_uids=uids)])
        body = {"findings": [_shown(each) for each in page], "next": page[-1].pk if len(found) > limit else None}
        return Response(body, headers=NO_STORE)


def _asked(request: Request) -> dict[str, Any]:
    form = FindingsAsked(data=request._request.GET.dict())
    if not form.is_valid():
        raise BadWish("; ".join(f"{name}: {' '.join(map(str, told))}" for name, told in form.errors.items()))
    checked: dict[str, Any] = form.validated_data
    return checked


def _shown(found: Found) -> dict[str, Any]:
    return {
        "id": found.pk,
        "code": found.code,
        "severity": found.severity,
        "meaning": CODES[found.code].meaning if found.code in CODES else found.code,
        "modality": found.modality,
        "study": found.study_instance_uid,
        "series": found.series_instance_uid,
        "instance": found.sop_instance_uid,
        "frame": found.frame,
        "numbers": found.numbers,
        "made_at": found.made_at,
    }
