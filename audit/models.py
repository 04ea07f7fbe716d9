"""The trail and the log that seals it. Triggers refuse every change to a written row (migrations 0002, 0003)."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from audit.archive_models import ArchivedPartition as ArchivedPartition
from audit.output_models import Alert as Alert
from audit.output_models import Notice as Notice
from audit.output_models import OutputCursor as OutputCursor
from audit.output_models import RuleAsked as RuleAsked
from audit.output_models import SavedReview as SavedReview


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
            models.Index(fields=["principal_id", "-sequence"], name="access_event_principal"),
            models.Index(fields=["request_id"], name="access_event_request"),
            GinIndex(fields=["study_uids"], name="access_event_studies"),
            GinIndex(fields=["patient_ids"], name="access_event_patients"),
            models.Index(
                fields=["recorded_at"],
                name="access_event_activity",
                condition=models.Q(kind__in=("started", "stopped")),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(action__in=list("CRUDE")), name="access_event_action"),
            models.CheckConstraint(condition=models.Q(outcome__in=(0, 4, 8, 12)), name="access_event_outcome"),
            models.CheckConstraint(condition=models.Q(decision__in=("allow", "deny")), name="access_event_decision"),
        ]

    def __str__(self) -> str:
        return f"AccessEvent {self.sequence}"


class FrameRead(models.Model):
    """What was answered in a window after the event that opened it, until it is folded into an event of its own.

    One row for each series and database connection (``backend``). Not append-only, and not sealed before it is folded.
    """

    pk = models.CompositePrimaryKey("opened_by", "series_uid", "backend")
    opened_by = models.BigIntegerField()
    series_uid = models.TextField()
    backend = models.IntegerField()
    opened_at = models.DateTimeField()
    answers = models.BigIntegerField()
    frames = models.BigIntegerField()
    bytes = models.BigIntegerField()
    last_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"FrameRead after {self.opened_by}"


class UnsealedEvent(models.Model):
    """An event that waits to be sealed; a trigger puts it here in the transaction of the event."""

    sequence = models.BigIntegerField(primary_key=True)

    def __str__(self) -> str:
        return f"UnsealedEvent {self.sequence}"


class SealedEvent(models.Model):
    """The place of an event in the log: ``position`` is 1, 2, 3... without gaps, in the order of the commits.

    ``leaf_hash`` is the leaf of the Merkle tree (RFC 9162 2.1.1) over the canonical bytes of the event.
    """

    position = models.BigIntegerField(primary_key=True)
    sequence = models.BigIntegerField(unique=True)
    leaf_hash = models.BinaryField()
    sealed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"SealedEvent {self.position}"


class TreeNode(models.Model):
    """The root of the whole subtree of 2**level leaves number ``index`` (from 0), for each eighth level.

    With them a root or a proof takes some hundred reads, however large the log is.
    """

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"TreeNode {self.level} {self.index}"
