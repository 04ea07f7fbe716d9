"""The backups that this installation has made, for whoever asks when the last good one was."""

from django.db import models
from django.db.models.functions import Now


class Outcome(models.TextChoices):
    """How a backup ended."""

    RUNNING = "running", "under way, or killed"
    GOOD = "good", "complete"
    DAMAGED = "damaged", "complete but for objects that are damaged here"
    FAILED = "failed", "not made"


class BackupRun(models.Model):
    """One run of ``./pacs backup``. ``name`` is its folder in the target, ``text`` says why it failed.

    ``complete_until`` is the moment of the snapshot: what was acknowledged before it is in the backup.
    """

    name = models.TextField(unique=True)
    target = models.TextField()
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    complete_until = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(choices=Outcome.choices, db_default=Outcome.RUNNING.value)
    objects_copied = models.BigIntegerField(db_default=0)
    bytes_written = models.BigIntegerField(db_default=0)
    text = models.TextField(db_default="", blank=True)

    objects: "models.Manager[BackupRun]"

    class Meta:
        indexes = [models.Index(fields=["-started_at"], name="backup_run_time")]

    def __str__(self) -> str:
        return self.name
