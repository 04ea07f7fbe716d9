"""``/api/people``: people for programs that keep accounts in step with another system."""

from typing import Any
from uuid import UUID

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from access.custom_roles import is_role
from access.models import User
from access.people import change_person, create_user, reset_password, set_roles
from access.principal import Limit, LimitKind
from access.step_up import require_recent
from access.switching import set_active
from access.termination import terminate
from administration.api import NO_STORE, TAG, Managed, given, in_path, refusals
from administration.api_lists import PAGING, Paging, part
from administration.people import SHOWN, people
from administration.person import find
from administration.role_fields import LONGEST_VALUE, MOST_VALUES

SHOW = OpenApiParameter("show", {"type": "string", "enum": [value for value, _ in SHOWN if value]})


class LimitField(serializers.Serializer):  # type: ignore[type-arg]
    """Where a role reaches: values of Institution Name, of the issuer of patient IDs, or of the department."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in LimitKind])
    values = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_VALUE), min_length=1, max_length=MOST_VALUES
    )


class RolesField(serializers.ListField):
    """Names of roles, built in or of the house's own."""

    child = serializers.CharField(max_length=40)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Raises ValidationError for a name that no role has."""
        names = super().run_validation(data)
        if names is not None and not all(is_role(name) for name in names):
            raise serializers.ValidationError("there is no such role")
        return names


class PeopleQuestion(Paging):
    """Which people; names are not searched for here, so that they stand in no address."""

    show = serializers.ChoiceField(choices=[value for value, _ in SHOWN if value], required=False)
    role = serializers.CharField(required=False, max_length=40)


class NewPerson(serializers.Serializer):  # type: ignore[type-arg]
    """Somebody new."""

    username = serializers.CharField(max_length=150, validators=[UnicodeUsernameValidator()])
    first_name = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)
    last_name = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)
    email = serializers.EmailField(max_length=254, required=False, default="", allow_blank=True)
    roles = RolesField(min_length=1, max_length=50)
    limits = serializers.DictField(child=LimitField(), required=False)
    reason = serializers.CharField(max_length=300, required=False, default="", allow_blank=True)


class PersonChange(serializers.Serializer):  # type: ignore[type-arg]
    """What of a person changes. Everything else that is sent is ignored."""

    first_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    last_name = serializers.CharField(max_length=150, required=False, allow_blank=True)
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    is_active = serializers.BooleanField(required=False)
    roles = RolesField(max_length=50, required=False)
    limits = serializers.DictField(child=LimitField(), required=False, help_text="by role; none: as they are")
    reason = serializers.CharField(max_length=300, required=False, help_text="needed with roles and is_active")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What somebody may do changes for a reason."""
        if {"roles", "is_active"} & attrs.keys() and not attrs.get("reason"):
            raise serializers.ValidationError({"reason": ["say why"]})
        if "limits" in attrs and "roles" not in attrs:
            raise serializers.ValidationError({"limits": ["send the roles as well"]})
        return attrs


class Reason(serializers.Serializer):  # type: ignore[type-arg]
    """Why."""

    reason = serializers.CharField(max_length=300)


class RoleHeld(serializers.Serializer):  # type: ignore[type-arg]
    """A role that somebody has."""

    name = serializers.CharField()
    limit = LimitField(allow_null=True)
    given_at = serializers.DateTimeField()


class PersonAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A person."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    first_name = serializers.CharField(allow_blank=True)
    last_name = serializers.CharField(allow_blank=True)
    email = serializers.CharField(allow_blank=True)
    is_active = serializers.BooleanField()
    second_factor = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    last_sign_in = serializers.DateTimeField(allow_null=True)
    roles = RoleHeld(many=True)


class PersonWithPassword(PersonAnswer):
    """A person, and a password that is kept nowhere else."""

    password = serializers.CharField()


def answer(user: User) -> dict[str, Any]:
    """A person, with roles, as JSON."""
    return {
        "id": user.external_id,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "is_active": user.is_active,
        "second_factor": user.second_factors.exists(),
        "created_at": user.date_joined,
        "last_sign_in": user.last_login,
        "roles": [
            {
                "name": row.role,
                "limit": {"kind": row.limit_kind, "values": row.limit_values} if row.limit_kind else None,
                "given_at": row.given_at,
            }
            for row in sorted(user.roles.all(), key=lambda row: row.role)
        ],
    }


def limits(sent: dict[str, Any] | None) -> dict[str, Limit] | None:
    """The limits that were sent; None if none were."""
    if sent is None:
        return None
    return {name: Limit(LimitKind(each["kind"]), tuple(each["values"])) for name, each in sent.items()}


