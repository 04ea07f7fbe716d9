"""The rules, as a table: what each decides of a study, and its traps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from custody.retention.decisions import StudyFacts, decide, years_after
from custody.retention.facts import day_of
from custody.retention.models import Action, CountedFrom, RetentionRule

TODAY = date(2026, 11, 22)
ADULT = StudyFacts(
    pk=1,
    study_instance_uid="1.2.1",
    study_date=date(2010, 5, 4),
    birth_date=date(1970, 1, 2),
    changed_at=datetime(2020, 1, 1, tzinfo=UTC),
    modalities=["CT"],
    institution="North Clinic",
    description="CT Thorax",
    body_parts=["CHEST"],
    later_mammography=False,
    instances=3,
    bytes=300,
)
MINOR = replace(ADULT, birth_date=date(2002, 2, 28))


def rule(**fields: Any) -> RetentionRule:
    given: dict[str, Any] = {"name": "ten years", "action": Action.DELETE, "years": 10, "position": 1, "made_by": "x"}
    return RetentionRule(**given | fields)


CASES: dict[str, tuple[StudyFacts, list[RetentionRule], Action, str]] = {
    "no rules": (ADULT, [], Action.KEEP, "no rule fits"),
    "due": (ADULT, [rule()], Action.DELETE, "due since 2020-05-04"),
    "not yet due": (ADULT, [rule(years=17)], Action.KEEP, "Kept until 2027-05-04"),
    "from the last change": (ADULT, [rule(counted_from=CountedFrom.LAST_CHANGE)], Action.KEEP, "until 2030-01-01"),
    "the first that fits decides": (ADULT, [rule(name="stay", action=Action.KEEP), rule()], Action.KEEP, "“stay”"),
    "one that does not fit is passed": (
        ADULT,
        [rule(action=Action.KEEP, modalities=["MR"]), rule()],
        Action.DELETE,
        "due",
    ),
    "site": (ADULT, [rule(institution="north clinic")], Action.DELETE, "due"),
    "another site": (ADULT, [rule(institution="South")], Action.KEEP, "no rule fits"),
    "description": (ADULT, [rule(description="thorax")], Action.DELETE, "due"),
    "another description": (ADULT, [rule(description="skull")], Action.KEEP, "no rule fits"),
    "body part": (ADULT, [rule(body_part="Chest")], Action.DELETE, "due"),
    "another body part": (ADULT, [rule(body_part="KNEE")], Action.KEEP, "no rule fits"),
    "study date unknown": (
        replace(ADULT, study_date=None),
        [rule(minors_until=0)],
        Action.KEEP,
        "study date, which is not known",
    ),
    "birth date unknown": (replace(ADULT, birth_date=None), [rule()], Action.KEEP, "age at the study is not known"),
    "birth date unknown, minors as everybody": (
        replace(ADULT, birth_date=None),
        [rule(minors_until=0)],
        Action.DELETE,
        "due",
    ),
    "a minor": (MINOR, [rule()], Action.KEEP, "Kept until 2030 by"),
    "a minor who has grown up": (MINOR, [rule(minors_until=21)], Action.DELETE, "due since 2023."),
    "a minor, treated as everybody": (MINOR, [rule(minors_until=0)], Action.DELETE, "due since 2020-05-04"),
    "age asked, unknown": (
        replace(ADULT, birth_date=None),
        [rule(age_from=18, minors_until=0)],
        Action.KEEP,
        "depends on the age",
    ),
    "too young for the rule": (MINOR, [rule(age_from=18)], Action.KEEP, "no rule fits"),
    "old enough": (ADULT, [rule(age_from=40)], Action.DELETE, "due"),
    "too old for the rule": (ADULT, [rule(age_below=18)], Action.KEEP, "no rule fits"),
    "mammography, a short rule": (
        replace(ADULT, modalities=["MG"], study_date=date(2017, 1, 1)),
        [rule(years=3)],
        Action.KEEP,
        "without a later one are kept for 10 years",
    ),
    "mammography with a later one": (
        replace(ADULT, modalities=["MG"], study_date=date(2017, 1, 1), later_mammography=True),
        [rule(years=3)],
        Action.DELETE,
        "due since 2022-01-01",
    ),
    "mammography without a date": (
        replace(ADULT, modalities=["MG", "SR"], study_date=None),
        [rule(years=3, counted_from=CountedFrom.LAST_CHANGE, minors_until=0)],
        Action.KEEP,
        "study date is not known",
    ),
    "something is going on": (
        replace(ADULT, obstacles=["an order for it is open"]),
        [rule()],
        Action.KEEP,
        "an order for it",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_table(case: str) -> None:
    facts, rules, action, words = CASES[case]
    decision = decide(facts, rules, TODAY)
    assert decision.action == action, decision.words
    assert words in decision.words


def test_the_words_say_no_birthday() -> None:
    """They stand in the trail, and for ever in certificates."""
    for rules in ([rule()], [rule(minors_until=21)]):
        assert "02-28" not in decide(MINOR, rules, TODAY).words


def test_years_after_a_leap_day() -> None:
    assert years_after(date(2004, 2, 29), 18) == date(2022, 3, 1)
    assert years_after(date(2004, 2, 29), 4) == date(2008, 2, 29)


@pytest.mark.parametrize("text", ["", "2024", "20241301", "20240230", "99991231", "abc", "00000101"])
def test_what_is_no_day_is_not_known(text: str) -> None:
    assert day_of(text) is None
