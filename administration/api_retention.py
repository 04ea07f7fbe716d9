"""``/api/retention``: the rules, what they decide of a study, and plans."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.step_up import require_recent
from administration.api import NO_STORE, TAG, Managed, given, in_path, refusals
from administration.api_lists import PAGING_BY_NUMBER, Paging
from administration.retention import state_of
from archive.models import Study
from custody.retention import carrying_out, planning, rules
from custody.retention.models import Action, CountedFrom, RetentionPlan, RetentionRule
from dicom.uids import is_uid

NUMBER: Final = "^[0-9]+$"
NO_RULE: Final = "There is no such rule"
NO_PLAN: Final = "There is no such plan"
ACTS: Final = ("confirm", "pause", "resume", "cancel")


class RuleBody(serializers.Serializer):  # type: ignore[type-arg]
    """A rule; what is left empty fits every study."""

    name = serializers.CharField(max_length=200)
    modalities = serializers.ListField(child=serializers.RegexField(r"^[A-Z0-9]{1,16}$"), default=list, max_length=30)
    institution = serializers.CharField(max_length=64, allow_blank=True, default="")
    description = serializers.CharField(max_length=64, allow_blank=True, default="")
    body_part = serializers.CharField(max_length=16, allow_blank=True, default="")
    age_from = serializers.IntegerField(min_value=0, max_value=150, allow_null=True, default=None)
    age_below = serializers.IntegerField(min_value=0, max_value=150, allow_null=True, default=None)
    action = serializers.ChoiceField(choices=Action.choices)
    years = serializers.IntegerField(min_value=0, max_value=rules.MOST_YEARS, default=0)
    counted_from = serializers.ChoiceField(choices=CountedFrom.choices, default=CountedFrom.STUDY_DATE.value)
    minors_until = serializers.IntegerField(min_value=0, max_value=120, default=28)


class RuleAnswer(RuleBody):
    """A rule with its history."""

    id = serializers.IntegerField()
    words = serializers.CharField()
    made_by = serializers.CharField()
    made_at = serializers.DateTimeField()
    ended_by = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class PlanAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A plan; ``totals`` once it is worked out."""

    id = serializers.IntegerField()
    made_by = serializers.CharField()
    made_at = serializers.DateTimeField()
    state = serializers.CharField()
    totals = serializers.JSONField()
    confirmed_by = serializers.CharField(allow_blank=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)


class RemovalAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """A study of a plan: why it would go, and what became of it."""

    id = serializers.IntegerField()
    study = serializers.CharField()
    words = serializers.CharField()
    instances = serializers.IntegerField()
    bytes = serializers.IntegerField()
    done_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField(allow_blank=True)


class DecisionAnswer(serializers.Serializer):  # type: ignore[type-arg]
    """What the rules decide of a study now."""

    study = serializers.CharField()
    action = serializers.ChoiceField(choices=Action.choices)
    words = serializers.CharField()
    rule = serializers.CharField(allow_null=True)
    due = serializers.DateField(allow_null=True)


class RemovalsQuestion(Paging):
    """Which part of a plan."""

    after = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)  # type: ignore[assignment]


class RetentionRules(Managed):
    """``/api/retention/rules``."""

    @extend_schema(
        operation_id="retention_rules",
        parameters=[OpenApiParameter("history", {"type": "boolean"}, description="those that have ended, too")],
        responses={200: OpenApiResponse(RuleAnswer(many=True), "The rules, in their order"), **refusals()},
        tags=[TAG],
        summary="Rules of retention",
    )
    def get(self, request: Request) -> Response:
        """All of them."""
        history = request.query_params.get("history") == "true"
        found = RetentionRule.objects.order_by("position", "pk") if history else rules.standing()
        return self.read(request, "rules of retention", [_rule(rule) for rule in found])

    @extend_schema(
        operation_id="retention_rule_create",
        request=RuleBody,
        responses={201: OpenApiResponse(RuleAnswer, "The rule"), **refusals(s409="Not a rule", s415="No JSON")},
        tags=[TAG],
        summary="Make a rule of retention",
    )
    def post(self, request: Request) -> Response:
        """Make it, behind all others."""
        require_recent(request)
        made = rules.add(given(RuleBody(data=request.data)), by=self.acting(request))
        return Response(_rule(made), status=201, headers=NO_STORE)


