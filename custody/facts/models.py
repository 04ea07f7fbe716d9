"""Which facts documents lie in the object store, and which runs made the index anew from there."""

from django.db import models
from django.db.models.functions import Now


class FactsDocument(models.Model):
    """The newest facts document about one subject: a study (its UID), a patient (primary key) or the archive ("").

    ``version`` grows with each document, in microseconds of the database's clock; ``digest`` is the SHA-256 of what it
    says. ``object_key`` is empty of a subject of which nothing was written yet; ``pending`` is the key under which one
    is being written now.
    """

    kind = models.TextField()
    subject = models.TextField(db_collation="C", blank=True, default="")
    folder = models.TextField()
    version = models.BigIntegerField(default=0)
    object_key = models.TextField(null=True, unique=True)
    digest = models.BinaryField(default=b"")
    pending = models.TextField(blank=True, default="")
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="facts_subject")]

    def __str__(self) -> str:
        return f"{self.kind} facts {self.pk}"


class Rebuild(models.Model):
    """One run of ``./pacs rebuild``; ``summary`` is empty until it came to its end."""

    mode = models.TextField()
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    summary = models.JSONField(default=dict, blank=True)

    def __str__(self) -> str:
        return f"Rebuild {self.pk}"
