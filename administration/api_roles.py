"""``/api/roles``: what each role may do, and the roles of the house's own."""

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.attribute_groups import Group
from access.custom_roles import change_role, create_role, delete_role, holders
from access.held_roles import rights_of
from access.models import CustomRole
from access.roles import ROLES, Permission, Role, Scope
from access.step_up import require_recent
from administration.api import NO_STORE, TAG, Managed, given, in_path, refusals

NAME = "^[a-z][a-z0-9_]{1,39}$"
SCOPES = [scope.name.lower() for scope in Scope if scope]
NOT_THERE = "There is no role of this name"
NOT_OWN = f"{NOT_THERE} that the house made itself"


class Rights(serializers.DictField):
    """How far each right reaches; what isn't named is denied."""

    child = serializers.ChoiceField(choices=SCOPES)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Raises ValidationError for a right that there is none of."""
        found = super().run_validation(data)
        if isinstance(found, dict) and not set(found) <= {right.value for right in Permission}:
            raise serializers.ValidationError("there is no such right")
        return found


class RoleChange(serializers.Serializer):  # type: ignore[type-arg]
    """What of a role changes; what isn't sent stays."""

    title = serializers.CharField(max_length=60, required=False)
    rights = Rights(required=False, help_text="all of them")
    withheld = serializers.ListField(
        child=serializers.ChoiceField(choices=[group.value for group in Group]), required=False, max_length=len(Group)
    )


class NewRole(RoleChange):
    """A new role."""

    name = serializers.RegexField(NAME, max_length=40)
    title = serializers.CharField(max_length=60)
    rights = Rights(help_text="all of them")


class RoleAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A role; ``own`` if the house made it itself."""

    name = serializers.CharField()
    title = serializers.CharField()
    rights = serializers.DictField(child=serializers.ChoiceField(choices=SCOPES))
    withheld = serializers.ListField(child=serializers.CharField())
    own = serializers.BooleanField()
    holders = serializers.IntegerField(help_text="people and clients who have it")


def answer(role: Role | CustomRole) -> dict[str, Any]:
    """A role as JSON."""
    rights = role.rights if isinstance(role, Role) else rights_of(role.rights)
    return {
        "name": role.name,
        "title": role.title,
        "rights": {str(right): scope.name.lower() for right, scope in rights.items()},
        "withheld": sorted(str(group) for group in role.withheld),
        "own": isinstance(role, CustomRole),
        "holders": holders(role.name),
    }


def rights(sent: dict[str, str]) -> dict[Permission, Scope]:
    """The rights that were sent."""
    return {Permission(right): Scope[scope.upper()] for right, scope in sent.items()}


class Roles(Managed):
    """``/api/roles``."""

    @extend_schema(
        operation_id="roles",
        responses={200: OpenApiResponse(RoleAnswer(many=True), "The roles"), **refusals()},
        tags=[TAG],
        summary="All roles with what they may do",
    )
    def get(self, request: Request) -> Response:
        """The table, then those of the house's own."""
        found: list[Role | CustomRole] = [*ROLES.values(), *CustomRole.objects.order_by("title")]
        return self.read(request, "roles", [answer(role) for role in found])

    @extend_schema(
        operation_id="role_create",
        request=NewRole,
        responses={
            201: OpenApiResponse(RoleAnswer, "The role"),
            **refusals(s409="The name is taken, or this can't be a role", s415="No JSON"),
        },
        tags=[TAG],
        summary="A new role of the house's own",
    )
    def post(self, request: Request) -> Response:
        """Make it."""
        require_recent(request)
        sent = given(NewRole(data=request.data))
        withheld = [Group(name) for name in sent.get("withheld", ())]
        made = create_role(
            sent["name"], sent["title"], rights(sent["rights"]), withheld=withheld, by=self.acting(request)
        )
        return Response(answer(made), status=201, headers=NO_STORE)


class OneRole(Managed):
    """``/api/roles/{role}``."""

    @extend_schema(
        operation_id="role",
        parameters=[in_path("role", NAME)],
        responses={200: OpenApiResponse(RoleAnswer, "The role"), **refusals(s404=NOT_THERE)},
        tags=[TAG],
        summary="One role",
    )
    def get(self, request: Request, role: str) -> Response:
        """The role."""
        return self.read(request, f"role {role}", answer(ROLES.get(role) or _own(role)))

    @extend_schema(
        operation_id="role_change",
        parameters=[in_path("role", NAME)],
        request=RoleChange,
        responses={
            200: OpenApiResponse(RoleAnswer, "The role"),
            **refusals(s404=NOT_OWN, s409="This can't be a role, or one has it", s415="No JSON"),
        },
        tags=[TAG],
        summary="Change a role of the house's own, for all who have it",
    )
    def patch(self, request: Request, role: str) -> Response:
        """From the next request on."""
        require_recent(request)
        found, sent = _own(role), given(RoleChange(data=request.data))
        before = {Permission(right): scope for right, scope in rights_of(found.rights).items()}
        wanted = rights(sent["rights"]) if "rights" in sent else before
        withheld = [Group(name) for name in sent.get("withheld", found.withheld)]
        change_role(found, sent.get("title", found.title), wanted, withheld=withheld, by=self.acting(request))
        return Response(answer(_own(role)), headers=NO_STORE)

    @extend_schema(
        operation_id="role_delete",
        parameters=[in_path("role", NAME)],
        request=None,
        responses={204: OpenApiResponse(description="It is gone"), **refusals(s404=NOT_OWN, s409="Somebody has it")},
        tags=[TAG],
        summary="Delete a role of the house's own that nobody has",
    )
    def delete(self, request: Request, role: str) -> Response:
        """Delete it."""
        require_recent(request)
        delete_role(_own(role), by=self.acting(request))
        return Response(status=204)


def _own(name: str) -> CustomRole:
    found = CustomRole.objects.filter(name=name.replace("\0", "")).first()
    if found is None:
        raise NotFound
    return found
