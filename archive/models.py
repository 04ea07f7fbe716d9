"""What is stored: the index of the objects in the object store (PS3.3 A.1.2 hierarchy), its news and its open tasks.

Text columns that are matched carry the ``C`` collation, so that one btree index serves equality, prefixes and ranges.
``answer`` columns hold ready DICOM JSON objects (PS3.18 F.2); ``archive.answers`` writes them.
"""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now

from archive.copy_models import SecondCopy as SecondCopy
from archive.extended_models import ExtendedTag as ExtendedTag
from archive.extended_models import ExtendedTagError as ExtendedTagError
from archive.extended_models import ExtendedValue as ExtendedValue
from archive.extended_models import Reindex as Reindex
from archive.hold_models import LegalHold as LegalHold
from archive.patient_models import AttributeOverride as AttributeOverride
from archive.patient_models import Patient as Patient
from archive.patient_models import PatientLink as PatientLink
from archive.quality_models import QualityFinding as QualityFinding
from archive.representation_models import DroppedOriginal as DroppedOriginal
from archive.representation_models import Representation as Representation
from archive.representation_models import TranscodingAttempt as TranscodingAttempt
from archive.representation_models import TranscodingPause as TranscodingPause
from archive.search_indexes import number_orders, text_orders, trigrams
from archive.study_scope import StudyScope
from archive.thumbnail_models import ThumbnailPack as ThumbnailPack
from archive.usage_models import StudyUsage as StudyUsage


def _text(**options: object) -> "models.TextField[str, str]":
    return models.TextField(db_collation="C", blank=True, default="", **options)  # type: ignore[arg-type]


class Study(models.Model):
    """A study (PS3.3 C.7.2) with the counts that QIDO-RS returns (PS3.18 table 10.6.3-3) kept up at ingest."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="studies")
    # Under which identifier its objects came, where that is not the one its patient is led by.
    original_patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, null=True, blank=True, related_name="original_studies"
    )
    # It matches an order of another patient: not shown until somebody has looked (worklist).
    quarantined = models.BooleanField(db_default=False)
    study_instance_uid = models.TextField(db_collation="C", unique=True)
    study_date = _text()
    study_time = _text()
    accession_number = _text()
    study_id = _text()
    study_description = _text()
    referring_physician_name = _text()
    referring_physician_name_key = _text()
    timezone_offset_from_utc = _text()
    # Of the first object stored; None for what was stored by a release that did not keep them (archive.places).
    institution_name = models.TextField(db_collation="C", null=True, blank=True)
    institutional_department_name = models.TextField(db_collation="C", null=True, blank=True)
    modalities_in_study = ArrayField(models.TextField(), default=list)
    number_of_study_related_series = models.IntegerField(default=0)
    number_of_study_related_instances = models.IntegerField(default=0)
    answer = models.TextField(default="{}")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = StudyScope.as_manager()

    class Meta:
        verbose_name_plural = "studies"
        indexes = [
            models.Index(fields=["institution_name", "-study_date", "-study_time", "-id"], name="study_institution"),
            models.Index(
                fields=["institutional_department_name", "-study_date", "-study_time", "-id"], name="study_department"
            ),
            models.Index(fields=["id"], name="study_unplaced", condition=models.Q(institution_name=None)),
            models.Index(fields=["-study_date", "-study_time", "-id"], name="study_list"),
            models.Index(fields=["id"], name="study_quarantined", condition=models.Q(quarantined=True)),
            GinIndex(fields=["modalities_in_study"], name="study_modalities"),
            GinIndex(OpClass("referring_physician_name_key", name="gin_trgm_ops"), name="study_referrer_trigram"),
            # Downwards it is the study list.
            text_orders("study", ("study_date",), ("-study_time", "-id"))[0],
            *text_orders(
                "study",
                (
                    "study_time",
                    "accession_number",
                    "study_id",
                    "study_description",
                    "referring_physician_name_key",
                    "timezone_offset_from_utc",
                ),
                ("-study_date", "-study_time", "-id"),
            ),
            *trigrams("study", ("accession_number", "study_id", "study_description")),
        ]

    def __str__(self) -> str:
        return self.study_instance_uid


class Series(models.Model):
    """A series of one study (PS3.3 C.7.3). ``version`` counts its changes; its metadata document names one of them."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="series", db_index=False)
    series_instance_uid = models.TextField(db_collation="C")
    modality = _text()
    series_number = models.BigIntegerField(null=True)
    series_description = _text()
    performed_procedure_step_start_date = _text()
    performed_procedure_step_start_time = _text()
    body_part_examined = _text()
    protocol_name = _text()
    station_name = _text()
    request_attributes = models.TextField(default="", blank=True)
    number_of_series_related_instances = models.IntegerField(default=0)
    version = models.IntegerField(default=0)
    answer = models.TextField(default="{}")
    # Whose picture stands for the series, and how well: 0 an image, 1 a localizer, 2 what is no image.
    thumbnail_instance = models.BigIntegerField(null=True, blank=True)
    thumbnail_rank = models.SmallIntegerField(db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["study", "series_instance_uid"], name="series_identity")]
        indexes = [
            models.Index(fields=["series_instance_uid"], name="series_uid"),
            models.Index(fields=["study", "series_number", "id"], name="series_order"),
            *text_orders(
                "series",
                (
                    "modality",
                    "series_description",
                    "performed_procedure_step_start_date",
                    "performed_procedure_step_start_time",
                    "body_part_examined",
                    "protocol_name",
                    "station_name",
                ),
                ("study", "series_number", "id"),
            ),
            *number_orders("series", ("series_number",), ("study", "id")),
            *trigrams("series", ("series_description", "body_part_examined", "protocol_name", "station_name")),
        ]

    def __str__(self) -> str:
        return self.series_instance_uid