class OneRetentionRule(Managed):
    """``/api/retention/rules/{rule}``."""

    @extend_schema(
        operation_id="retention_rule_change",
        parameters=[in_path("rule", NUMBER)],
        request=RuleBody,
        responses={
            200: OpenApiResponse(RuleAnswer, "The rule that stands in its place"),
            **refusals(s404=NO_RULE, s409="Not a rule", s415="No JSON"),
        },
        tags=[TAG],
        summary="Put another rule in the place of one",
    )
    def put(self, request: Request, rule: int) -> Response:
        """Change it; what it was stays in the history."""
        require_recent(request)
        found = _found(rule)
        made = rules.change(found, given(RuleBody(data=request.data)), by=self.acting(request))
        return Response(_rule(made), headers=NO_STORE)

    @extend_schema(
        operation_id="retention_rule_end",
        parameters=[in_path("rule", NUMBER)],
        responses={204: OpenApiResponse(description="It has ended"), **refusals(s404=NO_RULE)},
        tags=[TAG],
        summary="End a rule of retention",
    )
    def delete(self, request: Request, rule: int) -> Response:
        """End it."""
        require_recent(request)
        rules.end(_found(rule), by=self.acting(request))
        return Response(status=204)


class RetentionRuleUp(Managed):
    """``/api/retention/rules/{rule}/up``."""

    @extend_schema(
        operation_id="retention_rule_up",
        parameters=[in_path("rule", NUMBER)],
        request=None,
        responses={204: OpenApiResponse(description="It is tried earlier"), **refusals(s404=NO_RULE)},
        tags=[TAG],
        summary="Try a rule before the one above it",
    )
    def post(self, request: Request, rule: int) -> Response:
        """Move it up."""
        require_recent(request)
        rules.move_up(_found(rule), by=self.acting(request))
        return Response(status=204)


class RetentionDecision(Managed):
    """``/api/retention/studies/{study}``."""

    @extend_schema(
        operation_id="retention_decision",
        parameters=[in_path("study", r"^[0-9.]{1,64}$")],
        responses={200: OpenApiResponse(DecisionAnswer, "The decision"), **refusals(s404="There is no such study")},
        tags=[TAG],
        summary="What the rules decide of a study, and why",
    )
    def get(self, request: Request, study: str) -> Response:
        """Decide it now."""
        found = Study.objects.filter(study_instance_uid=study).first() if is_uid(study) else None
        decided = planning.explain(found.pk) if found else None
        if decided is None:
            raise NotFound("no such study")
        decision = decided[1]
        body = {
            "study": study,
            "action": decision.action,
            "words": decision.words,
            "rule": decision.rule.name if decision.rule else None,
            "due": decision.due,
        }
        return self.read(request, "what the rules decide of a study", body, study_uids=[study])


class RetentionPlans(Managed):
    """``/api/retention/plans``."""

    @extend_schema(
        operation_id="retention_plans",
        responses={200: OpenApiResponse(PlanAnswer(many=True), "The newest plans"), **refusals()},
        tags=[TAG],
        summary="Plans of retention, newest first",
    )
    def get(self, request: Request) -> Response:
        """The newest."""
        found = RetentionPlan.objects.order_by("-pk")[:50]
        return self.read(request, "retention plans", [_plan(plan) for plan in found])

    @extend_schema(
        operation_id="retention_plan_create",
        request=None,
        responses={202: OpenApiResponse(PlanAnswer, "The plan, which is being worked out"), **refusals()},
        tags=[TAG],
        summary="Have worked out what the rules would do now",
    )
    def post(self, request: Request) -> Response:
        """Ask a worker for it."""
        return Response(_plan(planning.ask_for_plan(by=self.acting(request))), status=202, headers=NO_STORE)


