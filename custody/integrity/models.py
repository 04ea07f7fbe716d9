"""What a scrub found, and how far it has come."""

from django.db import models
from django.db.models.functions import Now


class Kind(models.TextChoices):
    """What is wrong. The copy is the object in the second store."""

    MISSING = "missing", "the object is missing"
    TRUNCATED = "truncated", "the object is shorter than it was received"
    ALTERED = "altered", "the object is not what was received"
    UNREADABLE = "unreadable", "the object is there and can't be read"
    COPY_MISSING = "copy_missing", "the second copy is missing"
    COPY_TRUNCATED = "copy_truncated", "the second copy is too short"
    COPY_ALTERED = "copy_altered", "the second copy is not what was received"
    COPY_UNREADABLE = "copy_unreadable", "the second copy is there and can't be read"
    UNREMOVABLE = "unremovable", "the object was deleted and can't be removed"
    DISAGREES = "disagrees", "the index says other than the object"


class State(models.TextChoices):
    """What became of a finding."""

    OPEN = "open", "open"
    REPAIRED = "repaired", "repaired"
    ACCEPTED = "accepted", "accepted"


class Finding(models.Model):
    """One thing that is wrong with one object. It names UIDs and keys, and never what an object says.

    Found again it is the same row, open again if it was repaired; what was accepted stays so. ``instance`` is a primary
    key of the archive, None where what was damaged is derived and simply made again.
    """

    kind = models.TextField(choices=Kind)
    object_key = models.TextField()
    instance = models.BigIntegerField(null=True)
    study_instance_uid = models.TextField(db_collation="C", blank=True, default="")
    sop_instance_uid = models.TextField(db_collation="C", blank=True, default="")
    detail = models.TextField(blank=True, default="")
    first_seen = models.DateTimeField(db_default=Now())
    last_seen = models.DateTimeField(db_default=Now())
    state = models.TextField(choices=State, default=State.OPEN)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_key"], name="finding_identity")]
        indexes = [models.Index(fields=["state", "-last_seen"], name="finding_state")]

    def __str__(self) -> str:
        return f"{self.object_key}: {self.kind}"


class Lap(models.Model):
    """One walk over all instances; the newest is the one that goes on. ``after`` is the last that it looked at."""

    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    worked_at = models.DateTimeField(null=True, blank=True)
    after = models.BigIntegerField(default=0)
    objects_read = models.BigIntegerField(default=0)
    bytes_read = models.BigIntegerField(default=0)
    found = models.BigIntegerField(default=0)
