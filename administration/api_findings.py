"""``/api/findings``: what is wrong with stored objects."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.step_up import require_recent
from administration.api import NO_STORE, TAG, Conflict, Managed, given, in_path, refusals
from administration.api_lists import PAGING_BY_NUMBER, Paging
from administration.findings import findings
from custody.integrity.findings import MOST_REASON, accept
from custody.integrity.models import Finding, Kind, State

NOT_THERE = "There is no finding of this id"
STATE = OpenApiParameter("state", {"type": "string", "enum": ["open", "all"], "default": "open"})


class FindingsQuestion(Paging):
    """Which findings."""

    state = serializers.ChoiceField(choices=["open", "all"], default="open")
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)  # type: ignore[assignment]


class AcceptanceBody(serializers.Serializer):  # type: ignore[type-arg]
    """Why a finding stays as it is."""

    reason = serializers.CharField(max_length=MOST_REASON, help_text="stands in the trail; name no patient")


class IntegrityFindingAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A finding: of which object, since when, and what became of it."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Kind.values)
    object_key = serializers.CharField()
    study = serializers.CharField(allow_blank=True)
    instance = serializers.CharField(allow_blank=True)
    detail = serializers.CharField(allow_blank=True)
    first_seen = serializers.DateTimeField()
    last_seen = serializers.DateTimeField()
    finding_state = serializers.ChoiceField(choices=State.values)
    settled_at = serializers.DateTimeField(allow_null=True)
    settled_by = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)


def answer(row: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "object_key": row.object_key,
        "study": row.study_instance_uid,
        "instance": row.sop_instance_uid,
        "detail": row.detail,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "finding_state": row.state,
        "settled_at": row.settled_at,
        "settled_by": row.settled_by,
        "reason": row.reason,
    }


class Findings(Managed):
    """``/api/findings``."""

    @extend_schema(
        operation_id="findings",
        parameters=[STATE, *PAGING_BY_NUMBER],
        responses={200: OpenApiResponse(IntegrityFindingAnswer(many=True), "The findings"), **refusals()},
        tags=[TAG],
        summary="What is wrong with stored objects, newest first",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(FindingsQuestion(data=request.query_params))
        found = findings(only_open=asked["state"] == "open").order_by("-pk")
        if "after" in asked:
            found = found.filter(pk__lt=asked["after"])
        rows = list(found[asked["offset"] : asked["offset"] + asked["limit"]])
        uids = sorted({row.study_instance_uid for row in rows if row.study_instance_uid})
        return self.read(request, "findings about stored objects", [answer(row) for row in rows], study_uids=uids)


class AcceptFinding(Managed):
    """``/api/findings/{finding}/accept``."""

    @extend_schema(
        operation_id="finding_accept",
        parameters=[in_path("finding", "^[0-9]+$")],
        request=AcceptanceBody,
        responses={
            200: OpenApiResponse(IntegrityFindingAnswer, "The finding, which is accepted"),
            **refusals(s404=NOT_THERE, s409="It was settled before", s415="No JSON"),
        },
        tags=[TAG],
        summary="Accept a finding: it stays as it is, and raises no alert",
    )
    def post(self, request: Request, finding: int) -> Response:
        """Accept it."""
        require_recent(request)
        found = Finding.objects.filter(pk=finding).first()
        if found is None:
            raise NotFound("no such finding")
        sent = given(AcceptanceBody(data=request.data))
        if not accept(found, sent["reason"], by=self.acting(request)):
            raise Conflict("this finding was settled before")
        return Response(answer(Finding.objects.get(pk=finding)), headers=NO_STORE)
