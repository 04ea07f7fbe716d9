"""Patients and their identifiers as locked rows: found, taken up, and made to name another patient.

Whoever changes a patient holds its identifiers' locks (advisory, so that an identifier nobody knows yet is held, too)
and its rows ``FOR UPDATE``; a Store holds the row ``FOR KEY SHARE``. All are taken in the order of the keys.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from archive import outbox
from archive.index_recount import recount_study
from archive.models import AttributeOverride, Patient, Series, Study
from archive.outbox import Wish
from archive.patient_facts import Identifier, Moment, PatientRefusal, PatientRefused
from archive.patient_models import Standing
from archive.prepared_rows import PreparedRows, insert, update
from audit.prepared import PreparedSql

Key = tuple[str, str]
# How long a message waits for another one about the same patient.
LOCK_SECONDS = 10

_LOCK = PreparedSql(
    "SELECT set_config('lock_timeout', %s, true), pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key"
)
# Those of these identifiers, and whom they name.
_NAMED = PreparedRows(
    Patient,
    "WHERE id IN (SELECT unnest(ARRAY[id, merged_into_id]) FROM archive_patient WHERE unidentified_study_uid = '' AND "
    "(patient_id, issuer_of_patient_id) IN (SELECT * FROM unnest((SELECT %s::text[]), (SELECT %s::text[])))) "
    "ORDER BY patient_id, issuer_of_patient_id, unidentified_study_uid FOR UPDATE",
)
_BY_PK = PreparedRows(
    Patient,
    "WHERE id = ANY(%s) ORDER BY patient_id, issuer_of_patient_id, unidentified_study_uid FOR UPDATE",
)
_STUDIES = PreparedSql(
    "SELECT id, original_patient_id FROM archive_study WHERE patient_id = %s ORDER BY study_instance_uid FOR UPDATE"
)


def lock(identifiers: Iterable[Identifier]) -> None:
    """Wait until no other message about any of these identifiers is at work; holds them to the transaction's end.

    Raises ``PatientRefused`` (busy) after ``LOCK_SECONDS``; the transaction is lost by then.
    """
    numbers = sorted({_number(identifier.key) for identifier in identifiers})
    with _patience():
        _LOCK.rows([f"{LOCK_SECONDS}s", numbers])


@contextmanager
def _patience() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise PatientRefused(PatientRefusal.BUSY, "another message about this patient takes too long") from error


def _number(key: Key) -> int:
    digest = hashlib.blake2b("\0".join(("patient", *key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def locked(identifiers: Iterable[Identifier]) -> dict[Key, Patient]:
    """The rows of those identifiers that are known, locked, as are the patients they name."""
    keys = {identifier.key for identifier in identifiers}
    with _patience():
        rows = {row.pk: row for row in _NAMED([value for value, _ in keys], [issuer for _, issuer in keys])}
    while strangers := {row.person for row in rows.values()} - rows.keys():
        # Somebody merged the patient while this waited for its row.
        rows = lock_rows(rows.keys() | strangers)
    return {_key(row): row for row in rows.values() if _key(row) in keys}


def lock_rows(pks: Iterable[int]) -> dict[int, Patient]:
    """These rows by primary key, locked in the order of their identifiers."""
    with _patience():
        return {row.pk: row for row in _BY_PK(list(pks))}


def leading(row: Patient) -> Patient:
    """The patient that a locked identifier names."""
    return row if row.merged_into_id is None else Patient.objects.get(pk=row.merged_into_id)


def _key(row: Patient) -> Key:
    return row.patient_id, row.issuer_of_patient_id


def add(
    identifier: Identifier, moment: Moment, patient: Patient | None = None, standing: Standing = Standing.LEADS
) -> Patient:
    """A row for an identifier that nobody knew: that of a patient, or of a further identifier of ``patient``.

    A Store may have been faster with it this very moment: what it stored is the patient's.
    """
    value, issuer = identifier.key
    row, new = Patient.objects.get_or_create(
        patient_id=value,
        issuer_of_patient_id=issuer,
        unidentified_study_uid="",
        defaults={
            "type_of_patient_id": identifier.type,
            "issuer_universal_id": identifier.universal_id,
            "issuer_universal_id_type": identifier.universal_id_type,
            "merged_into": patient,
            "standing": standing,
        },
    )
    if new:
        return row
    row = lock_rows([row.pk])[row.pk]
    if patient is not None and row.merged_into_id is None:
        studies = locked_studies(row)
        move_studies(studies, patient)
        point(row, patient, standing, "identifier", moment)
        refresh(studies)
    return row


def point(row: Patient, patient: Patient | None, standing: Standing, reason: str, moment: Moment) -> None:
    """Make an identifier name ``patient``, ``None`` for that it leads by itself again; those it led go along."""
    old = row.merged_into_id
    row.merged_into, row.standing = patient, standing
    update(row, "merged_into", "standing")
    if patient is not None:
        Patient.objects.filter(merged_into=row).update(merged_into=patient)
    note(row, {"merged_into": (str(old or ""), str(patient.pk if patient else ""))}, reason, moment)


def move_studies(studies: Iterable[int], patient: Patient) -> int:
    """Give locked studies to ``patient``; under which identifier they came stays known. Returns their number."""
    pks = list(studies)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE archive_study SET patient_id = %(to)s, "
            "original_patient_id = NULLIF(COALESCE(original_patient_id, patient_id), %(to)s) WHERE id = ANY(%(pks)s)",
            {"to": patient.pk, "pks": pks},
        )
    return len(pks)


def came_under(studies: Sequence[int], patient: Patient, alias: Patient) -> None:
    """Of the locked studies of ``patient`` those that came under the identifier it was led by came under ``alias``."""
    own = Study.objects.filter(pk__in=studies, patient=patient, original_patient=None)
    own.update(original_patient=alias)


def locked_studies(patient: Patient, original: Patient | None = None) -> list[int]:
    """The studies of a locked patient, locked as a Store locks them; only those that came under ``original``."""
    found = _STUDIES.rows([patient.pk])
    return [pk for pk, came_as in found if original is None or (came_as or patient.pk) == original.pk]


def refresh(studies: Sequence[int]) -> None:
    """What is prepared of locked studies is made again: their answers now, their metadata documents by a worker."""
    if not studies:
        return
    for pk in studies:
        recount_study(pk)
    series = list(Series.objects.filter(study__in=studies).order_by("pk").values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE archive_series SET version = version + 1 WHERE id = ANY(%s)", [series])
    outbox.wish([Wish(outbox.SERIES_METADATA, str(pk)) for pk in series])


def look_for_orders(patient: Patient) -> None:
    """Whatever is of the patient may now answer other orders."""
    studies = Study.objects.filter(patient=patient).values_list("pk", flat=True)
    outbox.wish(Wish(outbox.RECONCILE, str(pk)) for pk in studies)


def note(row: Patient, changes: dict[str, tuple[str, str]], reason: str, moment: Moment) -> None:
    """Keep what was changed, from what to what, and by whom."""
    for keyword, (old, new) in changes.items():
        override = AttributeOverride(
            level="patient",
            uid=str(row.pk),
            keyword=keyword,
            old=old,
            new=new,
            reason=reason,
            made_by=moment.actor,
            source_message=moment.message,
        )
        insert(override)
