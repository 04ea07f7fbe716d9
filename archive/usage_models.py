"""How much each study takes, by modality."""

from django.db import models


class StudyUsage(models.Model):
    """Instances and bytes (as received or as they are now kept) of one modality in one study.

    Triggers count where rows of instances come and go, in the statement of the change and under the study's lock. It
    names the study without a constraint: a row ends with the last instance that it counts.
    """

    study_id = models.BigIntegerField()
    modality = models.TextField(db_collation="C", blank=True)
    instances = models.BigIntegerField()
    bytes = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study_id", "modality"], name="usage_of_study")]

    def __str__(self) -> str:
        return f"{self.bytes} bytes"
