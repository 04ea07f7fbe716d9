"""What is under legal hold: asked by everything that removes, just before it does and under the locks it removes with.

A hold on a patient holds the whole person: what came under any identifier that names them now, what came under the held
identifier itself though a merge was taken back, and what was deleted of them and is not yet swept. Whoever places a
hold takes the locks of a deletion (``custody.retention.holding``): of two that meet, one comes first, as a whole.
"""

from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from archive.errors import Held
from archive.hold_models import LegalHold
from archive.models import DroppedOriginal, Patient, Study
from archive.patient_models import PERSON

# Who took away an original that a representation replaced (``archive.at_rest_dropping``).
REPLACED: Final = "at rest"


def held_studies() -> QuerySet[Study]:
    """The studies that are held now."""
    return Study.objects.filter(
        Q(study_instance_uid__in=_uids())
        | Q(patient__in=_identifiers())
        | Q(original_patient__in=_of_patients().values("patient"))
    )


def refuse_held(study_pk: int) -> None:
    """Raises ``Held`` for a study that is held. Whoever is about to remove something of it has it locked."""
    if held_studies().filter(pk=study_pk).exists():
        raise Held("this study is under a legal hold: nothing of it can be removed until the hold is released")


def held_objects() -> Q:
    """Which of ``DeletedObject`` are held, of deleted instances and of originals that were replaced at rest."""
    originals = DroppedOriginal.objects.filter(
        Q(study_instance_uid__in=_uids()) | Q(study_instance_uid__in=held_studies().values("study_instance_uid")),
        object_key=OuterRef("object_key"),
    )
    return Q(study_instance_uid__in=_uids()) | Q(patient__in=_identifiers()) | Q(Exists(originals), deleted_by=REPLACED)


def _uids() -> QuerySet[LegalHold, Any]:
    return LegalHold.objects.active().filter(patient__isnull=True).values("study_instance_uid")


def _of_patients() -> QuerySet[LegalHold]:
    return LegalHold.objects.active().filter(patient__isnull=False)


def _identifiers() -> QuerySet[Patient, Any]:
    """All identifiers of those whose record is held, by the merges that stand now."""
    persons = _of_patients().values(person=PERSON)
    return Patient.objects.annotate(named=Coalesce("merged_into", "pk")).filter(named__in=persons).values("pk")