class People(Managed):
    """``/api/people``."""

    @extend_schema(
        operation_id="people",
        parameters=[SHOW, OpenApiParameter("role", {"type": "string", "maxLength": 40}), *PAGING],
        responses={200: OpenApiResponse(PersonAnswer(many=True), "The people"), **refusals()},
        tags=[TAG],
        summary="People by name",
    )
    def get(self, request: Request) -> Response:
        """A part of the list."""
        asked = given(PeopleQuestion(data=request.query_params))
        found = part(people(asked.get("show", ""), asked.get("role", "")), asked, "username")
        return self.read(request, "people", [answer(user) for user in found])

    @extend_schema(
        operation_id="person_create",
        request=NewPerson,
        responses={
            201: OpenApiResponse(PersonWithPassword, "The person, with the password"),
            **refusals(s409="The name is taken, or was once", s415="No JSON"),
        },
        tags=[TAG],
        summary="A new person, with a password shown once",
    )
    def post(self, request: Request) -> Response:
        """Make somebody."""
        require_recent(request)
        sent = given(NewPerson(data=request.data))
        user, password = create_user(
            sent["username"],
            sent["roles"],
            given_name=sent["first_name"],
            family_name=sent["last_name"],
            email=sent["email"],
            reason=sent["reason"],
            limits=limits(sent.get("limits")),
            by=self.acting(request),
        )
        return Response({**answer(user), "password": password}, status=201, headers=NO_STORE)


class Person(Managed):
    """``/api/people/{person}``."""

    @extend_schema(
        operation_id="person",
        parameters=[in_path("person")],
        responses={200: OpenApiResponse(PersonAnswer, "The person"), **refusals(s404="There is nobody of this id")},
        tags=[TAG],
        summary="One person",
    )
    def get(self, request: Request, person: UUID) -> Response:
        """The person."""
        return self.read(request, f"person {person}", answer(find(person)))

    @extend_schema(
        operation_id="person_change",
        parameters=[in_path("person")],
        request=PersonChange,
        responses={
            200: OpenApiResponse(PersonAnswer, "The person"),
            **refusals(s404="There is nobody of this id", s409="Not allowed by the rules of the house", s415="No JSON"),
        },
        tags=[TAG],
        summary="Change name, roles or state of a person",
    )
    def patch(self, request: Request, person: UUID) -> Response:
        """All of it, or nothing."""
        user, sent, by = find(person), given(PersonChange(data=request.data)), self.acting(request)
        if {"roles", "is_active"} & sent.keys():
            require_recent(request)
        with transaction.atomic():
            if "roles" in sent:
                set_roles(user, sent["roles"], limits=limits(sent.get("limits")), reason=sent["reason"], by=by)
            if "is_active" in sent and sent["is_active"] != user.is_active:
                set_active(user, active=sent["is_active"], reason=sent["reason"], by=by)
            change_person(user, sent, by=by)
        return Response(answer(find(person)), headers=NO_STORE)


class Password(Managed):
    """``/api/people/{person}/password``."""

    @extend_schema(
        operation_id="person_password",
        parameters=[in_path("person")],
        request=None,
        responses={
            201: OpenApiResponse(PersonWithPassword, "The person, with the password"),
            **refusals(s404="There is nobody of this id", s409="It is oneself"),
        },
        tags=[TAG],
        summary="A new password, shown once; all sessions of the person end",
    )
    def post(self, request: Request, person: UUID) -> Response:
        """Make it."""
        require_recent(request)
        user = find(person)
        return Response(
            {**answer(user), "password": reset_password(user, by=self.acting(request))}, status=201, headers=NO_STORE
        )


class Termination(Managed):
    """``/api/people/{person}/termination``."""

    @extend_schema(
        operation_id="person_terminate",
        parameters=[in_path("person")],
        request=Reason,
        responses={
            200: OpenApiResponse(PersonAnswer, "The person"),
            **refusals(s404="There is nobody of this id", s409="Oneself, or the last who may manage", s415="No JSON"),
        },
        tags=[TAG],
        summary="End everything that a person has, at once",
    )
    def post(self, request: Request, person: UUID) -> Response:
        """Sessions, tokens, keys, share links and emergency accesses; the account is switched off."""
        require_recent(request)
        user = find(person)
        terminate(user, given(Reason(data=request.data))["reason"], by=self.acting(request))
        return Response(answer(find(person)), headers=NO_STORE)
