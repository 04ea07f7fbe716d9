"""Rules, plans and what is carried out of them, to the certificate of the last byte."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from access.acting import COMMAND_LINE, Acting
from access.refused_change import RefusedChange
from archive.models import DeletedObject, Instance, OutboxEntry, Study, StudyUsage
from archive.sweep import sweep_all
from archive.usage import usage
from audit.models import AccessEvent
from custody.retention import bringing_back, carrying_out, planning, rules
from custody.retention.certifying import document
from custody.retention.facts import facts_of
from custody.retention.holding import place
from custody.retention.models import Certificate, PlannedRemoval, RetentionPlan, RetentionRule
from pacs_project.config_retention import RetentionConfig
from tests.custody.retention.conftest import days_pass, delete_at, put, study
from tests.dicomweb.objects import make_object
from worklist.models import Order, RequestedProcedure

pytestmark = pytest.mark.django_db(transaction=True)
TEN_YEARS: dict[str, Any] = {"name": "ten years", "action": "delete", "years": 10}


@pytest.fixture
def old() -> Study:
    """A study of an adult whose time has come, of 2 instances."""
    return study("1.2.1", instances=2, StudyDate="20100101")


def run(plan: RetentionPlan) -> None:
    """Carry a plan out to its end."""
    for _ in range(20):
        carrying_out.carry_on(str(plan.pk))


def outcomes() -> dict[str, str]:
    return dict(PlannedRemoval.objects.values_list("study_instance_uid", "outcome"))


def test_without_rules_everything_is_kept(old: Study) -> None:
    totals = planning.look().as_json()
    assert (totals["studies"], totals["due"]["studies"], totals["kept"]) == (1, 0, {"no rule": 1})


def test_a_plan_says_what_would_go_and_nothing_goes_before_it_is_confirmed(old: Study, manager: Acting) -> None:
    study("1.2.2", StudyDate=timezone.now().strftime("%Y%m%d"))
    study("1.2.3", StudyDate="20100101", PatientBirthDate="", PatientID="P3")
    rules.add(TEN_YEARS, by=manager)
    plan = planning.plan(by=manager)
    size = sum(Instance.objects.filter(series__study=old).values_list("object_size", flat=True))
    assert plan.totals["due"] == {"studies": 1, "instances": 2, "bytes": size}
    assert plan.totals["kept"] == {"not yet due": 1, "age not known": 1}
    run(plan)
    assert Study.objects.count() == 3
    carrying_out.confirm(plan, by=manager)
    run(plan)
    assert not Study.objects.filter(pk=old.pk).exists()
    assert Study.objects.count() == 2
    plan.refresh_from_db()
    assert (plan.ended_why, outcomes()) == ("finished", {"1.2.1": "deleted"})
    event = AccessEvent.objects.get(kind="delete")
    assert (event.rule, event.instance_count) == (f"retention rule {RetentionRule.objects.get().pk}", 2)
    assert "mona" in event.purpose
    assert DeletedObject.objects.exclude(sop_instance_uid="").count() == 2


def test_who_confirms_and_until_when(old: Study, manager: Acting) -> None:
    rules.add(TEN_YEARS)
    plan = planning.plan()
    with pytest.raises(RefusedChange, match="by a person"):
        carrying_out.confirm(plan, by=COMMAND_LINE)
    RetentionPlan.objects.update(made_at=timezone.now() - timedelta(days=8))
    with pytest.raises(RefusedChange, match="older than 7 days"):
        carrying_out.confirm(plan, by=manager)
    again = planning.plan()
    carrying_out.confirm(again, by=manager)
    with pytest.raises(RefusedChange, match="before"):
        carrying_out.confirm(again, by=manager)


CHANGES: dict[str, Callable[[], Any]] = {
    "it has changed": lambda: put(make_object(StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.1")),
    "legal hold": lambda: place("1.2.1", "case 7"),
    "rules decide otherwise": lambda: rules.end(RetentionRule.objects.get()),
    "an order for it is open": lambda: order("1.2.1"),
    "gone already": lambda: delete_at("1.2.1"),
}


def order(uid: str) -> None:
    patient = Study.objects.get(study_instance_uid=uid).patient
    made = Order.objects.create(patient=patient)
    RequestedProcedure.objects.create(order=made, study_instance_uid=uid)


@pytest.mark.parametrize("words", CHANGES)
def test_what_happens_after_the_plan_counts(old: Study, manager: Acting, words: str) -> None:
    rules.add(TEN_YEARS)
    plan = planning.plan()
    carrying_out.confirm(plan, by=manager)
    CHANGES[words]()
    run(plan)
    assert words in outcomes()["1.2.1"]
    assert Study.objects.filter(study_instance_uid="1.2.1").exists() is (words != "gone already")


def test_batches_pause_and_giving_up(old: Study, manager: Acting, settings: Any) -> None:
    settings.PACS = settings.PACS.model_copy(update={"retention": RetentionConfig(batch_studies=1)})
    for n in (2, 3, 4):
        study(f"1.2.{n}", StudyDate="20100101")
    rules.add(TEN_YEARS)
    plan = planning.plan()
    carrying_out.confirm(plan, by=manager)
    carrying_out.carry_on(str(plan.pk))
    assert Study.objects.count() == 3
    assert OutboxEntry.objects.filter(kind="retention", subject=str(plan.pk)).exists()
    carrying_out.pause(plan, True, by=manager)
    run(plan)
    assert Study.objects.count() == 3
    carrying_out.pause(plan, False, by=manager)
    carrying_out.carry_on(str(plan.pk))
    assert Study.objects.count() == 2
    carrying_out.cancel(plan, by=manager)
    run(plan)
    assert Study.objects.count() == 2
    with pytest.raises(RefusedChange):
        carrying_out.cancel(plan, by=manager)


def test_rules_have_an_order_and_a_history(manager: Acting) -> None:
    first, second = rules.add(TEN_YEARS, by=manager), rules.add(TEN_YEARS | {"name": "keep MR", "action": "keep"})
    rules.move_up(second)
    assert [rule.name for rule in rules.standing()] == ["keep MR", "ten years"]
    made = rules.change(first, TEN_YEARS | {"years": 12}, by=manager)
    assert [rule.years for rule in rules.standing()] == [10, 12]
    with pytest.raises(RefusedChange, match="ended already"):
        rules.change(first, TEN_YEARS)
    rules.end(made)
    assert RetentionRule.objects.count() == 3
    for wrong in ({"years": 0}, {"name": " "}, {"age_from": 20, "age_below": 10}):
        with pytest.raises(RefusedChange):
            rules.add(TEN_YEARS | wrong)
    assert AccessEvent.objects.filter(kind="configuration").count() == 5


def test_a_certificate_of_what_a_rule_removed(old: Study, manager: Acting, settings: Any) -> None:
    hashes = {bytes(each).hex() for each in Instance.objects.values_list("object_sha256", flat=True)}
    rules.add(TEN_YEARS)
    plan = planning.plan()
    carrying_out.confirm(plan, by=manager)
    run(plan)
    days_pass(8)
    assert sweep_all().removed == 2
    certificate = Certificate.objects.get()
    paper = document(certificate)
    assert (paper["study_instance_uid"], paper["instances"]) == ("1.2.1", 2)
    assert "“ten years”" in paper["decided_by"]
    assert "mona" in paper["decided_by"]
    assert "10 years after the study date" in paper["reason"]
    assert {each["sha256"] for each in paper["objects"]} == hashes
    [proof] = paper["proof"]
    assert proof["objects_unaltered"]
    event = AccessEvent.objects.get(sequence=proof["audit_sequence"])
    assert (event.kind, event.principal_name, event.study_uids) == ("delete", "sweep", ["1.2.1"])
    assert "Doe" not in str(paper)
    assert "P1" not in str(paper)


def test_a_certificate_for_each_deletion_that_grows_step_by_step(
    manager: Acting, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archive import sweep

    monkeypatch.setattr(sweep, "_ROWS", 1)
    old = study("1.2.1", instances=3)
    assert manager.principal is not None
    uid = Instance.objects.values_list("sop_instance_uid", flat=True)[0]
    delete_at("1.2.1", "1.2.1.1", uid, by=manager.principal.id)
    delete_at("1.2.1", by="somebody")
    days_pass(8)
    assert sweep_all().removed == 3
    found = {each.decided_by: (each.instances, each.parts.count()) for each in Certificate.objects.all()}
    assert found == {"mona": (1, 1), "somebody": (2, 2)}
    assert old.pk


def test_what_was_deleted_is_listed_and_brought_back(old: Study, manager: Acting) -> None:
    delete_at("1.2.1")
    [row] = bringing_back.in_window(limit=10)
    assert (row.study_instance_uid, row.instances, row.asked) == ("1.2.1", 2, False)
    bringing_back.ask("1.2.1", by=manager)
    assert bringing_back.in_window(limit=10)[0].asked
    before = hashlib.sha256(
        b"".join(sorted(bytes(d.sha256) for d in DeletedObject.objects.exclude(sop_instance_uid="")))
    )
    bringing_back.bring_back("1.2.1")
    after = hashlib.sha256(b"".join(sorted(bytes(i.object_sha256) for i in Instance.objects.all())))
    assert before.digest() == after.digest()
    assert not bringing_back.in_window(limit=10)
    bringing_back.bring_back("1.2.1")


def test_usage_is_counted_where_rows_come_and_go() -> None:
    study("1.2.1", instances=2, InstitutionName="North")
    put(make_object(StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.2", Modality="SR"))
    study("1.2.2", InstitutionName="South")
    found = {(row.site, row.modality): (row.studies, row.instances, row.bytes) for row in usage()}
    assert {key: value[:2] for key, value in found.items()} == {
        ("North", "CT"): (1, 2),
        ("North", "SR"): (1, 1),
        ("South", "CT"): (1, 1),
    }
    assert sum(value[2] for value in found.values()) == sum(Instance.objects.values_list("object_size", flat=True))
    delete_at("1.2.1", "1.2.1.2")
    assert {(row.site, row.modality) for row in usage()} == {("North", "CT"), ("South", "CT")}
    delete_at("1.2.1")
    delete_at("1.2.2")
    assert not StudyUsage.objects.exists()


def test_usage_follows_another_size_and_nobody_waits_where_there_is_none() -> None:
    study("1.2.1", instances=2)
    Instance.objects.update(object_size=F("object_size") - 7)
    assert [row.bytes for row in usage()] == [sum(Instance.objects.values_list("object_size", flat=True))]
    with transaction.atomic():
        Instance.objects.update(object_key=Concat("object_key", Value(".moved")))
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(_locked_usage).result(30) == 1


def _locked_usage() -> int:
    try:
        with transaction.atomic():
            return len(StudyUsage.objects.select_for_update(nowait=True))
    finally:
        connection.close()


def test_a_task_that_is_sent_again_changes_no_outcome(old: Study, manager: Acting) -> None:
    rules.add(TEN_YEARS)
    plan = planning.plan()
    carrying_out.confirm(plan, by=manager)
    stale = PlannedRemoval.objects.get()
    carrying_out.carry_on(str(plan.pk))
    carrying_out._carry_out(plan, stale)
    assert outcomes() == {"1.2.1": "deleted"}


def test_two_that_work_out_one_plan_finish_none(old: Study) -> None:
    rules.add(TEN_YEARS)
    made = planning.ask_for_plan()

    def another(facts: Any, decision: Any) -> None:
        given = {"words": "", "instances": 0, "bytes": 0, "seen_at": timezone.now()}
        PlannedRemoval.objects.create(plan=made, rule=decision.rule, study_instance_uid="1.2.9", **given)

    with pytest.raises(RuntimeError):
        planning.work_out(made, another)
    assert not RetentionPlan.objects.get().complete
    planning.work_out_asked(str(made.pk))
    assert list(made.removals.values_list("study_instance_uid", flat=True)) == ["1.2.1"]


@pytest.mark.parametrize(("later", "known"), [("20180101", True), ("20189999", False), ("29990101", False)])
def test_only_a_later_mammogram_that_can_be_true_counts(later: str, known: bool) -> None:
    first = study("1.2.1", Modality="MG", StudyDate="20170101")
    study("1.2.2", Modality="MG", StudyDate=later)
    [facts] = facts_of([first.pk])
    assert facts.later_mammography is known


def test_the_command_explains_each_study_and_totals(old: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("1.2.2", StudyDate="20260101")
    rules.add(TEN_YEARS)
    call_command("retention", "--dry-run")
    told = capsys.readouterr().out
    assert "1.2.1: To be deleted by rule “ten years”" in told
    assert "1.2.2: Kept until" in told
    assert "1 of 2 studies" in told
    assert not RetentionPlan.objects.exists()
    call_command("retention", "--plan", "--quiet")
    assert RetentionPlan.objects.get().complete
