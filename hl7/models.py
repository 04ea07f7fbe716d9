"""Partners and what they sent: raw bytes first, then what became of them."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now

from hl7.outbound_models import DeliveryState as DeliveryState
from hl7.outbound_models import Destination as Destination
from hl7.outbound_models import OutboundMessage as OutboundMessage
from hl7.profiles import Profile


class Hl7Interface(models.Model):
    """One partner: how its messages are known, and the profile by which they are read (``hl7.profiles``).

    An empty application or facility is any. An interface with a certificate takes messages only from its holder, and
    one without takes none that came over TLS.
    """

    name = models.TextField(unique=True)
    active = models.BooleanField(default=True)
    sending_application = models.TextField(blank=True, default="")
    sending_facility = models.TextField(blank=True, default="")
    certificate_sha256 = models.TextField(blank=True, default="")
    profile = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sending_application", "sending_facility", "certificate_sha256"],
                condition=models.Q(active=True),
                name="hl7_interface_match",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def rules(self) -> Profile:
        """Its profile. Raises InvalidProfile."""
        return Profile.read(self.profile)


class MessageState(models.TextChoices):
    """What became of a message."""

    RECEIVED = "received"  # kept; not applied yet, or the process ended before it was
    APPLIED = "applied"
    REPEATED = "repeated"  # the same message once more: answered as it was the first time
    REFUSED = "refused"  # by its header: not for us, or of a kind that isn't supported
    PARKED = "parked"  # its content can't be applied: somebody has to look
    FAILED = "failed"  # by our fault; the sender may send the same again
    SUPERSEDED = "superseded"  # received, never answered, and sent again
    REPLAYED = "replayed"  # parked or failed; a replay of it was applied
    DISMISSED = "dismissed"  # parked; somebody decided that nothing is to be done


class Hl7Message(models.Model):
    """One message as it arrived, and the answer that it got.

    ``body_sha256`` leaves MSH-7 out. ``condition`` and ``place`` are those of ERR-3 and ERR-2; ``error`` is ours and
    names no patient. ``later`` is an answer that the sender's own listener is to get. ``effect`` says in words of ours
    what was done, at first or by a replay.
    """

    interface = models.ForeignKey(Hl7Interface, on_delete=models.PROTECT, null=True, related_name="messages")
    received_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    transport = models.TextField()
    peer = models.TextField()
    certificate_sha256 = models.TextField(default="", blank=True)
    raw = models.BinaryField()
    sha256 = models.BinaryField()
    body_sha256 = models.BinaryField()
    sending_application = models.TextField(default="", blank=True)
    sending_facility = models.TextField(default="", blank=True)
    control_id = models.TextField(default="", blank=True)
    type = models.TextField(default="", blank=True)
    state = models.TextField(choices=MessageState.choices, default=MessageState.RECEIVED)
    answer = models.BinaryField(null=True)
    later = models.BinaryField(null=True)
    condition = models.SmallIntegerField(null=True)
    place = models.TextField(default="", blank=True)
    error = models.TextField(default="", blank=True)
    effect = models.TextField(default="", blank=True)
    patient = models.BigIntegerField(null=True)
    order = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["control_id", "sending_application", "sending_facility", "-id"], name="hl7_key"),
            models.Index(
                fields=["state", "id"],
                name="hl7_open",
                condition=models.Q(state__in=["received", "parked", "failed"]),
            ),
            models.Index(fields=["interface", "-id"], name="hl7_of_interface"),
            models.Index(fields=["patient", "-id"], name="hl7_of_patient", condition=models.Q(patient__isnull=False)),
            models.Index(fields=["order", "-id"], name="hl7_of_order", condition=models.Q(order__isnull=False)),
            # Messages of a time: they come in its order.
            BrinIndex(fields=["received_at"], name="hl7_received", pages_per_range=32),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
