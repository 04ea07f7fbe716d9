"""Marks that close a patient or a study to those whose role alone would open it."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from archive.models import Patient


class Mark(models.TextChoices):
    """Why something is closed. What each opens again stands in ``access.restrictions``."""

    VIP = "vip", "VIP"
    RESTRICTED = "restricted", "Restricted"
    CONSENT_WITHDRAWN = "consent_withdrawn", "Consent withdrawn"


class DeletedStudy(models.Model):
    """Whose a study was that is deleted, by its UID, which stays in the change feed."""

    study_instance_uid = models.TextField(db_collation="C", unique=True)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return self.study_instance_uid


class RestrictionQuery(models.QuerySet["Restriction"]):
    """Marks as they are asked for."""

    def active(self) -> "RestrictionQuery":
        """Those that close something now."""
        return self.filter(Q(until__isnull=True) | Q(until__gt=Now()), ended_at__isnull=True)


class Restriction(models.Model):
    """A mark on one patient, or on one study by its UID, so that it outlives the study's deletion and return.

    ``until`` None is without end; ``ended_at`` is when somebody took it away before.
    """

    mark = models.TextField(choices=Mark.choices)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, blank=True, related_name="restrictions")
    study_instance_uid = models.TextField(db_collation="C", blank=True, default="")
    reason = models.TextField()
    set_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    set_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey("access.User", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RestrictionQuery.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(patient__isnull=False, study_instance_uid="")
                | (Q(patient__isnull=True) & ~Q(study_instance_uid="")),
                name="restriction_one_scope",
            )
        ]
        indexes = [
            models.Index(fields=["patient"], condition=Q(ended_at__isnull=True), name="restriction_of_patient"),
            models.Index(
                fields=["study_instance_uid"], condition=Q(ended_at__isnull=True), name="restriction_of_study"
            ),
        ]

    def __str__(self) -> str:
        return f"Restriction {self.pk}"
