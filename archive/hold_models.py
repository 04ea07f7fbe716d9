"""Legal holds: what must not be removed, whoever asks and whatever a rule says."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from archive.patient_models import Patient


class HoldQuery(models.QuerySet["LegalHold"]):
    """Holds as they are asked for."""

    def active(self) -> "HoldQuery":
        """Those that hold something now."""
        return self.filter(Q(until__isnull=True) | Q(until__gt=Now()), released_at__isnull=True)


class LegalHold(models.Model):
    """A hold on one patient, or on one study by its UID, so that it outlives the study's deletion and return.

    ``until`` None is without end; ``released_at`` is when somebody released it before. ``placed_by`` and
    ``released_by`` are what the trail calls whoever did it. Rows stay.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, blank=True, related_name="legal_holds")
    study_instance_uid = models.TextField(db_collation="C", blank=True, default="")
    reason = models.TextField()
    placed_by = models.TextField()
    placed_at = models.DateTimeField(db_default=Now())
    until = models.DateTimeField(null=True, blank=True)
    released_by = models.TextField(blank=True, default="")
    released_at = models.DateTimeField(null=True, blank=True)
    release_reason = models.TextField(blank=True, default="")

    objects = HoldQuery.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(patient__isnull=False, study_instance_uid="")
                | (Q(patient__isnull=True) & ~Q(study_instance_uid="")),
                name="hold_one_scope",
            )
        ]
        indexes = [
            models.Index(fields=["patient"], condition=Q(released_at__isnull=True), name="hold_of_patient"),
            models.Index(fields=["study_instance_uid"], condition=Q(released_at__isnull=True), name="hold_of_study"),
        ]

    def __str__(self) -> str:
        return f"Legal hold {self.pk}"
