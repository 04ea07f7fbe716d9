"""The tasks: write what is known of a subject to the object store, unless that is what stands there.

The key is noted before the document is put, so that what a worker left behind that died is told from what another
index knows: where the store has a later document than this index, which a backup brought back or which began empty,
nothing is written until ``./pacs rebuild`` has read it.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.fields import TextField
from django.db.models.functions import Cast, Now

from access.restriction_models import DeletedStudy, Restriction
from archive import outbox
from archive.delete import DERIVED_GRACE_SECONDS
from archive.errors import ArchiveUnavailable
from archive.models import AttributeOverride, DeletedObject, LegalHold, OutboxEntry, Patient, PatientLink, Study
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from archive.outbox import Wish
from custody.facts import behind, collecting, documents
from custody.facts.collecting import Content
from custody.facts.models import FactsDocument
from custody.facts.providers import more
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS

WALK: Final = "facts_walk"
_KINDS: Final = (ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS)
_STEP: Final = 500
# Seconds between two steps of the walk: whoever stores now comes first.
_PAUSE: Final = 2.0


class _Behind(Exception):
    """The store has facts that this index does not know."""


def write_study(subject: str) -> None:
    """The task about the study with this UID. Of one that is gone for good its document says so. Raises
    ``ArchiveUnavailable``."""

    def collect(written: bool) -> Content | None:
        content = collecting.of_study(subject) | _more(STUDY_FACTS, subject)
        known = written or content["study"] or content["deleted"] or content.get("more")
        return content if known else None

    _write(STUDY_FACTS, subject, collect)
    if not FactsDocument.objects.filter(kind=ARCHIVE_FACTS).exists():
        outbox.wish([Wish(ARCHIVE_FACTS, "tags")])


def write_patient(subject: str) -> None:
    """The task about the patient with this primary key; none is written of what its studies say already. Raises
    ``ArchiveUnavailable``."""

    def collect(written: bool) -> Content | None:
        content = collecting.of_patient(int(subject))
        if content is None:
            return None
        content |= _more(PATIENT_FACTS, subject)
        return content if written or not collecting.is_plain(content) else None

    _write(PATIENT_FACTS, subject, collect)


def write_archive(subject: str) -> None:
    """The task about what is of no study: ``subject`` names the provider. Raises ``ArchiveUnavailable``."""

    def collect(written: bool) -> Content:
        return {"format": documents.FORMAT, "subject": subject} | _more(ARCHIVE_FACTS, subject)

    _write(ARCHIVE_FACTS, subject, collect)


def walk(subject: str) -> None:
    """The task: wish for the documents of studies and patients that have none, some hundred at a time.

    ``subject`` is the primary key of the last study that was done, 0 at the beginning.
    """
    last = int(subject)
    if last == 0:
        try:
            behind.forget_missing()
        except ObjectStoreError as error:
            raise ArchiveUnavailable("facts can't be looked for now") from error
    with transaction.atomic():
        if last == 0:
            outbox.wish([Wish(ARCHIVE_FACTS, "tags")])
            outbox.wish(Wish(PATIENT_FACTS, str(pk)) for pk in _patients())
            outbox.wish(Wish(STUDY_FACTS, uid) for uid in _without_row())
        missing = Study.objects.filter(pk__gt=last).exclude(_written(STUDY_FACTS)).order_by("pk")
        found = list(missing.values_list("pk", "study_instance_uid")[:_STEP])
        outbox.wish(Wish(STUDY_FACTS, uid) for _, uid in found)
        if len(found) == _STEP:
            outbox.wish([Wish(WALK, str(found[-1][0]), _PAUSE)])


def revived() -> Iterator[Wish]:
    """What died because workers of a release before this one don't know it: they serve on while this one comes."""
    dead = OutboxEntry.objects.filter(kind__in=(*_KINDS, WALK), dead=True, last_error=KeyError.__name__)
    yield from (Wish(kind, subject) for kind, subject in dead.values_list("kind", "subject"))


