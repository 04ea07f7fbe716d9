"""Objects that came under another patient than the rest of their study, when the two turn out to be one person, or not
to be one after all.

Strangers are given as they are (``patient_mismatch``): they must not look like that patient's. Under which identifier
each came nobody but the object itself knows, so it is read again.
"""

from collections.abc import Iterable, Iterator

import orjson
from django.db import transaction

from archive import outbox, patient_rows
from archive.errors import ArchiveUnavailable
from archive.models import Instance, Patient, Study
from archive.outbox import Wish
from archive.payload import StoredSource
from archive.told_changes import tell
from dicom.errors import DicomError
from dicom.json_items import text
from dicom.part10 import parse

_PATIENT_ID, _ISSUER = "00100020", "00100021"


def wish_for(patient: Patient) -> None:
    """Have the strangers looked at among the studies of a locked patient, in the current transaction."""
    found = Instance.objects.filter(series__study__patient=patient, patient_mismatch=True)
    studies: Iterable[int] = found.values_list("series__study", flat=True).distinct()  # type: ignore[assignment]
    wish_for_studies(studies)


def wish_for_studies(studies: Iterable[int]) -> None:
    """Have all objects of these studies looked at: a merge was taken back, and some may be strangers from now on."""
    outbox.wish(Wish(outbox.STRANGERS, str(pk)) for pk in studies)


def look(subject: str) -> None:
    """The task: of the study with this primary key those objects are strangers that came under another patient than it
    has, and than it came under itself. An identifier that nobody knows says nothing new."""
    rows = Instance.objects.filter(series__study=int(subject))
    keys = dict(_identifiers(rows.values_list("pk", "object_key", "object_size", "block_crcs")))
    with transaction.atomic():
        whose = Study.objects.filter(pk=int(subject)).values_list("patient_id", flat=True).first()
        patient_rows.lock_rows([] if whose is None else [whose])
        study = Study.objects.select_for_update().filter(pk=int(subject), patient=whose).first()
        if study is None:
            return
        came_under = study.original_patient
        own = {study.patient_id, *([came_under.person] if came_under else [])}
        persons = {key: _person(key) for key in set(keys.values())}
        series: set[int] = set()
        for stranger in (False, True):
            found = [pk for pk, key in keys.items() if persons[key] and (persons[key] not in own) is stranger]
            changed = rows.filter(pk__in=found, patient_mismatch=not stranger)
            series.update(changed.values_list("series_id", flat=True))
            changed.update(patient_mismatch=stranger)
        if series:
            patient_rows.refresh([study.pk])
            patient_rows.look_for_orders(study.patient)
            tell(sorted(series))


def _identifiers(
    rows: Iterable[tuple[int, str, int, bytes | memoryview | None]],
) -> Iterator[tuple[int, tuple[str, str]]]:
    for pk, key, size, crcs in rows:
        try:
            found = orjson.loads(parse(StoredSource(key, size, crcs)).json_text)
        except DicomError as error:
            raise ArchiveUnavailable("a stored object is damaged") from error
        yield pk, (text(found, _PATIENT_ID).strip(), text(found, _ISSUER).strip())


def _person(key: tuple[str, str]) -> int | None:
    """Whom an identifier names; None for one that nobody knows, and where there is none."""
    value, issuer = key
    named = Patient.objects.filter(patient_id=value, issuer_of_patient_id=issuer).exclude(patient_id="").first()
    return named.person if named is not None else None
