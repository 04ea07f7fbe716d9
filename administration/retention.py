"""Retention: the rules and their order, what they would do, and the plans that somebody confirms."""

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from access.refused_change import RefusedChange
from access.step_up import require_recent
from administration.door import looking, managing, show
from administration.sentences import sentence
from archive.models import Study
from custody.retention import carrying_out, planning, rules
from custody.retention.models import Action, CountedFrom, RetentionPlan, RetentionRule
from dicom.uids import is_uid

LISTED: Final = 50
_WORDS: Final = 200


class RuleForm(forms.Form):
    """A rule as the form asks for it. Field names are those of the page."""

    name = forms.CharField(max_length=_WORDS)
    modalities = forms.RegexField(r"^[A-Z0-9, ]{0,100}$", required=False)
    institution = forms.CharField(max_length=64, required=False)
    description = forms.CharField(max_length=64, required=False)
    body_part = forms.CharField(max_length=16, required=False)
    age_from = forms.IntegerField(min_value=0, max_value=150, required=False)
    age_below = forms.IntegerField(min_value=0, max_value=150, required=False)
    action = forms.ChoiceField(choices=Action.choices)
    years = forms.IntegerField(min_value=0, max_value=rules.MOST_YEARS, required=False)
    counted_from = forms.ChoiceField(choices=CountedFrom.choices)
    minors_until = forms.IntegerField(min_value=0, max_value=120)

    def fields_of_rule(self) -> dict[str, Any]:
        """What ``rules.add`` takes."""
        given = self.cleaned_data
        listed = given["modalities"].replace(",", " ").split()
        return given | {"modalities": listed, "years": given["years"] or 0}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The rules that stand, and the newest plans."""
    looking(request)
    context = {
        "rules": [(rule, rules.in_words(rule)) for rule in rules.standing()],
        "plans": [(plan, state_of(plan)) for plan in RetentionPlan.objects.order_by("-pk")[:LISTED]],
    }
    return show(request, "retention.html", "rules of retention", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """The form for a new rule; a POST makes it."""
    return _rule(request, None)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, rule_id: int) -> HttpResponse:
    """The form of a rule; a POST puts another in its place."""
    managing(request)
    return _rule(request, _found(rule_id))


def _rule(request: HttpRequest, rule: RetentionRule | None) -> HttpResponse:
    by = managing(request)
    require_recent(request)
    initial = {"action": Action.DELETE, "counted_from": CountedFrom.STUDY_DATE, "minors_until": 28}
    if rule is not None:
        initial |= {name: getattr(rule, name) for name in rules.FIELDS} | {"modalities": ", ".join(rule.modalities)}
    form = RuleForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        try:
            if rule is None:
                rules.add(form.fields_of_rule(), by=by)
            else:
                rules.change(rule, form.fields_of_rule(), by=by)
        except RefusedChange as error:
            form.add_error(None, sentence(str(error)))
        else:
            messages.success(request, "The rule stands. Nothing goes before you have confirmed a plan.")
            return HttpResponseRedirect(reverse("administration-retention"))
    context = {"form": form, "rule": rule, "actions": Action.choices, "counted": CountedFrom.choices}
    what = f"retention rule {rule.pk}" if rule else "the form for a rule of retention"
    return show(request, "retention_rule.html", what, context, status=400 if form.is_bound else 200)


@require_POST
def act_on_rule(request: HttpRequest, rule_id: int, act: str) -> HttpResponse:
    """End a rule, or let it be tried earlier."""
    by = managing(request)
    require_recent(request)
    verb = {"end": rules.end, "up": rules.move_up}.get(act)
    rule = _found(rule_id)
    if verb is None:
        raise Http404
    try:
        verb(rule, by=by)
    except RefusedChange as error:
        messages.error(request, sentence(str(error)))
    return HttpResponseRedirect(reverse("administration-retention"))


@require_POST
def new_plan(request: HttpRequest) -> HttpResponse:
    """Ask a worker for a plan."""
    by = managing(request)
    made = planning.ask_for_plan(by=by)
    messages.success(request, "The plan is being worked out: every study is looked at.")
    return HttpResponseRedirect(reverse("administration-plan", args=[made.pk]))


@require_safe
def plan(request: HttpRequest, plan_id: int) -> HttpResponse:
    """One plan: its totals, and the studies that would go with the reason of each."""
    looking(request)
    found = _plan(plan_id)
    removals = list(found.removals.order_by("pk")[:LISTED])
    context = {
        "plan": found,
        "state": state_of(found),
        "removals": removals,
        "open": found.removals.filter(done_at=None).count(),
        "more": found.totals.get("due", {}).get("studies", 0) > LISTED,
    }
    uids = [removal.study_instance_uid for removal in removals]
    return show(request, "retention_plan.html", f"retention plan {found.pk}", context, study_uids=uids)


@require_POST
def act_on_plan(request: HttpRequest, plan_id: int, act: str) -> HttpResponse:
    """Confirm a plan, stop it for a while, let it go on, or give it up."""
    by = managing(request)
    require_recent(request)
    found = _plan(plan_id)
    verbs = {
        "confirm": lambda: carrying_out.confirm(found, by=by),
        "pause": lambda: carrying_out.pause(found, True, by=by),
        "resume": lambda: carrying_out.pause(found, False, by=by),
        "cancel": lambda: carrying_out.cancel(found, by=by),
    }
    if act not in verbs:
        raise Http404
    try:
        verbs[act]()
    except RefusedChange as error:
        messages.error(request, sentence(str(error)))
    return HttpResponseRedirect(reverse("administration-plan", args=[found.pk]))


@require_safe
def explain(request: HttpRequest) -> HttpResponse:
    """What the rules decide of one study now, in words."""
    looking(request)
    uid = request.GET.get("study", "").strip()
    study = Study.objects.filter(study_instance_uid=uid).first() if is_uid(uid) else None
    decided = planning.explain(study.pk) if study else None
    if decided is None:
        raise Http404
    facts, decision = decided
    context = {"facts": facts, "decision": decision}
    return show(request, "retention_study.html", "what the rules decide of a study", context, study_uids=[uid])


def state_of(plan: RetentionPlan) -> str:
    """Where a plan is, in a word."""
    if plan.ended_at:
        return plan.ended_why
    if plan.confirmed_at:
        return "paused" if plan.paused else "being carried out"
    return "waits to be confirmed" if plan.complete else "being worked out"


def _found(rule_id: int) -> RetentionRule:
    rule = RetentionRule.objects.filter(pk=rule_id, ended_at=None).first()
    if rule is None:
        raise Http404
    return rule


def _plan(plan_id: int) -> RetentionPlan:
    found = RetentionPlan.objects.filter(pk=plan_id).first()
    if found is None:
        raise Http404
    return found