def _patients() -> Iterator[int]:
    """Those of whom more is known than their studies say, and none is written of."""
    corrected = AttributeOverride.objects.filter(level="patient", uid=Cast(OuterRef("pk"), TextField()))
    special = Patient.objects.filter(
        ~Q(told=[], merged_into=None, event_at=None, standing="")
        | Q(pk__in=Restriction.objects.filter(patient__isnull=False).values("patient"))
        | Q(pk__in=LegalHold.objects.filter(patient__isnull=False).values("patient"))
        | Q(pk__in=PatientLink.objects.values("one"))
        | Exists(corrected)
    )
    return special.exclude(_written(PATIENT_FACTS)).values_list("pk", flat=True).iterator()


def _without_row() -> Iterator[str]:
    """Studies that are closed, held or deleted, whether they are there or not."""
    for model in (DeletedObject, DeletedStudy, Restriction, LegalHold):
        said = model._default_manager.exclude(study_instance_uid="").exclude(_written(STUDY_FACTS))
        yield from said.values_list("study_instance_uid", flat=True).distinct().iterator()


def _written(kind: str) -> Exists:
    subject = OuterRef("study_instance_uid") if kind == STUDY_FACTS else Cast(OuterRef("pk"), TextField())
    return Exists(FactsDocument.objects.filter(kind=kind, subject=subject, object_key__isnull=False))


def _more(kind: str, subject: str) -> dict[str, Any]:
    found = more(kind, subject)
    return {"more": found} if found else {}


def _write(kind: str, subject: str, collect: Callable[[bool], Content | None]) -> None:
    try:
        noted = _noted(kind, subject, collect)
        if noted is not None:
            row, text = noted
            documents.put(row.pending, text)
            if not _settle(row, documents.digest_of(text)):
                object_store().delete(row.pending)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("facts can't be written now") from error


def _noted(kind: str, subject: str, collect: Callable[[bool], Content | None]) -> tuple[FactsDocument, bytes] | None:
    try:
        return _note(kind, subject, collect)
    except _Behind as error:
        # Told outside of the transaction that is undone: the sweep has to know as well.
        behind.say_needed()
        raise ArchiveUnavailable(str(error)) from error


def _note(kind: str, subject: str, collect: Callable[[bool], Content | None]) -> tuple[FactsDocument, bytes] | None:
    """The row with the key that is to be written, and what; None where there is nothing new to say."""
    with transaction.atomic():
        # The row is locked while facts are collected: of two writers the later one has what is newer.
        empty = FactsDocument(kind=kind, subject=subject, folder=documents.folder_of(kind, subject))
        FactsDocument.objects.bulk_create([empty], ignore_conflicts=True)
        row = FactsDocument.objects.select_for_update().get(kind=kind, subject=subject)
        now = _now()
        content = collect(row.version > 0)
        text = documents.encoded(content) if content else b""
        if content is None or documents.digest_of(text) == bytes(row.digest):
            return None
        # Whatever this index noted, also for a writer that is late, has no later version than its row.
        if documents.newest_version(row.folder) > row.version:
            raise _Behind("the object store knows more than the index: ./pacs rebuild --add-missing")
        # The folder of a patient is a random one, in which nothing can be found of what another index knew.
        if kind == PATIENT_FACTS and row.object_key is None and behind.is_behind():
            raise _Behind("the object store may know more than the index: ./pacs rebuild --add-missing")
        if row.pending:
            object_store().delete(row.pending)
        row.version = max(row.version + 1, now)
        row.pending = documents.new_key(row.folder, row.version)
        row.save(update_fields=["version", "pending"])
    return row, text


def _settle(row: FactsDocument, digest: bytes) -> bool:
    """Make what was put the newest document; False if another writer has noted a later one."""
    with transaction.atomic():
        old = FactsDocument.objects.select_for_update().filter(pk=row.pk, pending=row.pending).first()
        if old is None:
            return False
        FactsDocument.objects.filter(pk=row.pk).update(
            object_key=row.pending, digest=digest, pending="", written_at=Now()
        )
        if old.object_key:
            grace = timedelta(seconds=DERIVED_GRACE_SECONDS)
            DeletedObject.objects.get_or_create(
                object_key=old.object_key, defaults={"sweep_after": Now() + grace, "deleted_by": "derived"}
            )
    return True


def _now() -> int:
    """The database's clock, in microseconds: that of the rows which are collected."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint")
        return int(cursor.fetchone()[0])
