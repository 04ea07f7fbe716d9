"""A plan that a person confirmed is carried out in batches; each study is decided once more, just before it goes.

What has changed since the plan was made stays: another rule, something stored, a hold, an order. A study goes the way
of every deletion, so that it can be brought back for as long as one can.
"""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access.acting import Acting
from access.refused_change import RefusedChange
from access.restrictions import remember_deleted
from archive import outbox
from archive.delete import Deleted, delete
from archive.errors import Held, NotFound
from archive.locate import Address
from archive.models import Study
from archive.outbox import Wish
from audit import kinds
from audit.kinds import CONFIGURATION
from audit.record import NewAccessEvent, record
from custody.retention.decisions import decide
from custody.retention.facts import facts_of
from custody.retention.models import Action, PlannedRemoval, RetentionPlan
from custody.retention.rules import standing

RETENTION: Final = "retention"
DELETED: Final = "deleted"
BY: Final = "retention:"
_FINISHED: Final = "finished"


def confirm(plan: RetentionPlan, *, by: Acting) -> None:
    """A person lets a plan be carried out. Raises RefusedChange: too old, unfinished, confirmed or ended before.

    Nobody on the command line, and no machine, confirms for a person.
    """
    if by.user is None:
        raise RefusedChange("a plan is confirmed by a person who has signed in")
    with transaction.atomic():
        row = RetentionPlan.objects.select_for_update().get(pk=plan.pk)
        if not row.complete:
            raise RefusedChange("this plan was not finished: make another one")
        if row.confirmed_at or row.ended_at:
            raise RefusedChange("this plan was confirmed, or ended, before")
        days = settings.PACS.retention.confirm_days
        if row.made_at < timezone.now() - timedelta(days=days):
            raise RefusedChange(f"this plan is older than {days:g} days: make another one")
        row.confirmed_at, row.confirmed_by = timezone.now(), by.name
        row.save(update_fields=["confirmed_at", "confirmed_by"])
        due = row.totals["due"]["studies"]
        record([by.event(CONFIGURATION, f"retention plan {row.pk} confirmed: {due} studies are to be removed")])
        outbox.wish([Wish(RETENTION, str(row.pk))])


def pause(plan: RetentionPlan, paused: bool, *, by: Acting) -> None:
    """Stop a plan after the batch that is at work, or let it go on."""
    with transaction.atomic():
        _running(plan).update(paused=paused)
        record([by.event(CONFIGURATION, f"retention plan {plan.pk} {'paused' if paused else 'goes on'}")])
        if not paused:
            outbox.wish([Wish(RETENTION, str(plan.pk))])


def cancel(plan: RetentionPlan, *, by: Acting) -> None:
    """End a plan; what is not done yet stays. Raises RefusedChange for one that has ended."""
    with transaction.atomic():
        ended = RetentionPlan.objects.filter(pk=plan.pk, ended_at=None).update(
            ended_at=timezone.now(), ended_why=f"given up by {by.name}"
        )
        if not ended:
            raise RefusedChange("this plan has ended already")
        record([by.event(CONFIGURATION, f"retention plan {plan.pk} given up")])


def carry_on(subject: str) -> None:
    """The task: one batch of the plan with this primary key, then a wish for the next one."""
    plan = RetentionPlan.objects.filter(pk=int(subject), confirmed_at__isnull=False, ended_at=None).first()
    if plan is None or plan.paused:
        return
    limits = settings.PACS.retention
    removals = list(plan.removals.filter(done_at=None).select_related("rule").order_by("pk")[: limits.batch_studies])
    for removal in removals:
        if _running(plan).exclude(paused=True).exists():
            _carry_out(plan, removal)
            # A large study takes long: nobody else begins with this batch meanwhile.
            outbox.progress(RETENTION, subject)
    if removals:
        outbox.wish([Wish(RETENTION, subject, limits.pause_seconds)])
        return
    _running(plan).update(ended_at=timezone.now(), ended_why=_FINISHED)


def _running(plan: RetentionPlan) -> QuerySet[RetentionPlan]:
    return RetentionPlan.objects.filter(pk=plan.pk, ended_at=None)


def _carry_out(plan: RetentionPlan, removal: PlannedRemoval) -> None:
    uid = removal.study_instance_uid

    def write_down(deleted: Deleted) -> None:
        if deleted.patient is not None:
            remember_deleted(uid, deleted.patient)
        _done(removal, DELETED)
        event = NewAccessEvent(
            kind=kinds.DELETE,
            principal_kind="system",
            principal_name=RETENTION,
            rule=f"retention rule {removal.rule_id}",
            purpose=f"plan {plan.pk}, confirmed by {plan.confirmed_by}",
            study_uids=[uid],
            instance_count=deleted.instances,
            bytes=deleted.bytes,
            outcome_description=removal.words,
        )
        record([event])

    try:
        with transaction.atomic():
            stays = _stays(removal)
            if stays:
                _done(removal, stays)
                return
            delete(Study.objects.all(), Address(uid), deleted_by=f"{BY}{plan.pk}", record=write_down)
    except NotFound:
        _done(removal, "was gone already")
    except Held as held:
        _done(removal, f"kept: {held}")


def _stays(removal: PlannedRemoval) -> str:
    """Why the study is not removed after all, "" if it is; its row is locked, so that nothing is stored meanwhile."""
    study = Study.objects.select_for_update().filter(study_instance_uid=removal.study_instance_uid).first()
    if study is None:
        return "was gone already"
    if study.updated_at != removal.seen_at:
        return "kept: it has changed since the plan was made"
    [facts] = facts_of([study.pk])
    decision = decide(facts, standing(), timezone.localdate())
    if decision.action != Action.DELETE or decision.rule is None or decision.rule.pk != removal.rule_id:
        return f"kept: the rules decide otherwise by now. {decision.words}"
    return ""


def _done(removal: PlannedRemoval, outcome: str) -> None:
    """What became of it first stays: a task that is sent again finds the study gone."""
    PlannedRemoval.objects.filter(pk=removal.pk, done_at=None).update(done_at=timezone.now(), outcome=outcome)
