"""Read-only mode as rows: one for each time, of which one at the most has no end."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class ReadOnlyPeriod(models.Model):
    """Since when nothing is changed, why, and until when; ``ended_at`` None while it lasts."""

    reason = models.TextField()
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            # One at a time: the expression is the same for all rows that last.
            models.UniqueConstraint(
                models.ExpressionWrapper(Q(ended_at__isnull=True), output_field=models.BooleanField()),
                name="read_only_once_at_a_time",
                condition=Q(ended_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"read-only since {self.began_at}"