class OneRetentionPlan(Managed):
    """``/api/retention/plans/{plan}``."""

    @extend_schema(
        operation_id="retention_plan",
        parameters=[in_path("plan", NUMBER)],
        responses={200: OpenApiResponse(PlanAnswer, "The plan"), **refusals(s404=NO_PLAN)},
        tags=[TAG],
        summary="One plan with its totals",
    )
    def get(self, request: Request, plan: int) -> Response:
        """It."""
        return self.read(request, f"retention plan {plan}", _plan(_found_plan(plan)))


class RetentionPlanStudies(Managed):
    """``/api/retention/plans/{plan}/studies``."""

    @extend_schema(
        operation_id="retention_plan_studies",
        parameters=[in_path("plan", NUMBER), *PAGING_BY_NUMBER],
        responses={200: OpenApiResponse(RemovalAnswer(many=True), "The studies"), **refusals(s404=NO_PLAN)},
        tags=[TAG],
        summary="The studies that a plan would remove, each with its reason",
    )
    def get(self, request: Request, plan: int) -> Response:
        """A part of them."""
        asked = given(RemovalsQuestion(data=request.query_params))
        found = _found_plan(plan).removals.filter(pk__gt=asked.get("after", 0)).order_by("pk")
        rows = list(found[asked["offset"] : asked["offset"] + asked["limit"]])
        body = [
            {
                "id": row.pk,
                "study": row.study_instance_uid,
                "words": row.words,
                "instances": row.instances,
                "bytes": row.bytes,
                "done_at": row.done_at,
                "outcome": row.outcome,
            }
            for row in rows
        ]
        return self.read(request, f"retention plan {plan}", body, study_uids=[row.study_instance_uid for row in rows])


class RetentionPlanAct(Managed):
    """``/api/retention/plans/{plan}/{act}``."""

    @extend_schema(
        operation_id="retention_plan_act",
        parameters=[
            in_path("plan", NUMBER),
            in_path("act", f"^({'|'.join(ACTS)})$"),
        ],
        request=None,
        responses={
            200: OpenApiResponse(PlanAnswer, "The plan"),
            **refusals(s404=NO_PLAN, s409="Too old, or confirmed or ended before"),
        },
        tags=[TAG],
        summary="Confirm a plan, pause it, let it go on, or give it up",
    )
    def post(self, request: Request, plan: int, act: str) -> Response:
        """Do it."""
        require_recent(request)
        found, by = _found_plan(plan), self.acting(request)
        if act not in ACTS:
            raise NotFound("no such act")
        if act == "confirm":
            carrying_out.confirm(found, by=by)
        elif act == "cancel":
            carrying_out.cancel(found, by=by)
        else:
            carrying_out.pause(found, act == "pause", by=by)
        return Response(_plan(_found_plan(plan)), headers=NO_STORE)


def _rule(rule: RetentionRule) -> dict[str, Any]:
    more = ("made_by", "made_at", "ended_by", "ended_at")
    told = {name: getattr(rule, name) for name in (*rules.FIELDS, *more)}
    return {"id": rule.pk, "words": rules.in_words(rule)} | told


def _plan(plan: RetentionPlan) -> dict[str, Any]:
    told = ("made_by", "made_at", "totals", "confirmed_by", "confirmed_at")
    return {"id": plan.pk, "state": state_of(plan)} | {name: getattr(plan, name) for name in told}


def _found(pk: int) -> RetentionRule:
    rule = RetentionRule.objects.filter(pk=pk, ended_at=None).first()
    if rule is None:
        raise NotFound("no such rule")
    return rule


def _found_plan(pk: int) -> RetentionPlan:
    plan = RetentionPlan.objects.filter(pk=pk).first()
    if plan is None:
        raise NotFound("no such plan")
    return plan