class RequestAttributes(models.Model):
    """What a search may ask of one item of Request Attributes Sequence of a series, of which there is one at least.

    A series without the sequence has one row without values, so that Empty Value Matching finds it like any other.
    """

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="requests")
    accession_number = _text()
    requested_procedure_id = _text()
    scheduled_procedure_step_id = _text()

    class Meta:
        indexes = [
            models.Index(fields=["accession_number"], name="request_accession"),
            models.Index(fields=["requested_procedure_id"], name="request_procedure"),
            models.Index(fields=["scheduled_procedure_step_id"], name="request_step"),
            *trigrams("request", ("accession_number", "requested_procedure_id", "scheduled_procedure_step_id")),
        ]


class Instance(models.Model):
    """One composite object: where its bytes are, and what a reader needs to find a frame without opening it."""

    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="instances", db_index=False)
    sop_instance_uid = models.TextField(db_collation="C", unique=True)
    sop_class_uid = _text()
    transfer_syntax_uid = _text()
    instance_number = models.BigIntegerField(null=True)
    content_date = _text()
    content_time = _text()
    rows = models.IntegerField(null=True)
    columns = models.IntegerField(null=True)
    bits_allocated = models.IntegerField(null=True)
    number_of_frames = models.IntegerField(null=True)
    patient_mismatch = models.BooleanField(default=False)
    object_key = models.TextField()
    object_size = models.BigIntegerField()
    object_sha256 = models.BinaryField()
    # CRC-32 of each block (archive.block_crcs); None for what came before there were any, until a scrub.
    block_crcs = models.BinaryField(null=True)
    header_length = models.BigIntegerField()
    pixels = models.JSONField(null=True)
    frame_table = models.BinaryField(null=True)
    bulk = models.JSONField(null=True)
    answer = models.TextField(default="{}")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["series", "instance_number", "id"], name="instance_order"),
            models.Index(fields=["object_key"], name="instance_object_key"),
            # What lies in another tier than the hot one (archive.object_store.marks).
            models.Index(
                fields=["series"],
                include=["object_size"],
                condition=models.Q(object_key__regex=r"\.(warm|cold)\."),
                name="instance_tiered",
            ),
            models.Index(fields=["sop_class_uid", "id"], name="instance_sop_class"),
            *text_orders("instance", ("content_date", "content_time"), ("id",)),
            *number_orders(
                "instance", ("instance_number", "rows", "columns", "bits_allocated", "number_of_frames"), ("id",)
            ),
        ]

    def __str__(self) -> str:
        return self.sop_instance_uid


