"""Rules of retention are made, changed, ordered and ended; what was before stays in their history."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max
from django.db.models.functions import Now

from access.acting import COMMAND_LINE, Acting
from access.refused_change import RefusedChange
from audit.kinds import CONFIGURATION
from audit.record import record
from custody.retention.models import Action, RetentionRule

MOST_RULES: Final = 100
MOST_YEARS: Final = 200
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('retention rules'))"
FIELDS: Final = (
    *("name", "modalities", "institution", "description", "body_part", "age_from", "age_below"),
    *("action", "years", "counted_from", "minors_until"),
)


def standing() -> Sequence[RetentionRule]:
    """The rules that stand, in the order in which they are tried."""
    return list(RetentionRule.objects.filter(ended_at=None).order_by("position", "pk"))


def add(fields: Mapping[str, Any], *, by: Acting = COMMAND_LINE) -> RetentionRule:
    """A new rule, after all others. ``fields`` are those of ``FIELDS``. Raises RefusedChange."""
    _check(fields)
    with transaction.atomic():
        _in_turn()
        if len(standing()) >= MOST_RULES:
            raise RefusedChange(f"there are {MOST_RULES} rules, and no more")
        last = RetentionRule.objects.filter(ended_at=None).aggregate(last=Max("position"))["last"] or 0
        rule = RetentionRule.objects.create(position=last + 1, made_by=by.name, **fields)
        record([by.event(CONFIGURATION, f"retention rule {rule.pk} made: {in_words(rule)}")])
    return rule


def change(rule: RetentionRule, fields: Mapping[str, Any], *, by: Acting = COMMAND_LINE) -> RetentionRule:
    """Another rule in the place of ``rule``, which ends. Raises RefusedChange, also for one that has ended."""
    _check(fields)
    with transaction.atomic():
        _in_turn()
        _end(rule, by)
        made = RetentionRule.objects.create(position=rule.position, made_by=by.name, **fields)
        text = f"retention rule {rule.pk} changed, {made.pk} from now on: {in_words(made)}"
        record([by.event(CONFIGURATION, text)])
    return made


def end(rule: RetentionRule, *, by: Acting = COMMAND_LINE) -> None:
    """End a rule. Raises RefusedChange for one that has ended."""
    with transaction.atomic():
        _in_turn()
        _end(rule, by)
        record([by.event(CONFIGURATION, f"retention rule {rule.pk} ended")])


def move_up(rule: RetentionRule, *, by: Acting = COMMAND_LINE) -> None:
    """Let a rule be tried before the one above it; the first stays where it is."""
    with transaction.atomic():
        _in_turn()
        rules = list(standing())
        place = next((n for n, each in enumerate(rules) if each.pk == rule.pk), 0)
        if not place:
            return
        rules[place - 1], rules[place] = rules[place], rules[place - 1]
        for position, each in enumerate(rules, start=1):
            RetentionRule.objects.filter(pk=each.pk).update(position=position)
        record([by.event(CONFIGURATION, f"retention rule {rule.pk} is tried as number {place} from now on")])


def in_words(rule: RetentionRule) -> str:
    """What a rule says, as people say it."""
    about = [
        *([f"with {' or '.join(rule.modalities)}"] if rule.modalities else []),
        *([f"of {rule.institution}"] if rule.institution else []),
        *([f"whose description has “{rule.description}”"] if rule.description else []),
        *([f"of the body part {rule.body_part}"] if rule.body_part else []),
        *([f"of patients from {rule.age_from} years on"] if rule.age_from is not None else []),
        *([f"of patients below {rule.age_below} years"] if rule.age_below is not None else []),
    ]
    which = f"studies {', '.join(about)}" if about else "all studies"
    if rule.action == Action.KEEP:
        return f"keep {which}"
    counted = rule.get_counted_from_display()
    minors = f", of minors not before they are {rule.minors_until}" if rule.minors_until else ", of minors as well"
    return f"delete {which} {rule.years} years after {counted}{minors}"


def _in_turn() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)


def _end(rule: RetentionRule, by: Acting) -> None:
    ended = RetentionRule.objects.filter(pk=rule.pk, ended_at=None).update(ended_at=Now(), ended_by=by.name)
    if not ended:
        raise RefusedChange("this rule has ended already")


def _check(fields: Mapping[str, Any]) -> None:
    if not str(fields.get("name", "")).strip():
        raise RefusedChange("a rule has a name")
    years = int(fields.get("years") or 0)
    if fields.get("action") == Action.DELETE and not 1 <= years <= MOST_YEARS:
        raise RefusedChange("a rule that deletes does so after a year at the earliest")
    ages = fields.get("age_from"), fields.get("age_below")
    if ages[0] is not None and ages[1] is not None and ages[0] >= ages[1]:
        raise RefusedChange("no patient is as old as this rule asks")
