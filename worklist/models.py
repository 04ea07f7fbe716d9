"""Orders, what they ask for, and which studies answer them (PS3.4 annex K, HL7 v2 chapter 4).

``Order.patient`` is the patient as the order named it; since a merge it may name another one (``Patient.person``).
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from archive.models import Patient, Study


def _text() -> "models.TextField[str, str]":
    return models.TextField(db_collation="C", blank=True, default="")


class OrderStatus(models.TextChoices):
    """The states of an order; ``worklist.states`` has the moves."""

    REQUESTED = "REQUESTED"
    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    REPORTED = "REPORTED"
    HELD = "HELD"
    CANCELED = "CANCELED"
    DISCONTINUED = "DISCONTINUED"
    REPLACED = "REPLACED"


class StepStatus(models.TextChoices):
    """The states of a scheduled procedure step (0040,0020)."""

    SCHEDULED = "SCHEDULED"
    ARRIVED = "ARRIVED"
    READY = "READY"
    STARTED = "STARTED"
    DEPARTED = "DEPARTED"
    CANCELED = "CANCELED"
    DISCONTINUED = "DISCONTINUED"
    COMPLETED = "COMPLETED"


class VisitStatus(models.TextChoices):
    """The states of a visit."""

    EXPECTED = "EXPECTED"
    ACTIVE = "ACTIVE"
    DISCHARGED = "DISCHARGED"
    CANCELED = "CANCELED"


class Outcome(models.TextChoices):
    """What looking for the order of a study came to."""

    LINKED = "LINKED", "linked"
    CONFLICT = "CONFLICT", "matches an order of another patient"
    AMBIGUOUS = "AMBIGUOUS", "several orders could be meant"
    UNSCHEDULED = "UNSCHEDULED", "no order is known"
    WRONG_ENTRY = "WRONG_ENTRY", "the wrong worklist entry was picked"


class PerformedStatus(models.TextChoices):
    """The states of a performed procedure step (0040,0252)."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


class Visit(models.Model):
    """A visit of a patient (PV1). ``location`` is where the patient is, ``ward^room^bed^facility``."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    number = _text()
    issuer = _text()
    patient_class = _text()
    location = _text()
    attending_physician_name = _text()
    referring_physician_name = _text()
    ambulatory = _text()
    admitted = _text()
    pregnant = models.BooleanField(default=False)
    status = models.TextField(choices=VisitStatus, default=VisitStatus.EXPECTED)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["number", "issuer"], condition=~models.Q(number=""), name="visit_number")
        ]


class Order(models.Model):
    """One order: of the placer's number the filler's is the order here; its accession number is no key.

    ``attributes`` are further worklist attributes by keyword. ``cancelled_with_images``: the order was to be cancelled,
    but has images, which stay.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    visit = models.ForeignKey(Visit, on_delete=models.SET_NULL, null=True, blank=True, related_name="orders")
    placer_number = _text()
    placer_issuer = _text()
    filler_number = _text()
    filler_issuer = _text()
    accession_number = _text()
    accession_issuer = _text()
    priority = _text()
    reason = models.TextField(blank=True, default="")
    clinical_info = models.TextField(blank=True, default="")
    referring_physician_name = _text()
    attributes = models.JSONField(default=dict, blank=True)
    status = models.TextField(choices=OrderStatus, default=OrderStatus.REQUESTED)
    # What it goes back to when it is released.
    held_from = _text()
    replaces = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replaced_by")
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children")
    cancelled_with_images = models.BooleanField(default=False)
    source_message = _text()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["filler_number", "filler_issuer"],
                condition=~models.Q(filler_number=""),
                name="order_filler",
            )
        ]
        indexes = [
            models.Index(fields=["placer_number", "placer_issuer"], name="order_placer"),
            models.Index(fields=["accession_number"], name="order_accession"),
        ]


