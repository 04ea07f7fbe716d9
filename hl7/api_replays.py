"""``POST /api/hl7/replays``: several messages that wait at once, by their numbers or by what they have in common."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.authentication import principal_of
from audit.kinds import ORDER_RECORD
from hl7.api import NO_JSON, NO_STORE, REFUSALS, TAG, OfInterfaces, given_in
from hl7.api_answers import LARGEST_ROW, ChangeAnswer
from hl7.message_search import Asked
from hl7.pages_door import write_down
from hl7.pages_parked import MOST_AT_ONCE, Tried, attempt, chosen


class ReplaysWish(serializers.Serializer):  # type: ignore[type-arg]
    """Which messages: those named, else all that wait and match, the oldest 200 at the most."""

    messages = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=LARGEST_ROW), required=False, max_length=MOST_AT_ONCE
    )
    interface = serializers.CharField(required=False, max_length=200)
    type = serializers.RegexField(r"^[A-Z0-9]{1,4}(\^[A-Z0-9]{1,4})?$", required=False, max_length=9)
    condition = serializers.IntegerField(required=False, min_value=100, max_value=299)
    dry_run = serializers.BooleanField(required=False, default=False)
    reason = serializers.CharField(required=False, max_length=500, default="", allow_blank=True)


class TriedAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """What became of one message, or would; ``refused`` says why nothing did."""

    id = serializers.IntegerField()
    effect = serializers.ListField(child=serializers.CharField())
    changes = ChangeAnswer(many=True)
    refused = serializers.CharField(allow_blank=True)


class Replays(OfInterfaces):
    """``/api/hl7/replays``."""

    @extend_schema(
        operation_id="hl7_replays",
        request=ReplaysWish,
        responses={
            200: OpenApiResponse(TriedAnswer(many=True), "Each message, the oldest first"),
            **REFUSALS,
            **NO_JSON,
        },
        tags=[TAG],
        summary="Apply messages that wait once more, or say what that would do",
    )
    def post(self, request: Request) -> Response:
        """One transaction a message; one that can't be applied keeps none of the others."""
        wish = given_in(ReplaysWish(data=request.data))
        principal = principal_of(request)
        asked = Asked(**{name: wish[name] for name in ("interface", "type", "condition") if name in wish})
        what = "try" if wish["dry_run"] else "replay"
        tried = [attempt(each, what, wish["reason"], principal) for each in chosen(asked, wish.get("messages"))]
        numbers = ",".join(str(each.message.pk) for each in tried)
        names = sorted({name for each in tried for name in each.patient_ids})
        told = {"outcome_description": wish["reason"], "patient_ids": names}
        write_down(request._request, principal, f"hl7 {what} {numbers}", kind=ORDER_RECORD, **told)
        return Response([_told(each) for each in tried], headers=NO_STORE)


def _told(tried: Tried) -> dict[str, Any]:
    return {
        "id": tried.message.pk,
        "effect": list(tried.words),
        "changes": [{"what": each.what, "now": each.now, "then": each.then} for each in tried.changes],
        "refused": tried.refused,
    }
