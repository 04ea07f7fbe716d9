"""What the rules would do now: every study is decided, and those that would go are written down to be confirmed.

Nothing is removed here. A plan is a preview that stays: what is confirmed is this very list, not the rules.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from archive import outbox
from archive.models import Study
from archive.outbox import Wish
from audit.kinds import CONFIGURATION
from audit.record import record
from custody.retention.decisions import Decision, StudyFacts, decide
from custody.retention.facts import facts_of
from custody.retention.models import Action, PlannedRemoval, RetentionPlan, RetentionRule
from custody.retention.rules import in_words, standing

STEP: Final = 500
PLAN: Final = "retention_plan"


@dataclass(slots=True)
class Totals:
    """What was decided of how many studies, instances and bytes: by rule and action, and why those that stay do."""

    by_rule: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    due_studies: int = 0
    due_instances: int = 0
    due_bytes: int = 0

    def add(self, facts: StudyFacts, decision: Decision) -> None:
        """One more study."""
        name = decision.rule.name if decision.rule else ""
        self.studies += 1
        for what, number in (("studies", 1), ("instances", facts.instances), ("bytes", facts.bytes)):
            self.by_rule[name, decision.action, what] += number
        if decision.action == Action.KEEP:
            self.kept[decision.why] += 1
            return
        self.due_studies += 1
        self.due_instances += facts.instances
        self.due_bytes += facts.bytes

    def as_json(self) -> dict[str, Any]:
        """As a plan keeps it."""
        rules: dict[tuple[str, str], dict[str, Any]] = {}
        for (name, action, what), number in sorted(self.by_rule.items()):
            rules.setdefault((name, action), {"rule": name, "action": str(action)})[what] = number
        return {
            "studies": self.studies,
            "due": {"studies": self.due_studies, "instances": self.due_instances, "bytes": self.due_bytes},
            "rules": list(rules.values()),
            "kept": dict(sorted(self.kept.items())),
        }


def decisions(rules: Sequence[RetentionRule], today: date) -> Iterator[tuple[StudyFacts, Decision]]:
    """Each study that is stored with what the rules decide of it, by primary key."""
    last = 0
    while pks := list(Study.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:STEP]):
        for facts in facts_of(pks):
            yield facts, decide(facts, rules, today)
        last = pks[-1]


def explain(study_pk: int) -> tuple[StudyFacts, Decision] | None:
    """What the rules that stand decide of one study now; None if it is gone."""
    for facts in facts_of([study_pk]):
        return facts, decide(facts, standing(), timezone.localdate())
    return None


def look(told: Callable[[StudyFacts, Decision], None] = lambda facts, decision: None) -> Totals:
    """Decide every study and write nothing; ``told`` hears of each."""
    totals = Totals()
    for facts, decision in decisions(standing(), timezone.localdate()):
        totals.add(facts, decision)
        told(facts, decision)
    return totals


def ask_for_plan(*, by: Acting = COMMAND_LINE) -> RetentionPlan:
    """A plan that a worker works out as soon as it can."""
    with transaction.atomic():
        made = RetentionPlan.objects.create(made_by=by.name)
        record([by.event(CONFIGURATION, f"retention plan {made.pk} asked for")])
        outbox.wish([Wish(PLAN, str(made.pk))])
    return made


def work_out_asked(subject: str) -> None:
    """The task: work out the plan with this primary key, from its beginning where it was broken off."""
    with transaction.atomic():
        made = RetentionPlan.objects.select_for_update().filter(pk=int(subject), complete=False).first()
        if made is None:
            return
        made.removals.all().delete()
    work_out(made)


def plan(
    told: Callable[[StudyFacts, Decision], None] = lambda facts, decision: None, *, by: Acting = COMMAND_LINE
) -> RetentionPlan:
    """As ``look``, and those that would go are written down as a plan that can be confirmed."""
    return work_out(RetentionPlan.objects.create(made_by=by.name), told, by=by)


def work_out(
    made: RetentionPlan,
    told: Callable[[StudyFacts, Decision], None] = lambda facts, decision: None,
    *,
    by: Acting = COMMAND_LINE,
) -> RetentionPlan:
    """Decide every study for a plan that was begun, and write down those that would go."""
    rules = standing()
    totals = Totals()
    waiting: list[PlannedRemoval] = []
    for facts, decision in decisions(rules, timezone.localdate()):
        totals.add(facts, decision)
        told(facts, decision)
        if decision.action != Action.KEEP and decision.rule is not None:
            waiting.append(_removal(made, decision.rule, facts, decision))
        if totals.studies % STEP == 0:
            PlannedRemoval.objects.bulk_create(waiting)
            waiting = []
            # It gets on: nobody else begins with it meanwhile.
            outbox.progress(PLAN, str(made.pk))
    with transaction.atomic():
        PlannedRemoval.objects.bulk_create(waiting)
        RetentionPlan.objects.select_for_update().get(pk=made.pk)
        if made.removals.count() != totals.due_studies:
            raise RuntimeError("somebody else works at this plan as well")
        made.totals = totals.as_json() | {"in_words": [in_words(rule) for rule in rules]}
        made.complete = True
        made.save(update_fields=["totals", "complete"])
        text = f"retention plan {made.pk}: {totals.due_studies} of {totals.studies} studies would be removed"
        record([by.event(CONFIGURATION, text)])
    return made


def _removal(of: RetentionPlan, rule: RetentionRule, facts: StudyFacts, decision: Decision) -> PlannedRemoval:
    return PlannedRemoval(
        plan=of,
        rule=rule,
        study_instance_uid=facts.study_instance_uid,
        words=decision.words,
        instances=facts.instances,
        bytes=facts.bytes,
        seen_at=facts.changed_at,
    )
