"""Who wants to hear of workitems, and what there is to tell them (PS3.4 CC.2.3, CC.2.4)."""

from django.db import models
from django.db.models.functions import Now


class Subscriber(models.Model):
    """An application entity that is told of workitems. Its title belongs to who first subscribed under it.

    ``holder`` is the external id of that person or machine. ``last_number`` is the number of its last event: each
    counts its own, and a row's lock is held until the event is committed, so that a number is never seen before a
    smaller one. ``received`` is the number up to which its channel has confirmed events.
    """

    ae_title = models.TextField(db_collation="C", unique=True)
    holder = models.TextField(db_collation="C")
    last_number = models.BigIntegerField(default=0)
    received = models.BigIntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())


class WorklistSubscription(models.Model):
    """A subscription to all workitems, or to those that match: present ones and those still to come.

    ``matches`` are matching keys by tag path, none for all workitems. An application entity has one of each kind.
    """

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="worklists")
    filtered = models.BooleanField()
    matches = models.JSONField(default=list, blank=True)
    deletion_lock = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscriber", "filtered"], name="worklist_subscription")]


class WorkItemSubscription(models.Model):
    """One application entity is told of one workitem, which with a lock stays after its end until the lock is let go.

    ``of_worklist``: it came with a subscription of a worklist, and follows what becomes of that.
    """

    workitem = models.ForeignKey("workitems.WorkItem", on_delete=models.CASCADE, related_name="subscriptions")
    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="subscriptions")
    deletion_lock = models.BooleanField(default=False)
    of_worklist = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workitem", "subscriber"], name="workitem_subscription")]
        indexes = [
            models.Index(fields=["workitem"], condition=models.Q(deletion_lock=True), name="workitem_lock"),
        ]


class EventReport(models.Model):
    """One event for one subscriber. ``data_set`` is DICOM JSON as it is sent, without its number.

    ``workitem`` is none where the event is about the whole service.
    """

    subscriber = models.ForeignKey(Subscriber, on_delete=models.CASCADE, related_name="events", db_index=False)
    number = models.BigIntegerField()
    workitem = models.ForeignKey("workitems.WorkItem", on_delete=models.CASCADE, null=True, related_name="+")
    data_set = models.JSONField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["subscriber", "number"], name="event_report_number")]
        indexes = [models.Index(fields=["made_at"], name="event_report_made")]
