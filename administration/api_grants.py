"""``/api/grants``: what is opened to people and clients one by one."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.granting import end_grant, grant, of_accounts
from access.models import Grant
from access.refused_change import RefusedChange
from access.rights import Right
from access.step_up import require_recent
from administration.api import TAG, BadInput, Managed, given, in_path, refusals
from administration.api_lists import PAGING_BY_NUMBER, Paging
from administration.grant_form import FIELDS, account_called, wanted
from administration.grant_rows import GrantRow, grant_rows, uids
from administration.grants import searched

UID = r"^[0-9.]{1,64}$"
NOT_THERE = "There is no grant of this id"
HOLDER = OpenApiParameter("holder", {"type": "string", "maxLength": 255})
STATE = OpenApiParameter("state", {"type": "string", "enum": ["open", "ended"]})


class GrantsQuestion(Paging):
    """Which grants. Patients are not asked for here, so that no identifier stands in an address."""

    holder = serializers.CharField(max_length=255, required=False)
    state = serializers.ChoiceField(choices=["open", "ended"], required=False)
    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)  # type: ignore[assignment]


class NewGrant(serializers.Serializer):  # type: ignore[type-arg]
    """To whom, and exactly one of ``study``, ``series`` and ``patient_id``."""

    holder = serializers.CharField(max_length=255, help_text="a person's name to sign in with, or a client's name")
    study = serializers.RegexField(UID, required=False, help_text="Study Instance UID")
    series = serializers.RegexField(UID, required=False, help_text="Series Instance UID")
    patient_id = serializers.CharField(max_length=64, required=False, help_text="all studies of the patient")
    issuer = serializers.CharField(max_length=64, required=False, default="", allow_blank=True)
    rights = serializers.ListField(
        child=serializers.ChoiceField(choices=[right.value for right in Right]), min_length=1, max_length=len(Right)
    )
    until = serializers.DateTimeField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One thing is named, and its time isn't over."""
        named = [reach for reach, field in FIELDS.items() if field in attrs]
        if len(named) != 1:
            raise serializers.ValidationError({"study": ["name one of study, series and patient_id"]})
        if attrs["until"] is not None and attrs["until"] <= timezone.now():
            raise serializers.ValidationError({"until": ["is over"]})
        return {**attrs, "reach": named[0]}


class GrantAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A grant. ``what`` names a patient to those who may find the study."""

    id = serializers.IntegerField()
    holder = serializers.CharField()
    reach = serializers.ChoiceField(choices=list(FIELDS))
    what = serializers.CharField()
    study = serializers.CharField(allow_blank=True)
    rights = serializers.ListField(child=serializers.CharField())
    given_by = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    open = serializers.BooleanField()


def answer(row: GrantRow) -> dict[str, Any]:
    """A grant as JSON."""
    return {
        "id": row.id,
        "holder": row.holder,
        "reach": row.reach,
        "what": row.what,
        "study": row.study_uid,
        "rights": row.names,
        "given_by": row.given_by,
        "since": row.since,
        "until": row.until,
        "open": row.open,
    }


class Grants(Managed):
    """``/api/grants``."""

    @extend_schema(
        operation_id="grants",
        parameters=[HOLDER, STATE, *PAGING_BY_NUMBER],
        responses={200: OpenApiResponse(GrantAnswer(many=True), "The grants"), **refusals()},
        tags=[TAG],
        summary="Grants, newest first",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(GrantsQuestion(data=request.query_params))
        found = searched({"holder": asked.get("holder", "")}, asked.get("state", ""))
        if "after" in asked:
            found = found.filter(pk__lt=asked["after"])
        start = asked["offset"]
        rows = grant_rows(request._request, found[start : start + asked["limit"]])
        return self.read(request, "grants", [answer(row) for row in rows], study_uids=uids(rows))

    @extend_schema(
        operation_id="grant_create",
        request=NewGrant,
        responses={
            201: OpenApiResponse(GrantAnswer, "The grant"),
            **refusals(s409="Not allowed by the rules of the house", s415="No JSON"),
        },
        tags=[TAG],
        summary="Open a study, a series or a patient to somebody",
    )
    def post(self, request: Request) -> Response:
        """Grant it."""
        require_recent(request)
        sent = given(NewGrant(data=request.data))
        try:
            account, what = account_called(sent["holder"]), wanted(sent)
        except RefusedChange as error:
            raise BadInput(str(error)) from error
        rights = [Right(name) for name in sent["rights"]]
        made = grant(account, what, rights, sent["until"], self.acting(request))
        return Response(answer(_row(request, made.pk)), status=201, headers={"Cache-Control": "no-store"})


class OneGrant(Managed):
    """``/api/grants/{grant}``."""

    @extend_schema(
        operation_id="grant",
        parameters=[in_path("grant", "^[0-9]+$")],
        responses={200: OpenApiResponse(GrantAnswer, "The grant"), **refusals(s404=NOT_THERE)},
        tags=[TAG],
        summary="One grant",
    )
    def get(self, request: Request, grant: int) -> Response:
        """The grant."""
        row = _row(request, grant)
        return self.read(request, f"grant {row.id}", answer(row), study_uids=uids([row]))

    @extend_schema(
        operation_id="grant_end",
        parameters=[in_path("grant", "^[0-9]+$")],
        request=None,
        responses={204: OpenApiResponse(description="It has ended"), **refusals(s404=NOT_THERE)},
        tags=[TAG],
        summary="End a grant, from the next request on",
    )
    def delete(self, request: Request, grant: int) -> Response:
        """End it; 204 as well if it had ended."""
        end_grant(_found(grant), self.acting(request))
        return Response(status=204)


def _found(key: int) -> Grant:
    found = of_accounts().filter(pk=key).first()
    if found is None:
        raise NotFound
    return found


def _row(request: Request, key: int) -> GrantRow:
    return grant_rows(request._request, [_found(key)])[0]
