"""Everything under the seal of today: after a rotation, after sealing was switched on, or off again.

What is done already is known by its key, so that it can be stopped and begun anew at any time.
"""

from collections.abc import Iterator

from django.db import transaction

from archive import outbox
from archive.object_store import new_key
from archive.object_store.marks import seal_of, tier_of
from archive.outbox import Wish
from archive.standstill import refuse_writing
from custody.facts.models import FactsDocument
from custody.tiers.holders import MOVABLE, Kept, sealed_otherwise
from custody.tiers.relocation import Moved, relocate


def seal_now() -> str:
    """The key-encryption key of what is written now, "" for none. Raises ``ObjectStoreUnavailable``."""
    return seal_of(new_key("instances/x.dcm"))


def reseal() -> Iterator[tuple[Kept, Moved]]:
    """Write everything anew that is not under the seal of today; yields what became of each object.

    Raises ``ObjectStoreError``, ``Standstill``. Facts documents are written anew by the workers, which are asked here.
    """
    seal = seal_now()
    for holder in MOVABLE:
        for each in sealed_otherwise(holder, seal):
            refuse_writing()
            yield each, relocate(each, tier_of(each.key))
    _wish_for_facts(seal)


def _wish_for_facts(seal: str) -> None:
    rows = FactsDocument.objects.filter(object_key__isnull=False).order_by("pk")
    own = rows.filter(object_key__contains=f".{seal}.") if seal else rows.exclude(object_key__regex=r"\.k[0-9a-f]{8}\.")
    others = rows.exclude(pk__in=own)
    last = 0
    while found := list(others.filter(pk__gt=last).values_list("pk", "kind", "subject")[:500]):
        with transaction.atomic():
            # Of a document without a digest nobody says that nothing has changed.
            FactsDocument.objects.filter(pk__in=[pk for pk, _, _ in found]).update(digest=b"")
            outbox.wish(Wish(kind, subject) for _, kind, subject in found)
        last = found[-1][0]
