"""Access reviews: every account looked at by somebody before a day, and what was decided of each."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Decision(models.TextChoices):
    """What became of an account in a review."""

    KEEP = "keep", "Keep"
    REVOKE = "revoke", "Take roles away"
    SWITCH_OFF = "switch_off", "Switch off"


class ReviewCampaign(models.Model):
    """One review. It is over when every row is decided; ``due`` is the last day for it."""

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    title = models.TextField()
    due = models.DateField()
    started_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ReviewCampaign {self.external_id}"


class ReviewRow(models.Model):
    """A person or a machine in a review, with the roles it had when the review began. ``decision`` "" is open."""

    campaign = models.ForeignKey(ReviewCampaign, on_delete=models.CASCADE, related_name="rows")
    user = models.ForeignKey("access.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    client = models.ForeignKey("access.Client", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    roles = ArrayField(models.TextField(), default=list, blank=True)
    decision = models.TextField(choices=Decision.choices, blank=True, default="")
    revoked = ArrayField(models.TextField(), default=list, blank=True)
    decided_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "user"], name="review_person_once"),
            models.UniqueConstraint(fields=["campaign", "client"], name="review_client_once"),
            models.CheckConstraint(
                condition=Q(user__isnull=False, client__isnull=True) | Q(user__isnull=True, client__isnull=False),
                name="review_one_account",
            ),
        ]

    def __str__(self) -> str:
        return f"ReviewRow {self.pk}"
