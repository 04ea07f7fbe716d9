"""The trail's one table. Triggers refuse every change to a written row (migration 0002)."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models.functions import Now


def _text() -> "models.TextField[str, str]":
    return models.TextField(blank=True, default="")


def _texts() -> "ArrayField[list[str], list[str]]":
    return ArrayField(models.TextField(), default=list, blank=True)


class AccessEvent(models.Model):
    """One thing that somebody saw or did, or was refused (PS3.15 A.5.2).

    UIDs and identifiers are text without foreign keys: the trail outlives what it speaks of. ``path`` is the template
    of the route; what was asked stands in ``query`` alone. ``token_id`` is a digest, never the token.
    """

    sequence = models.BigAutoField(primary_key=True)
    recorded_at = models.DateTimeField(db_default=Now())
    kind = models.TextField()
    action = models.CharField(max_length=1)
    outcome = models.SmallIntegerField(default=0)
    outcome_description = _text()
    principal_kind = models.TextField()
    principal_id = _text()
    principal_name = _text()
    auth_method = _text()
    token_id = _text()
    roles = _texts()
    source_ip = models.GenericIPAddressField(null=True, blank=True)
    user_agent = _text()
    request_id = _text()
    method = _text()
    path = _text()
    decision = models.TextField(default="allow")
    rule = _text()
    study_uids = _texts()
    series_uid = _text()
    instance_uid = _text()
    patient_ids = _texts()
    instance_count = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    query = _text()
    purpose = _text()

    class Meta:
        indexes = [
            BrinIndex(fields=["recorded_at"], name="access_event_time"),
            models.Index(fields=["principal_id", "-sequence"], name="access_event_principal"),
            models.Index(fields=["request_id"], name="access_event_request"),
            GinIndex(fields=["study_uids"], name="access_event_studies"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(action__in=list("CRUDE")), name="access_event_action"),
            models.CheckConstraint(condition=models.Q(outcome__in=(0, 4, 8, 12)), name="access_event_outcome"),
            models.CheckConstraint(condition=models.Q(decision__in=("allow", "deny")), name="access_event_decision"),
        ]

    def __str__(self) -> str:
        return f"AccessEvent {self.sequence}"
