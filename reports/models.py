"""A report and its versions. What it is about is kept as it was named; which studies these are is asked when needed.

So a report that comes before its images, or before a merge, finds them without anybody having to look again
(``reports.about``).
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from archive.models import Patient
from worklist.models import Order


class ReportStatus(models.TextChoices):
    """Of a report, and of each of its versions when it came (HL7 table 0123 leads here)."""

    REQUESTED = "REQUESTED"
    DRAFT = "DRAFT"
    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"
    CANCELLED = "CANCELLED"


class Report(models.Model):
    """A report, known by the filler's number, else the placer's. ``current`` is the number of its newest version."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="reports")
    number = models.TextField(db_collation="C")
    issuer = models.TextField(db_collation="C", blank=True, default="")
    study_instance_uids = ArrayField(models.TextField(db_collation="C"), default=list)
    accession_numbers = ArrayField(models.TextField(db_collation="C"), default=list)
    status = models.TextField(choices=ReportStatus, default=ReportStatus.REQUESTED)
    current = models.IntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["number", "issuer"], name="report_number")]
        indexes = [
            GinIndex(fields=["study_instance_uids"], name="report_studies"),
            GinIndex(fields=["accession_numbers"], name="report_accessions"),
        ]

    def __str__(self) -> str:
        return f"Report {self.pk}"


class ReportVersion(models.Model):
    """One version as it came; it never changes. ``sections`` are pairs of a LOINC code and a text."""

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    status = models.TextField(choices=ReportStatus)
    sections = models.JSONField(default=list)
    pdf = models.BinaryField(null=True)
    signed_by = models.TextField(blank=True, default="")
    signed_at = models.TextField(blank=True, default="")  # DT
    sha256 = models.BinaryField()
    source_message = models.TextField(blank=True, default="")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "number"], name="report_version")]
