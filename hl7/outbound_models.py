"""Where messages of ours go, and each of them on its way."""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class OrderMessage(models.TextChoices):
    """As what the status of an order is told."""

    NONE = "", "no status of orders"
    ORM = "ORM^O01", "ORM^O01 (general order, up to HL7 2.5)"
    OMG = "OMG^O19", "OMG^O19 (general clinical order)"
    OMI = "OMI^O23", "OMI^O23 (imaging order)"


class OrderTrigger(models.TextChoices):
    """ORC-5 (table 0038) of what happens to an order."""

    IP = "IP", "the first images are here"
    CM = "CM", "completed"
    DC = "DC", "discontinued"


class ReportTrigger(models.TextChoices):
    """OBR-25 (table 0123) of a version of a report."""

    P = "P", "preliminary"
    F = "F", "final"
    C = "C", "corrected"
    X = "X", "cancelled"


class Destination(models.Model):
    """A system that we send to. ``interface`` is the one by which the same system sends to us.

    What it told us itself is not told back to it unless ``echo``. ``answers``: application acknowledgements of enhanced
    mode that its messages ask for go there. ``ca`` is PEM, of who signs its certificate, where nobody public does.
    ``failures`` counts the connections that could not be made, and those on which no answer came, since one did; none
    is tried before ``not_before``.
    """

    name = models.TextField(unique=True)
    enabled = models.BooleanField(default=True)
    host = models.TextField()
    port = models.IntegerField()
    tls = models.BooleanField(default=False)
    ca = models.TextField(blank=True, default="")
    interface = models.ForeignKey(
        "hl7.Hl7Interface", on_delete=models.PROTECT, null=True, blank=True, related_name="destinations"
    )
    echo = models.BooleanField(default=False)
    order_message = models.TextField(choices=OrderMessage, blank=True, default=OrderMessage.NONE)
    order_statuses = ArrayField(models.TextField(choices=OrderTrigger), default=list, blank=True)
    report_statuses = ArrayField(models.TextField(choices=ReportTrigger), default=list, blank=True)
    pdf = models.BooleanField(default=True)
    answers = models.BooleanField(default=False)
    version = models.TextField(default="2.5.1")
    charset = models.TextField(default="UNICODE UTF-8")
    sending_application = models.TextField(blank=True, default="LIGHTBOX")
    sending_facility = models.TextField(blank=True, default="")
    receiving_application = models.TextField(blank=True, default="")
    receiving_facility = models.TextField(blank=True, default="")
    processing_id = models.TextField(default="P")
    time_zone = models.TextField(blank=True, default="")
    failures = models.IntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    error = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class DeliveryState(models.TextChoices):
    """How far a message has come."""

    QUEUED = "queued", "waits"
    SENT = "sent", "sent, not answered yet"
    RETRY = "retry", "to be sent again"
    ACKED = "acked", "delivered"
    DEAD = "dead", "refused, or given up"


OPEN: Final = (DeliveryState.QUEUED, DeliveryState.SENT, DeliveryState.RETRY)


class OutboundMessage(models.Model):
    """One message to one destination, its bytes and control id as they were made: each attempt sends the same.

    Those of one ``patient`` (the key of the person; 0 where there is none) go out in the order of their ids. ``about``
    says what it tells, without any value. ``answer`` is what came back last; ``error`` is ours and names no patient.
    """

    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="messages")
    patient = models.BigIntegerField(default=0)
    order = models.BigIntegerField(null=True)
    report = models.BigIntegerField(null=True)
    type = models.TextField()
    about = models.TextField()
    control_id = models.TextField()
    raw = models.BinaryField()
    sha256 = models.BinaryField()
    state = models.TextField(choices=DeliveryState, default=DeliveryState.QUEUED)
    attempts = models.IntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    answer = models.BinaryField(null=True)
    error = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["destination", "id"], name="hl7_out_queue", condition=models.Q(state__in=OPEN)),
            models.Index(
                fields=["destination", "patient", "id"], name="hl7_out_open", condition=models.Q(state__in=OPEN)
            ),
            models.Index(fields=["id"], name="hl7_out_dead", condition=models.Q(state=DeliveryState.DEAD)),
            models.Index(fields=["destination", "-id"], name="hl7_out_of_destination"),
            models.Index(fields=["control_id"], name="hl7_out_control"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
