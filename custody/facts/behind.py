"""Whether the object store knows more than the index: after a database was lost, or brought back from a backup.

Until ``./pacs rebuild`` came to its end, objects without a row are no orphans, and what the index says of deletions may
not be so any more: the sweep removes nothing.
"""

from collections.abc import Iterator
from typing import Final

from archive.errors import ArchiveUnavailable
from archive.models import Instance
from archive.object_store import ObjectStore, object_store
from archive.object_store.errors import ObjectRecalling, ObjectStoreError
from custody.facts import documents
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.reading import UNREAD, header
from custody.facts.triggers import ARCHIVE_FACTS, PATIENT_FACTS, STUDY_FACTS

NEEDED = "needed"
# What is, or may have become, the one object of an instance.
_IMAGES: Final = ("instances/", "derived/transcoded/")


def is_behind(second: ObjectStore | None = None) -> bool:
    """True until a rebuild that is needed, or began, has come to its end. Raises ``ArchiveUnavailable``.

    With ``second``, whether that store has facts that this index doesn't know.
    """
    if Rebuild.objects.filter(finished_at=None).exists():
        return True
    known = FactsDocument.objects.filter(kind=ARCHIVE_FACTS).values_list("object_key", "pending")
    keys = {key for pair in known for key in pair}
    try:
        return any(key not in keys for key in documents.newest(ARCHIVE_FACTS, second))
    except ObjectStoreError as error:
        raise ArchiveUnavailable("facts can't be looked for now") from error


def say_needed() -> None:
    """Note that a rebuild is due: a backup was restored, or the store has facts of what this index has not."""
    if not Rebuild.objects.filter(finished_at=None).exists():
        Rebuild.objects.create(mode=NEEDED)


def may_be_known(key: str, second: ObjectStore | None = None) -> bool:
    """Whether this object, which no row has, is of a study of which the store has facts unknown to this index, or is
    such facts: the database came back as it was before, by whatever means.

    What only a ``second`` store has may also be an image that the index and the first store have lost: that the index
    doesn't know the instance is enough. A rebuild would not find it there, and is not asked for. Raises
    ``ObjectStoreError``, also for what has to be recalled: nobody knows what it is.
    """
    if key.startswith(documents.BEGINNINGS[STUDY_FACTS]):
        news, instance = _is_news(key), True
    elif key.startswith(_IMAGES):
        news, instance = _is_of_news(key, second)
    else:
        return False
    if second is not None:
        return news or not instance
    if news:
        say_needed()
    return news


def _is_news(key: str) -> bool:
    """Whether a document of a study is later than what this index knows, and says something."""
    folder = key.rpartition("/")[0]
    known = FactsDocument.objects.filter(folder=folder).values_list("version", flat=True).first()
    try:
        if documents.version_of(key) <= (known or 0):
            return False
        documents.read(key)
    except (ValueError, documents.UnreadableFacts):
        return False
    return True


def _is_of_news(key: str, second: ObjectStore | None) -> tuple[bool, bool]:
    """Whether there are such facts of the study of an image, and whether the index knows the instance."""
    try:
        found = header(key, object_store().size(key))
    except ObjectRecalling:
        raise
    except UNREAD:
        return False, True
    study = found.study_instance_uid
    newest = documents.newest_version(documents.folder_of(STUDY_FACTS, study), second)
    known = FactsDocument.objects.filter(kind=STUDY_FACTS, subject=study).values_list("version", flat=True).first()
    instance = second is None or Instance.objects.filter(sop_instance_uid=found.sop_instance_uid).exists()
    return newest > (known or 0), instance


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
