"""Workitems: Unified Procedure Steps as their data sets, beside what they are found by (PS3.3 B.26, PS3.4 CC)."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from workitems.subscription_models import EventReport as EventReport
from workitems.subscription_models import Subscriber as Subscriber
from workitems.subscription_models import WorkItemSubscription as WorkItemSubscription
from workitems.subscription_models import WorklistSubscription as WorklistSubscription


def _text() -> "models.TextField[str, str]":
    return models.TextField(db_collation="C", blank=True, default="")


class State(models.TextChoices):
    """Procedure Step State (0074,1000); ``workitems.states`` has the moves."""

    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"


class WorkItem(models.Model):
    """One Unified Procedure Step.

    ``data_set`` is DICOM JSON (PS3.18 F.2) and never holds the Transaction UID, which is the key to the workitem while
    it is worked on: of that there is a hash only. The other columns are copies out of the data set, to find and sort
    by. ``study_instance_uids`` are all studies that it is about: its own, its input's, its request's and its output's.

    ``claimed_by`` is the external id of who took it on; after ``lease_until`` who manages may take it away again.
    ``deleted_at``: it came to its end long ago, and of the data set nothing is left.
    """

    uid = models.TextField(db_collation="C", unique=True)
    data_set = models.JSONField(default=dict)
    state = models.TextField(choices=State, default=State.SCHEDULED, db_collation="C")
    transaction_hash = _text()
    version = models.PositiveIntegerField(default=1)

    worklist_label = _text()
    procedure_step_label = _text()
    priority = _text()
    input_readiness_state = _text()
    scheduled_start = _text()
    expected_completion = _text()
    expiration = _text()
    modified = _text()
    progress = models.FloatField(null=True, blank=True)

    patient_id = _text()
    issuer_of_patient_id = _text()
    patient_name = _text()
    patient_name_key = _text()
    patient_birth_date = _text()
    patient_sex = _text()
    admission_id = _text()
    study_instance_uid = _text()
    study_instance_uids = ArrayField(models.TextField(db_collation="C"), default=list, blank=True)

    created_by = _text()
    claimed_by = _text()
    claimed_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["state", "worklist_label", "scheduled_start"], name="workitem_worklist"),
            models.Index(fields=["scheduled_start", "id"], name="workitem_start"),
            models.Index(fields=["patient_id", "issuer_of_patient_id"], name="workitem_patient"),
            models.Index(fields=["lease_until"], condition=models.Q(lease_until__isnull=False), name="workitem_lease"),
            models.Index(fields=["ended_at"], condition=models.Q(deleted_at=None), name="workitem_ended"),
            GinIndex(fields=["study_instance_uids"], name="workitem_studies"),
            GinIndex(fields=["data_set"], name="workitem_codes", opclasses=["jsonb_path_ops"]),
        ]


class WorklistMember(models.Model):
    """Who works on the workitems of a Worklist Label (0074,1202), whatever studies they reach otherwise.

    ``holder`` is the external id of a person or a machine.
    """

    worklist_label = models.TextField(db_collation="C")
    holder = models.TextField(db_collation="C")
    made_by = _text()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["holder", "worklist_label"], name="worklist_member")]
