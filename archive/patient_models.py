"""Who the studies are of: patients with their identifiers, links between them, and what was corrected."""

from typing import Final

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Coalesce, Now

from archive.search_indexes import text_orders, trigrams


def _text(**options: object) -> "models.TextField[str, str]":
    return models.TextField(db_collation="C", blank=True, default="", **options)  # type: ignore[arg-type]


# Of a row with a ``patient``: the key of the person whom that identifier names by now.
PERSON: Final = Coalesce("patient__merged_into", "patient")


class Standing(models.TextChoices):
    """What an identifier that leads no patient any more is to the one that it names."""

    LEADS = "", "leads a patient"
    OTHER = "other", "a further identifier of the same person"
    ALIAS = "alias", "was changed into another one"
    MERGED = "merged", "retired by a merge"
    UNQUALIFIED = "unqualified", "the same value without an issuer"


class Patient(models.Model):
    """A patient identifier: Patient ID and its issuer (PS3.3 C.2.2), with what is known of the person it leads.

    One person may have several: all but one are ``merged_into`` the row that leads, directly, never by way of a third.
    Objects that come under any of them are of that patient, and what was kept under each is known
    (``Study.original_patient``), so that merges can be taken back.

    An object without a Patient ID belongs to nobody known: its study gets a patient of its own
    (``unidentified_study_uid``), so that two strangers never become one.

    ``told`` are the keywords that a feed has said, if only that there is no value: these are given instead of what the
    objects say (``archive.corrections``). ``event_at`` is the sender's moment of the newest event applied,
    ``corrected_at`` when the last one changed anything.
    """

    patient_id = _text()
    issuer_of_patient_id = _text()
    unidentified_study_uid = _text()
    patient_name = _text()
    patient_name_key = _text()
    patient_birth_date = _text()
    patient_sex = _text()
    merged_into = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="further_identifiers"
    )
    standing = models.TextField(choices=Standing, db_default="", blank=True, default="")
    type_of_patient_id = models.TextField(db_default="", blank=True, default="")
    issuer_universal_id = models.TextField(db_default="", blank=True, default="")
    issuer_universal_id_type = models.TextField(db_default="", blank=True, default="")
    told = ArrayField(models.TextField(), db_default=[], default=list, blank=True)
    event_at = models.DateTimeField(null=True, blank=True)
    corrected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient_id", "issuer_of_patient_id", "unidentified_study_uid"], name="patient_identity"
            )
        ]
        indexes = [
            GinIndex(OpClass("patient_name_key", name="gin_trgm_ops"), name="patient_name_trigram"),
            *text_orders(
                "patient",
                ("patient_id", "issuer_of_patient_id", "patient_name_key", "patient_birth_date", "patient_sex"),
                ("id",),
            ),
            *trigrams("patient", ("patient_id", "issuer_of_patient_id")),
        ]

    def __str__(self) -> str:
        return f"Patient {self.pk}"

    @property
    def person(self) -> int:
        """The key of the patient that this identifier names."""
        return self.merged_into_id or self.pk


class PatientLink(models.Model):
    """Two patients that somebody holds for one person, or for related ones: a note, nothing is moved (A24)."""

    one = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="+")
    made_by = models.TextField(default="", blank=True)
    source_message = models.TextField(default="", blank=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["one", "other"], name="patient_link")]


class AttributeOverride(models.Model):
    """One correction as it was made, kept for ever: what is given on output now stands in the patient's row.

    ``uid`` is the Study Instance UID at level ``study``, the primary key of the patient at level ``patient``;
    ``keyword`` is the attribute, or ``merged_into`` for whom an identifier names.
    """

    level = models.TextField()
    uid = models.TextField(db_collation="C")
    keyword = models.TextField()
    old = models.TextField(blank=True)
    new = models.TextField(blank=True)
    reason = models.TextField()
    made_by = models.TextField(default="", blank=True)
    source_message = models.TextField(default="", blank=True)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["level", "uid", "id"], name="override_subject")]
