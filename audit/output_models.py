"""How far the trail was sent elsewhere, what its rules found, and who has looked at what."""

import uuid

from django.db import models
from django.db.models.functions import Now


def _text() -> "models.TextField[str, str]":
    return models.TextField(blank=True, default="")


class OutputCursor(models.Model):
    """A receiver of the trail: up to ``position`` everything is known to have arrived, up to ``sent`` it was written.

    ``error`` is the class of what went wrong last, "" while all is well.
    """

    name = models.TextField(primary_key=True)
    position = models.BigIntegerField(default=0)
    sent = models.BigIntegerField(default=0)
    error = _text()
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"OutputCursor {self.name}"


class Alert(models.Model):
    """Something unusual that a rule found, once for each rule, principal and window.

    ``since`` and ``until`` are the times of the events that it is about; ``study_uids`` some of their studies.
    """

    rule = models.TextField()
    principal_kind = _text()
    principal_id = _text()
    principal_name = _text()
    source_ip = models.GenericIPAddressField(null=True, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    found_at = models.DateTimeField(db_default=Now())
    count = models.BigIntegerField(default=0)
    description = _text()
    study_uids = models.JSONField(default=list)
    seen_at = models.DateTimeField(null=True, blank=True)
    seen_by = _text()
    seen_by_id = _text()
    comment = _text()

    class Meta:
        indexes = [
            models.Index(fields=["-id"], condition=models.Q(seen_at__isnull=True), name="alert_open"),
            models.Index(fields=["rule", "principal_id", "-until"], name="alert_of_principal"),
        ]

    def __str__(self) -> str:
        return f"Alert {self.pk}"


class Notice(models.Model):
    """That somebody was told of ``subject``, by mail or by one of the webhooks."""

    pk = models.CompositePrimaryKey("subject", "channel")
    subject = models.TextField()
    channel = models.TextField()
    told_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Notice of {self.subject} by {self.channel}"


class RuleAsked(models.Model):
    """Up to when a rule of the watch was asked."""

    rule = models.TextField(primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"RuleAsked {self.rule}"


class SavedReview(models.Model):
    """A question to the trail that somebody asks again and again, and up to which event it was answered.

    ``asked`` are the fields of the filter as the page has them.
    """

    external_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.TextField(unique=True)
    asked = models.JSONField(default=dict)
    made_by = _text()
    made_at = models.DateTimeField(db_default=Now())
    reviewed_to = models.BigIntegerField(default=0)
    reviewed_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = _text()
    comment = _text()

    def __str__(self) -> str:
        return f"SavedReview {self.pk}"
