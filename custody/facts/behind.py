"""Whether the object store knows more than the index: after a database was lost, or brought back from a backup.

Until ``./pacs rebuild`` came to its end, objects without a row are no orphans, and what the index says of deletions may
not be so any more: the sweep removes nothing.
"""

from collections.abc import Iterator, Sequence

from archive.errors import ArchiveUnavailable
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from custody.facts import documents
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.reading import UNREAD, header
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS

NEEDED = "needed"


def is_behind() -> bool:
    """True until a rebuild that is needed, or began, has come to its end. Raises ``ArchiveUnavailable``."""
    if Rebuild.objects.filter(finished_at=None).exists():
        return True
    known = FactsDocument.objects.filter(kind=ARCHIVE_FACTS).values_list("object_key", "pending")
    keys = {key for pair in known for key in pair}
    try:
        return any(key not in keys for key in documents.newest(ARCHIVE_FACTS))
    except ObjectStoreError as error:
        raise ArchiveUnavailable("facts can't be looked for now") from error


def say_needed() -> None:
    """Note that a rebuild is due: a backup was restored, or the store has facts of what this index has not."""
    if not Rebuild.objects.filter(finished_at=None).exists():
        Rebuild.objects.create(mode=NEEDED)


def may_be_known(keys: Sequence[str]) -> bool:
    """Whether one of these objects, which no row has, is of a study of which the store has facts unknown to this index:
    the database came back as it was before, by whatever means. Each is opened; the first such ends it.

    Raises ``ObjectStoreError``.
    """
    for key in keys:
        try:
            study = header(key, object_store().size(key)).study_instance_uid
        except UNREAD:
            continue
        newest = documents.newest_version(documents.folder_of(STUDY_FACTS, study))
        known = FactsDocument.objects.filter(kind=STUDY_FACTS, subject=study).values_list("version", flat=True).first()
        if newest > (known or 0):
            say_needed()
            return True
    return False


def forget_missing() -> int:
    """Documents that the index names and the store has not are written again; returns how many those are.

    A backup of the objects brings none of them along. Raises ``ObjectStoreError``.
    """
    forgotten = 0
    for prefix in _folders():
        named = dict(FactsDocument.objects.filter(object_key__startswith=prefix).values_list("object_key", "pk"))
        if named:
            for key in named.keys() - set(object_store().keys(prefix)):
                # Unless a later one was written meanwhile.
                lost = FactsDocument.objects.filter(pk=named[key], object_key=key)
                forgotten += lost.update(object_key=None, digest=b"")
    return forgotten


def _folders() -> Iterator[str]:
    yield documents.BEGINNINGS[ARCHIVE_FACTS]
    for kind in (PATIENT_FACTS, STUDY_FACTS):
        yield from (f"{documents.BEGINNINGS[kind]}{number:02x}/" for number in range(256))
