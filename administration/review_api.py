"""``/api/access-review``: every account with what it may, as JSON and as CSV."""

from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.account_report import Account, accounts
from access.report_csv import table
from administration.api import NO_STORE, TAG, Managed, refusals


class RoleGivenAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A role of an account; ``given_by`` "" where no person gave it."""

    name = serializers.CharField()
    given_by = serializers.CharField(allow_blank=True)
    given_at = serializers.DateTimeField(allow_null=True)


class AccountAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """An account; ``last_used`` null if it never was, ``second_factor`` null for machines."""

    kind = serializers.ChoiceField(choices=["person", "client"])
    id = serializers.UUIDField()
    name = serializers.CharField()
    full_name = serializers.CharField(allow_blank=True)
    is_active = serializers.BooleanField()
    manages = serializers.BooleanField()
    roles = RoleGivenAnswer(many=True)
    made_at = serializers.DateTimeField()
    last_used = serializers.DateTimeField(allow_null=True)
    grants = serializers.IntegerField()
    keys = serializers.IntegerField()
    second_factor = serializers.BooleanField(allow_null=True)
    dormant = serializers.BooleanField()


class AccessReview(Managed):
    """``/api/access-review``."""

    @extend_schema(
        operation_id="access_review",
        responses={200: OpenApiResponse(AccountAnswer(many=True), "The accounts"), **refusals()},
        tags=[TAG],
        summary="Every account with roles, who gave them, and last use",
    )
    def get(self, request: Request) -> Response:
        """All accounts."""
        return self.read(request, "access review", [_answer(account) for account in accounts()])


class AccessReviewTable(Managed):
    """``/api/access-review.csv``."""

    @extend_schema(
        operation_id="access_review_table",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "The table (RFC 4180)"), **refusals()},
        tags=[TAG],
        summary="The same as CSV",
    )
    def get(self, request: Request) -> HttpResponse:
        """All accounts, a line each."""
        text = table(accounts())
        self.read(request, "access review as CSV", None)
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=NO_STORE)


def _answer(account: Account) -> dict[str, Any]:
    return {**asdict(account), "id": str(account.id)}
