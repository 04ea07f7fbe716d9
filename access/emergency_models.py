"""Emergency accesses: who opened which patient without a grant, why, until when, and what was thought of it."""

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from archive.models import Patient, Study


class Verdict(models.TextChoices):
    """What whoever looked at it afterwards says."""

    JUSTIFIED = "justified", "Justified"
    NOT_JUSTIFIED = "not_justified", "Not justified"


class EmergencyQuery(models.QuerySet["EmergencyAccess"]):
    """Emergency accesses as they are asked for."""

    def active(self) -> "EmergencyQuery":
        """Those that open their patient now."""
        return self.filter(ended_at__isnull=True, expires_at__gt=Now())

    def over(self) -> "EmergencyQuery":
        """Those whose time has passed without the event of their end."""
        return self.filter(ended_at__isnull=True, expires_at__lte=Now())

    def open_to_review(self) -> "EmergencyQuery":
        """Those nobody has judged yet."""
        return self.filter(verdict="")


class EmergencyAccess(models.Model):
    """One person opened all studies of one patient for a time. ``external_id`` names it in trail and addresses.

    ``alerted_at`` is when those who should know were written to, None as long as they were not.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey("access.User", on_delete=models.PROTECT, related_name="emergencies_begun")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField()
    started_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    alerted_at = models.DateTimeField(null=True, blank=True)
    verdict = models.TextField(choices=Verdict.choices, blank=True, default="")
    reviewed_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True, default="")

    objects = EmergencyQuery.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user"], condition=Q(ended_at__isnull=True), name="emergency_running"),
            models.Index(fields=["-started_at"], condition=Q(verdict=""), name="emergency_to_review"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", reviewed_at__isnull=True) | (~Q(verdict="") & Q(reviewed_at__isnull=False)),
                name="emergency_review_whole",
            )
        ]

    def __str__(self) -> str:
        return f"EmergencyAccess {self.external_id}"

    @property
    def studies(self) -> models.QuerySet[Study]:
        """The studies of the person, under whichever identifier the patient was opened."""
        return Study.objects.filter(patient=self.patient.person)
