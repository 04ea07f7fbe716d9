"""``/api/holds``: legal holds."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.marking import patient_called
from access.people import Unknown
from access.roles import Permission
from access.step_up import require_recent
from administration.api import NO_STORE, TAG, BadInput, Conflict, Managed, given, in_path, refusals
from administration.api_lists import PAGING_BY_NUMBER, Paging
from administration.holds import HoldRow, holds, row_of
from archive.models import LegalHold
from custody.retention.holding import MOST_REASON, place, release

NOT_THERE = "There is no hold of this id"
STATE = OpenApiParameter("state", {"type": "string", "enum": ["standing", "all"], "default": "standing"})


class HoldsQuestion(Paging):
    """Which holds."""

    state = serializers.ChoiceField(choices=["standing", "all"], default="standing")
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)  # type: ignore[assignment]


class NewHoldBody(serializers.Serializer):  # type: ignore[type-arg]
    """Exactly one of ``study`` and ``patient_id``; without ``until`` a hold stands until it is released."""

    study = serializers.RegexField(r"^[0-9.]{1,64}$", required=False, help_text="Study Instance UID, stored or not")
    patient_id = serializers.CharField(max_length=64, required=False, help_text="all studies of the patient")
    issuer = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    reason = serializers.CharField(max_length=MOST_REASON, help_text="stands in the trail; name no patient")
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One thing is named, and its time isn't over."""
        if ("study" in attrs) == ("patient_id" in attrs):
            raise serializers.ValidationError({"study": ["name one of study and patient_id"]})
        if attrs["until"] is not None and attrs["until"] <= timezone.now():
            raise serializers.ValidationError({"until": ["is over"]})
        return attrs


class ReleaseBody(serializers.Serializer):  # type: ignore[type-arg]
    """Why a hold ends."""

    reason = serializers.CharField(max_length=MOST_REASON)


class HoldAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A hold. ``ended`` says by whom and why, or that its time is over."""

    id = serializers.IntegerField()
    what = serializers.CharField()
    study = serializers.CharField(allow_blank=True)
    reason = serializers.CharField()
    placed_by = serializers.CharField()
    placed_at = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    stands = serializers.BooleanField()
    ended = serializers.CharField(allow_blank=True)


def answer(row: HoldRow) -> dict[str, Any]:
    """A hold as JSON."""
    return {
        "id": row.id,
        "what": row.what,
        "study": row.study_uid,
        "reason": row.reason,
        "placed_by": row.placed_by,
        "placed_at": row.placed_at,
        "until": row.until,
        "stands": row.stands,
        "ended": row.ended,
    }


class Holds(Managed):
    """``/api/holds``."""

    right = Permission.HOLD

    @extend_schema(
        operation_id="holds",
        parameters=[STATE, *PAGING_BY_NUMBER],
        responses={200: OpenApiResponse(HoldAnswer(many=True), "The holds"), **refusals()},
        tags=[TAG],
        summary="Legal holds, newest first",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(HoldsQuestion(data=request.query_params))
        found = holds(standing=asked["state"] == "standing")
        if "after" in asked:
            found = found.filter(pk__lt=asked["after"])
        rows = [row_of(each) for each in found[asked["offset"] : asked["offset"] + asked["limit"]]]
        uids = [row.study_uid for row in rows if row.study_uid]
        return self.read(request, "legal holds", [answer(row) for row in rows], study_uids=uids)

    @extend_schema(
        operation_id="hold_place",
        request=NewHoldBody,
        responses={201: OpenApiResponse(HoldAnswer, "The hold"), **refusals(s415="No JSON")},
        tags=[TAG],
        summary="Put a study or a patient under legal hold",
    )
    def post(self, request: Request) -> Response:
        """Place it."""
        require_recent(request)
        sent = given(NewHoldBody(data=request.data))
        try:
            target = sent["study"] if "study" in sent else patient_called(sent["patient_id"], sent["issuer"])
        except Unknown as error:
            raise BadInput(f"patient_id: {error}") from error
        made = place(target, sent["reason"], sent["until"], by=self.acting(request))
        return Response(answer(row_of(made.hold)), status=201, headers=NO_STORE)


class OneHold(Managed):
    """``/api/holds/{hold}``."""

    right = Permission.HOLD

    @extend_schema(
        operation_id="hold",
        parameters=[in_path("hold", "^[0-9]+$")],
        responses={200: OpenApiResponse(HoldAnswer, "The hold"), **refusals(s404=NOT_THERE)},
        tags=[TAG],
        summary="One legal hold",
    )
    def get(self, request: Request, hold: int) -> Response:
        """It."""
        row = row_of(found_hold(hold))
        uids = [row.study_uid] if row.study_uid else []
        return self.read(request, f"legal hold {hold}", answer(row), study_uids=uids)


class ReleaseHold(Managed):
    """``/api/holds/{hold}/release``."""

    right = Permission.HOLD

    @extend_schema(
        operation_id="hold_release",
        parameters=[in_path("hold", "^[0-9]+$")],
        request=ReleaseBody,
        responses={
            200: OpenApiResponse(HoldAnswer, "The hold, which has ended"),
            **refusals(s404=NOT_THERE, s409="It had ended before", s415="No JSON"),
        },
        tags=[TAG],
        summary="Release a legal hold",
    )
    def post(self, request: Request, hold: int) -> Response:
        """Release it."""
        require_recent(request)
        found = found_hold(hold)
        sent = given(ReleaseBody(data=request.data))
        if not release(found, sent["reason"], by=self.acting(request)):
            raise Conflict("this hold had ended before")
        return Response(answer(row_of(found_hold(hold))), headers=NO_STORE)


def found_hold(pk: int) -> LegalHold:
    """The hold of this id. Raises NotFound."""
    found = LegalHold.objects.select_related("patient").filter(pk=pk).first()
    if found is None:
        raise NotFound("no such hold")
    return found
