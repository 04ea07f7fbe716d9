"""Storage commitment (PS3.18 13, PS3.4 annex J): is each of these instances kept, whole?

The answer is given at once, of what is there at that moment: the row, and its object with the size (and, where the
installation asks for it, the SHA-256) that was received. It is kept under its Transaction UID for who asked.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from archive.errors import ArchiveUnavailable, Conflict, NotFound
from archive.locate import within
from archive.models import CommitmentRequest, Instance, Study
from archive.object_store import object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError

log = logging.getLogger("archive.commitment")

# PS3.3 C.14.1.1
PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
# Asking S3 for one size after the other would take seconds for a study.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that is asked about (PS3.3 table 10-11); study and series are empty where they weren't named."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one instance is kept: ``failure_reason`` is then ``None``. ``study_instance_uid`` is "" if unknown."""

    reference: Reference
    failure_reason: int | None
    study_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class _Row:
    sop_class_uid: str
    object_key: str
    object_size: int
    object_sha256: bytes
    study_instance_uid: str
    series_instance_uid: str

    def lies_at(self, reference: Reference) -> bool:
        """Whether it is in the study and series that ``reference`` names, if it names any."""
        named = reference.study_instance_uid, reference.series_instance_uid
        return not any(named) or named == (self.study_instance_uid, self.series_instance_uid)


def commit(
    scope: QuerySet[Study],
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    requested_by: str,
    render: Callable[[Sequence[Verdict]], str],
    record: Callable[[Sequence[Verdict]], None],
) -> str:
    """The result of a commitment request as ``render`` writes it, made once for its Transaction UID.

    The same request again gets the first one's result, without ``record`` being called. ``record`` is called in the
    transaction that keeps the result. Raises ``Conflict`` if the UID stands for another request, and
    ``ArchiveUnavailable`` if the object store can't be asked.
    """
    unique = list(dict.fromkeys(references))
    digest = _digest(unique)
    known = CommitmentRequest.objects.filter(transaction_uid=transaction_uid).first()
    if known is None:
        verdicts = _verify(scope, unique)
        with transaction.atomic():
            known, is_new = CommitmentRequest.objects.get_or_create(
                transaction_uid=transaction_uid,
                defaults={"requested_by": requested_by, "digest": digest, "result": render(verdicts)},
            )
            if is_new:
                record(verdicts)
    if (known.requested_by, bytes(known.digest)) != (requested_by, digest):
        raise Conflict("this Transaction UID is in use for another request")
    return known.result


def result_of(transaction_uid: str, requested_by: str) -> str:
    """The kept result. Raises ``NotFound``, also for the request of somebody else."""
    kept = CommitmentRequest.objects.filter(transaction_uid=transaction_uid, requested_by=requested_by).first()
    if kept is None:
        raise NotFound("no storage commitment request of yours has this Transaction UID")
    return kept.result


def _digest(references: Sequence[Reference]) -> bytes:
    lines = sorted(
        f"{r.sop_instance_uid} {r.sop_class_uid} {r.study_instance_uid} {r.series_instance_uid}".rstrip()
        for r in references
    )
    return hashlib.sha256("\n".join(lines).encode()).digest()


def _verify(scope: QuerySet[Study], references: Sequence[Reference]) -> list[Verdict]:
    rows = within(
        Instance.objects.filter(sop_instance_uid__in=[r.sop_instance_uid for r in references]), scope, "series__study"
    ).values_list(
        "sop_instance_uid",
        "sop_class_uid",
        "object_key",
        "object_size",
        "object_sha256",
        "series__study__study_instance_uid",
        "series__series_instance_uid",
    )
    found = {
        uid: _Row(sop_class, key, size, bytes(sha256), study, series)
        for uid, sop_class, key, size, sha256, study, series in rows
    }
    # The threads look at objects only: none of them opens a connection to the database.
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="commitment") as threads:
        whole = dict(zip(found, threads.map(_is_whole, found.values()), strict=True))
    return [_verdict(reference, found.get(reference.sop_instance_uid), whole) for reference in references]


def _verdict(reference: Reference, row: _Row | None, whole: dict[str, bool]) -> Verdict:
    if row is None or not row.lies_at(reference):
        return Verdict(reference, NO_SUCH_OBJECT_INSTANCE)
    failure = None
    if row.sop_class_uid != reference.sop_class_uid:
        failure = CLASS_INSTANCE_CONFLICT
    elif not whole[reference.sop_instance_uid]:
        failure = PROCESSING_FAILURE
    return Verdict(reference, failure, row.study_instance_uid)


def _is_whole(row: _Row) -> bool:
    try:
        problem = _difference(row)
    except (ObjectMissing, ObjectDamaged) as error:
        problem = str(error)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the object store can't be asked now; nothing is committed") from error
    if problem:
        log.error("a stored object is not as it was received: %s", problem)
    return not problem


def _difference(row: _Row) -> str:
    keeper = object_store()
    size = keeper.size(row.object_key)
    if size != row.object_size:
        return f"{row.object_key} has {size} bytes, expected {row.object_size}"
    if settings.PACS.commitment_reads_objects:
        digest = hashlib.sha256()
        for piece in keeper.open_range(row.object_key):
            digest.update(piece)
        if digest.digest() != row.object_sha256:
            return f"{row.object_key} has another SHA-256"
    return ""
