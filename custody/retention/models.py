"""Rules of retention with their history, plans that a person confirms, and certificates of what was removed."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Action(models.TextChoices):
    """What a rule does with a study whose time has come."""

    KEEP = "keep", "keep it"
    DELETE = "delete", "delete it"


class CountedFrom(models.TextChoices):
    """From when the years are counted."""

    STUDY_DATE = "study_date", "the study date"
    LAST_CHANGE = "last_change", "the last change of what is stored"


class RetentionRule(models.Model):
    """One rule in the words of whoever made it. A change ends the row and makes another: what applied when stays known.

    A criterion that is empty fits every study. Of the rules that stand, the first by ``position`` that fits decides.
    ``minors_until`` is the age (years) up to which studies of minors are kept at least; 0 says that minors are treated
    as everybody.
    """

    position = models.IntegerField()
    name = models.TextField()
    modalities = ArrayField(models.TextField(), default=list, blank=True)
    institution = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    body_part = models.TextField(blank=True, default="")
    age_from = models.IntegerField(null=True, blank=True)
    age_below = models.IntegerField(null=True, blank=True)
    action = models.TextField(choices=Action)
    years = models.IntegerField(default=0)
    counted_from = models.TextField(choices=CountedFrom, default=CountedFrom.STUDY_DATE)
    minors_until = models.IntegerField(default=28)
    made_by = models.TextField()
    made_at = models.DateTimeField(db_default=Now())
    ended_by = models.TextField(blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["position", "id"], condition=Q(ended_at=None), name="retention_standing")]

    def __str__(self) -> str:
        return self.name


class RetentionPlan(models.Model):
    """What the rules would do at one moment. Nothing of it is done until a person has confirmed it.

    ``totals`` counts the studies that were looked at by what was decided; ``paused`` stops a plan between two batches.
    """

    totals = models.JSONField(default=dict)
    made_by = models.TextField()
    made_at = models.DateTimeField(db_default=Now())
    complete = models.BooleanField(default=False)
    confirmed_by = models.TextField(blank=True, default="")
    confirmed_at = models.DateTimeField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return f"Plan {self.pk}"


class PlannedRemoval(models.Model):
    """One study of a plan: by which rule and why, as it was when it was seen. ``outcome`` is what became of it."""

    plan = models.ForeignKey(RetentionPlan, on_delete=models.CASCADE, related_name="removals")
    rule = models.ForeignKey(RetentionRule, on_delete=models.PROTECT, related_name="+")
    study_instance_uid = models.TextField(db_collation="C")
    words = models.TextField()
    instances = models.BigIntegerField()
    bytes = models.BigIntegerField()
    seen_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "study_instance_uid"], name="removal_once")]
        indexes = [
            models.Index(fields=["plan", "id"], condition=Q(done_at=None), name="removal_open"),
            models.Index(fields=["study_instance_uid"], name="removal_of_study"),
        ]

    def __str__(self) -> str:
        return self.study_instance_uid


class Certificate(models.Model):
    """That objects of one study, deleted at one moment by one hand, were removed for good. Rows stay.

    It names no patient. ``decided_by``, ``reason`` and ``stores`` (where it was removed from) are in words;
    ``backups_until`` is when the last backup that may still have something of it ends, None where Lightbox makes none.
    """

    study_instance_uid = models.TextField(db_collation="C")
    deleted_at = models.DateTimeField()
    deleted_by = models.TextField()
    decided_by = models.TextField()
    reason = models.TextField(blank=True, default="")
    stores = models.TextField()
    backups_until = models.DateField(null=True, blank=True)
    instances = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    begun_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study_instance_uid", "deleted_at", "deleted_by"], name="certificate_of_removal"
            )
        ]
        indexes = [models.Index(fields=["-removed_at", "-id"], name="certificate_newest")]

    def __str__(self) -> str:
        return f"Certificate {self.pk}"


class CertifiedObjects(models.Model):
    """What one step of a sweep removed: gzip of one JSON object a line (UIDs, SHA-256, bytes), with its hash.

    ``audit_sequence`` is the event in the access trail that was written in the same transaction.
    """

    certificate = models.ForeignKey(Certificate, on_delete=models.PROTECT, related_name="parts")
    instances = models.IntegerField()
    lines = models.BinaryField()
    sha256 = models.BinaryField()
    audit_sequence = models.BigIntegerField()
    removed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.instances} objects"
