"""What the rules decide of one study, in plain words. Pure: facts and rules come in, a decision goes out.

What is not known never helps to remove something: without a study date, or without a birth date where the age matters,
a study is kept, and the decision says so.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from custody.retention.models import Action, CountedFrom, RetentionRule

MAJORITY: Final = 18
# 21 CFR 900.12(c)(4)(i): mammograms are kept for five years at least, for ten where no later one is known.
MAMMOGRAPHY: Final = "MG"
MAMMOGRAPHY_YEARS: Final = 10
MAMMOGRAPHY_YEARS_FOLLOWED: Final = 5
NO_RULE: Final = "no rule"


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the rules may ask of a study. Dates are None where they are unknown or can't be true.

    ``obstacles`` are in words: what is still going on about it, each a reason to keep it.
    """

    pk: int
    study_instance_uid: str
    study_date: date | None
    birth_date: date | None
    changed_at: datetime
    modalities: Collection[str]
    institution: str
    description: str
    body_parts: Collection[str]
    later_mammography: bool
    instances: int
    bytes: int
    obstacles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with a study, by which rule, since or from which day on, and why in words.

    ``why`` is the same in short, for totals.
    """

    action: Action
    words: str
    why: str
    rule: RetentionRule | None = None
    due: date | None = None


def decide(facts: StudyFacts, rules: Sequence[RetentionRule], today: date) -> Decision:
    """The decision of the first of ``rules`` that fits."""
    for rule in rules:
        fits = _fits(rule, facts)
        if fits is None:
            words = f"Kept: whether the rule “{rule.name}” fits depends on the age, and the birth date is not known."
            return Decision(Action.KEEP, words, "age not known", rule)
        if fits:
            return _decided(rule, facts, today)
    return Decision(Action.KEEP, "Kept: no rule fits this study.", NO_RULE)


def _decided(rule: RetentionRule, facts: StudyFacts, today: date) -> Decision:
    by = f"rule “{rule.name}”"
    if rule.action == Action.KEEP:
        return Decision(Action.KEEP, f"Kept by {by}.", "kept by a rule", rule)
    start = facts.study_date if rule.counted_from == CountedFrom.STUDY_DATE else facts.changed_at.date()
    if start is None:
        return Decision(
            Action.KEEP, f"Kept: {by} counts from the study date, which is not known.", "date not known", rule
        )
    terms = [_term(start, rule.years, f"{rule.years} years after {CountedFrom(rule.counted_from).label}, {start}")]
    if rule.minors_until:
        if facts.birth_date is None or facts.study_date is None:
            words = f"Kept: {by} keeps studies of minors for longer, and the age at the study is not known."
            return Decision(Action.KEEP, words, "age not known", rule)
        if facts.study_date < years_after(facts.birth_date, MAJORITY):
            until = years_after(facts.birth_date, rule.minors_until)
            # The day would be the birthday; these words stand in the trail, and for ever in a certificate.
            why = f"the patient was a minor, and is {rule.minors_until} years old in {until.year}"
            terms.append((until, str(until.year), why))
    if MAMMOGRAPHY in facts.modalities:
        years = MAMMOGRAPHY_YEARS_FOLLOWED if facts.later_mammography else MAMMOGRAPHY_YEARS
        if facts.study_date is None:
            words = f"Kept: mammograms are kept for {years} years, and the study date is not known."
            return Decision(Action.KEEP, words, "date not known", rule)
        which = "with a later one" if facts.later_mammography else "without a later one"
        terms.append(_term(facts.study_date, years, f"mammograms {which} are kept for {years} years"))
    due, said, why = max(terms)
    if due > today:
        return Decision(Action.KEEP, f"Kept until {said} by {by}: {why}.", "not yet due", rule, due)
    if facts.obstacles:
        words = f"Kept, though {by} lets it go since {said}: {'; '.join(facts.obstacles)}."
        return Decision(Action.KEEP, words, facts.obstacles[0], rule, due)
    return Decision(Action(rule.action), f"To be deleted by {by}: {why}; due since {said}.", "due", rule, due)


def _term(start: date, years: int, why: str) -> tuple[date, str, str]:
    """When it is over, how that is said, and why."""
    over = years_after(start, years)
    return over, str(over), why


def _fits(rule: RetentionRule, facts: StudyFacts) -> bool | None:
    """Whether a rule is about a study; None where that depends on an age nobody knows."""
    if not all(fits(rule, facts) for fits in _CRITERIA):
        return False
    if rule.age_from is None and rule.age_below is None:
        return True
    if facts.birth_date is None or facts.study_date is None:
        return None
    old_enough = rule.age_from is None or facts.study_date >= years_after(facts.birth_date, rule.age_from)
    young_enough = rule.age_below is None or facts.study_date < years_after(facts.birth_date, rule.age_below)
    return old_enough and young_enough


def _same(asked: str, value: str) -> bool:
    return not asked or asked.casefold() == value.casefold()


_CRITERIA: Final[Sequence[Callable[[RetentionRule, StudyFacts], bool]]] = (
    lambda rule, facts: not rule.modalities or not set(rule.modalities).isdisjoint(facts.modalities),
    lambda rule, facts: _same(rule.institution, facts.institution),
    lambda rule, facts: rule.description.casefold() in facts.description.casefold(),
    lambda rule, facts: not rule.body_part or any(_same(rule.body_part, part) for part in facts.body_parts),
)


def years_after(day: date, years: int) -> date:
    """The same day so many years later; of 29 February, in a year that has none, 1 March."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
