"""What is known of instances that lie in the object store in a second transfer syntax, or were tried and do not."""

from django.db import models
from django.db.models.functions import Now


class Representation(models.Model):
    """One instance in a transfer syntax other than the stored one: an object of its own, made from the stored one.

    Every frame was decoded from both objects and found equal before the row was written; ``exact`` says that the
    native frames are also the same byte for byte, bits beyond Bits Stored included. ``changed`` names the attributes
    that describe the encoding, as (value before, value now).
    """

    instance = models.ForeignKey("archive.Instance", on_delete=models.CASCADE, related_name="representations")
    transfer_syntax_uid = models.TextField(db_collation="C")
    object_key = models.TextField(unique=True)
    object_size = models.BigIntegerField()
    object_sha256 = models.BinaryField()
    block_crcs = models.BinaryField(null=True)
    header_length = models.BigIntegerField()
    pixels = models.JSONField()
    frame_table = models.BinaryField()
    changed = models.JSONField(default=dict)
    exact = models.BooleanField()
    source_sha256 = models.BinaryField()
    source_size = models.BigIntegerField()
    made_at = models.DateTimeField(db_default=Now())
    verified_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instance", "transfer_syntax_uid"], name="representation_identity")
        ]
        indexes = [models.Index(fields=["made_at"], name="representation_age")]

    def __str__(self) -> str:
        return f"{self.instance_id} as {self.transfer_syntax_uid}"


class TranscodingAttempt(models.Model):
    """An instance that is being transcoded now, or that is not tried again.

    ``tries`` counts beginnings: whoever begins writes it first, so that an instance which takes its worker with it is
    found out. ``outcome`` is empty while it may be tried, then ``larger`` or ``failed``, with the ``reason``.
    """

    instance = models.ForeignKey("archive.Instance", on_delete=models.CASCADE, related_name="transcoding_attempts")
    transfer_syntax_uid = models.TextField(db_collation="C")
    tries = models.IntegerField(default=0)
    outcome = models.TextField(default="", blank=True)
    reason = models.TextField(default="", blank=True)
    size = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["instance", "transfer_syntax_uid"], name="transcoding_attempt_identity")
        ]
        indexes = [models.Index(fields=["outcome", "instance"], name="transcoding_outcome")]


class DroppedOriginal(models.Model):
    """That a representation took the place of what was received, with the hash of both. Such rows stay."""

    sop_instance_uid = models.TextField(db_collation="C")
    study_instance_uid = models.TextField(db_collation="C")
    transfer_syntax_uid = models.TextField(db_collation="C")
    object_key = models.TextField()
    object_size = models.BigIntegerField()
    object_sha256 = models.BinaryField()
    stored_transfer_syntax_uid = models.TextField(db_collation="C")
    stored_sha256 = models.BinaryField()
    number_of_frames = models.BigIntegerField()
    changed = models.JSONField(default=dict)
    verified_at = models.DateTimeField()
    dropped_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["sop_instance_uid"], name="dropped_instance"),
            models.Index(fields=["object_key"], name="dropped_object"),
        ]


class TranscodingPause(models.Model):
    """While there is a row, nothing is transcoded at rest."""

    since = models.DateTimeField(db_default=Now())
