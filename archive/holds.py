"""What is under legal hold: asked by everything that removes, just before it does and under the locks it removes with.

A hold on a patient holds the whole person: what came under any identifier that names them now, what came under the held
identifier itself though a merge was taken back, and what was deleted of them and is not yet swept. Whoever places a
hold takes the locks of a deletion (``custody.retention.holding``): of two that meet, one comes first, as a whole.
"""

from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

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
        | _of_held_persons()
        | Q(original_patient__in=_of_patients().values("patient"))
    )


def refuse_held(study_pk: int) -> None:
    """Raises ``Held`` for a study that is held. Whoever is about to remove something of it has it locked."""
    if held_studies().filter(pk=study_pk).exists():
        raise Held("this study is under a legal hold: nothing of it can be removed until the hold is released")


def held_objects() -> Q:
    """Which of ``DeletedObject`` are held, of deleted instances and of originals that were replaced at rest."""
    of_study = Exists(held_studies().filter(study_instance_uid=OuterRef("study_instance_uid")))
    named = Q(study_instance_uid__in=_uids())
    originals = DroppedOriginal.objects.filter(named | Q(of_study), object_key=OuterRef("object_key"))
    return named | _of_held_persons() | Q(of_study) | Q(Exists(originals), deleted_by=REPLACED)


def _uids() -> QuerySet[LegalHold, Any]:
    return LegalHold.objects.active().filter(patient__isnull=True).values("study_instance_uid")


def _of_patients() -> QuerySet[LegalHold]:
    return LegalHold.objects.active().filter(patient__isnull=False)


def _of_held_persons() -> Q:
    """Whose ``patient`` is any identifier of somebody whose record is held, by the merges that stand now.

    Two lists that indexes find, not one condition that every patient would be read for.
    """
    persons = _of_patients().values(person=PERSON)
    return Q(patient__in=persons) | Q(patient__in=Patient.objects.filter(merged_into__in=persons).values("pk"))