class RequestedProcedure(models.Model):
    """One procedure of an order; linked orders may share its Study Instance UID. ``code`` is value, scheme, meaning."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="procedures")
    procedure_id = _text()
    study_instance_uid = models.TextField(db_collation="C")
    code = models.JSONField(default=list, blank=True)
    description = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "procedure_id"], name="procedure_identity")]
        indexes = [models.Index(fields=["study_instance_uid"], name="procedure_study")]


class ScheduledProcedureStep(models.Model):
    """One entry of the modality worklist (PS3.3 C.4.10). ``start_date`` and ``start_time`` are DA and TM values."""

    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.CASCADE, related_name="steps")
    step_id = _text()
    modality = _text()
    station_ae_titles = ArrayField(models.TextField(), default=list, blank=True)
    station_name = _text()
    location = _text()
    start_date = _text()
    start_time = _text()
    description = models.TextField(blank=True, default="")
    protocol_codes = models.JSONField(default=list, blank=True)
    performing_physician_name = _text()
    performing_physician_name_key = _text()
    status = models.TextField(choices=StepStatus, default=StepStatus.SCHEDULED)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["procedure", "step_id"], name="step_identity")]
        indexes = [models.Index(fields=["start_date", "start_time", "id"], name="step_start")]


class PerformedProcedureStep(models.Model):
    """What a modality says that it did (PS3.4 F.7.2): ``data_set`` is its DICOM JSON, as it was given.

    ``steps`` are those of the worklist that it answers; none where nothing was scheduled. ``wrong_entry``: it was
    discontinued because the wrong worklist entry had been picked, so that only a person links its studies.
    """

    mpps_uid = models.TextField(db_collation="C", unique=True)
    steps = models.ManyToManyField(ScheduledProcedureStep, related_name="performed")
    study_instance_uids = ArrayField(models.TextField(), default=list)
    data_set = models.JSONField()
    status = models.TextField(choices=PerformedStatus, default=PerformedStatus.IN_PROGRESS)
    wrong_entry = models.BooleanField(default=False)
    # The immutable id of the modality, or of the person, who says so.
    made_by = _text()
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            GinIndex(fields=["study_instance_uids"], name="performed_study", condition=models.Q(wrong_entry=True)),
        ]


class StudyOrderLink(models.Model):
    """This study answers this procedure: how that was found, and by whom where a person said so."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="order_links")
    procedure = models.ForeignKey(RequestedProcedure, on_delete=models.CASCADE, related_name="study_links")
    method = models.TextField()
    made_by = _text()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "procedure"], name="study_order_link")]


class Reconciliation(models.Model):
    """What looking for the order of a study came to last; all but ``LINKED`` wait in the technologist's queue.

    ``candidates`` are the procedures that could be meant. ``strangers`` is the number of its objects that came under
    another patient. ``settled_by`` is the person who decided; the machine then leaves the study alone.
    """

    study = models.OneToOneField(Study, on_delete=models.CASCADE, primary_key=True, related_name="reconciliation")
    outcome = models.TextField(choices=Outcome)
    method = models.TextField(blank=True, default="")
    candidates = ArrayField(models.BigIntegerField(), default=list)
    strangers = models.IntegerField(default=0)
    opened_at = models.DateTimeField(db_default=Now())
    tried_at = models.DateTimeField(db_default=Now())
    settled_by = _text()

    class Meta:
        indexes = [
            models.Index(fields=["outcome", "-opened_at"], name="reconciliation_queue"),
        ]


class StateEvent(models.Model):
    """One move of a state machine: the times between them are what turnaround is counted from.

    ``happened_at`` is the moment by the sender's clock, ``made_at`` ours.
    """

    machine = models.TextField()
    subject = models.BigIntegerField()
    before = models.TextField(blank=True)
    after = models.TextField()
    actor = models.TextField(blank=True, default="")
    source_message = models.TextField(blank=True, default="")
    happened_at = models.DateTimeField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["machine", "subject", "id"], name="state_event_subject")]
