"""Whether the object store knows more than the index: after a database was lost, or brought back from a backup.

Until ``./pacs rebuild`` came to its end, objects without a row are no orphans: the sweep leaves them.
"""

from archive.errors import ArchiveUnavailable
from archive.object_store.errors import ObjectStoreError
from custody.facts import documents
from custody.facts.models import FactsDocument, Rebuild
from custody.facts.triggers import ARCHIVE_FACTS

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
    """Note that a backup was restored: what came after it lies in the store, and ``rebuild --add-missing`` is due."""
    Rebuild.objects.get_or_create(mode=NEEDED, finished_at=None)
