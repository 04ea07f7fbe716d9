"""What was found wrong with the images of an instance."""

from django.db import models
from django.db.models.functions import Now


class QualityFinding(models.Model):
    """One fact about an instance: ``code`` is a key of ``dicom.quality.CODES``, ``severity`` that of the code.

    ``frame`` is the frame it was seen in, 0 for what the header says; ``numbers`` are a few numbers, never text.
    """

    instance = models.ForeignKey(
        "archive.Instance", on_delete=models.CASCADE, related_name="quality_findings", db_index=False
    )
    code = models.TextField()
    severity = models.TextField()
    frame = models.IntegerField()
    numbers = models.JSONField(default=dict)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "code"], name="quality_finding_identity")]
        indexes = [models.Index(fields=["code", "-id"], name="quality_finding_code")]

    def __str__(self) -> str:
        return self.code
