"""Months of the trail that were taken out of the database, and where their copies are."""

from django.db import models
from django.db.models.functions import Now


class ArchivedPartition(models.Model):
    """A partition that was detached after it was copied to ``file``.

    ``positions`` are the places of its events in the log, as pairs of the first and the last; their hashes stay there.
    """

    name = models.TextField(primary_key=True)
    low = models.DateTimeField(null=True)
    high = models.DateTimeField()
    events = models.BigIntegerField()
    positions = models.JSONField(default=list)
    file = models.TextField()
    sha256 = models.TextField()
    detached_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"ArchivedPartition {self.name}"
