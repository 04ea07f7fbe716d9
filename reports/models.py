"""A report and its versions. What it is about is kept as it was named; which studies these are is asked when needed.

So a report that comes before its images, or before a merge, finds them without anybody having to look again
(``ReportStudy``, ``reports.about``).
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from archive.models import Patient, Study
from worklist.models import Order


def _text() -> "models.TextField[str, str]":
    return models.TextField(db_collation="C", blank=True, default="")


class ReportStatus(models.TextChoices):
    """Of a report, and of each of its versions when it came (HL7 table 0123 leads here; ``reports.states``)."""

    REQUESTED = "REQUESTED"
    DRAFT = "DRAFT"
    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    CORRECTED = "CORRECTED"
    ADDENDED = "ADDENDED"
    CANCELLED = "CANCELLED"
    ENTERED_IN_ERROR = "ENTERED_IN_ERROR"


class NumberedBy(models.TextChoices):
    """What the number of a report is."""

    ORDER = "order"
    DOCUMENT = "document"


class Report(models.Model):
    """A report, known by the filler's number, else the placer's, or by that of the document.

    ``current`` is the number of its newest version. The numbers of its order are kept for an order that comes later.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="reports")
    numbered_by = models.TextField(choices=NumberedBy, default=NumberedBy.ORDER, db_default=NumberedBy.ORDER.value)
    number = models.TextField(db_collation="C")
    issuer = _text()
    placer_number = _text()
    placer_issuer = _text()
    filler_number = _text()
    filler_issuer = _text()
    study_instance_uids = ArrayField(models.TextField(db_collation="C"), default=list)
    accession_numbers = ArrayField(models.TextField(db_collation="C"), default=list)
    status = models.TextField(choices=ReportStatus, default=ReportStatus.REQUESTED)
    current = models.IntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["numbered_by", "number", "issuer"], name="report_identity")]
        indexes = [
            GinIndex(fields=["study_instance_uids"], name="report_studies"),
            GinIndex(fields=["accession_numbers"], name="report_accessions"),
            models.Index(fields=["-updated_at", "-id"], name="report_newest"),
            *(
                models.Index(fields=[f"{kind}_number"], name=f"report_{kind}", condition=models.Q(order__isnull=True))
                for kind in ("placer", "filler")
            ),
        ]

    def __str__(self) -> str:
        return f"Report {self.pk}"


class ReportVersion(models.Model):
    """One version as it came; it never changes. ``sections`` are pairs of a LOINC code and a text.

    ``document_number`` is that of the document by which this version came (TXA-12).
    """

    report = models.ForeignKey(Report, on_delete=models.PROTECT, related_name="versions")
    number = models.IntegerField()
    status = models.TextField(choices=ReportStatus)
    sections = models.JSONField(default=list)
    pdf = models.BinaryField(null=True)
    document_number = _text()
    document_issuer = _text()
    signed_by = models.TextField(blank=True, default="")
    signed_at = models.TextField(blank=True, default="")  # DT
    sha256 = models.BinaryField()
    source_message = models.TextField(blank=True, default="")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "number"], name="report_version")]
        indexes = [
            models.Index(
                fields=["document_number", "document_issuer"],
                name="report_document",
                condition=~models.Q(document_number=""),
            )
        ]


class ReportAttachment(models.Model):
    """A file or a link that came with a version, other than its PDF. ``data`` is None for a link."""

    version = models.ForeignKey(ReportVersion, on_delete=models.PROTECT, related_name="attachments")
    place = models.IntegerField()
    media_type = models.TextField()
    title = models.TextField(blank=True, default="")
    data = models.BinaryField(null=True)
    link = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "place"], name="report_attachment")]


class ReportStudy(models.Model):
    """Which studies a report is about: a view, so that it is never outdated; of the same person, never of another.

    By the UIDs that the report names, if there is such a study; else by accession numbers; else by what is linked to
    its order.
    """

    pk = models.CompositePrimaryKey("report_id", "study_id")
    report = models.ForeignKey(Report, on_delete=models.DO_NOTHING, related_name="about", db_constraint=False)
    study = models.ForeignKey(Study, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)

    class Meta:
        managed = False
        db_table = "reports_reportstudy"