class SeriesDocument(models.Model):
    """The prepared metadata of a series at one ``version``: a gzip DICOM JSON array in the object store.

    ``instance_ids`` names the instance of each line; ``root`` is the DICOMweb root its BulkDataURIs carry;
    ``corrected`` is the moment of the corrections in it (``archive.corrections``), "" where there are none.
    """

    series = models.OneToOneField(Series, on_delete=models.CASCADE, primary_key=True, related_name="document")
    version = models.IntegerField()
    instance_ids = ArrayField(models.BigIntegerField())
    object_key = models.TextField()
    object_size = models.BigIntegerField()
    root = models.TextField()
    etag = models.TextField()
    corrected = models.TextField(db_default="", blank=True, default="")


class MetadataFragment(models.Model):
    """The metadata of one stored batch of a series, not yet in the series' document.

    ``lines`` is gzip of one DICOM JSON object a line, in the order of ``instance_ids``.
    """

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="fragments")
    instance_ids = ArrayField(models.BigIntegerField())
    lines = models.BinaryField()


class ChangeFeedEntry(models.Model):
    """What happened to the archive, in order, written in the transaction of the change.

    ``sequence`` is given before the commit, so it has gaps and may appear late. ``position`` is given after it by
    ``archive.change_feed``: without gaps, and never below one that a reader has seen; readers know only this number.
    """

    sequence = models.BigAutoField(primary_key=True)
    action = models.TextField()
    study_instance_uid = models.TextField(db_collation="C")
    series_instance_uid = models.TextField(db_collation="C")
    sop_instance_uid = models.TextField(db_collation="C")
    created_at = models.DateTimeField(db_default=Now())
    position = models.BigIntegerField(null=True, unique=True)

    class Meta:
        indexes = [
            models.Index(fields=["sequence"], name="feed_unplaced", condition=models.Q(position=None)),
            models.Index(fields=["study_instance_uid", "position"], name="feed_study"),
            BrinIndex(fields=["created_at"], name="feed_time"),
        ]


class OutboxEntry(models.Model):
    """A task that must run, written in the transaction that made it necessary; gone once the task is done.

    One row stands for all open wishes of the same ``kind`` and ``subject``; ``generation`` grows with each further
    wish, so that a task which began before the last wish doesn't remove it.
    """

    kind = models.TextField()
    subject = models.TextField()
    generation = models.IntegerField(default=1)
    attempts = models.IntegerField(default=0)
    not_before = models.DateTimeField(db_default=Now())
    dead = models.BooleanField(default=False)
    last_error = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "subject"], name="outbox_subject")]
        indexes = [models.Index(fields=["not_before"], name="outbox_due", condition=models.Q(dead=False))]


class DeletedObject(models.Model):
    """An object that no index row points at any more: after ``sweep_after`` the sweep removes it and this row.

    A deleted instance is remembered here with its UIDs and can be brought back until then; objects that were derived
    from one, and those that never got a row (``deleted_by`` says so), have no UIDs.
    """

    object_key = models.TextField(unique=True)
    study_instance_uid = _text()
    series_instance_uid = _text()
    sop_instance_uid = _text()
    sha256 = models.BinaryField(default=b"")
    size = models.BigIntegerField(default=0)
    deleted_at = models.DateTimeField(db_default=Now())
    sweep_after = models.DateTimeField()
    deleted_by = models.TextField()
    # Whose it was, for holds; None for what has no UIDs, and for what a release deleted that did not keep it.
    patient = models.ForeignKey(
        Patient,
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )

    class Meta:
        indexes = [
            models.Index(fields=["study_instance_uid"], name="deleted_study"),
            models.Index(fields=["sweep_after"], name="deleted_due"),
        ]


class StoredBytes(models.Model):
    """The bytes of all objects are the sum over these few rows, which triggers keep (``archive.quota``)."""

    slot = models.SmallIntegerField(primary_key=True)
    bytes = models.BigIntegerField()


class CommitmentRequest(models.Model):
    """The result of one Storage Commitment transaction (PS3.18 13), kept for who asked for it.

    ``digest`` is the SHA-256 of what was referenced, ``result`` the Storage Commitment Response Module (PS3.18 J.2).
    """

    transaction_uid = models.TextField(db_collation="C", unique=True)
    requested_by = models.TextField()
    digest = models.BinaryField()
    result = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
