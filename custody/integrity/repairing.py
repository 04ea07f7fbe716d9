"""Repair: from the copy that is as it was received, under a new key; nothing is ever written over.

The damaged object goes to the sweep with the grace period of a deletion, so that somebody can still look at it.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from archive import copying
from archive.block_crcs import BlockCrcs
from archive.models import DeletedObject, Instance, Series
from archive.object_store import new_key
from archive.object_store.copies import CopiedObjectStore
from archive.object_store.errors import ObjectDamaged, ObjectStoreError
from archive.object_store.marks import tier_of
from custody.integrity.examining import Row


def first_from_second(both: CopiedObjectStore, row: Row) -> bool:
    """Write the second copy as a new object into both stores, and have the index point at that; whether it does.

    It doesn't where the instance is gone, or has another object by now. Raises ``ObjectStoreError``.
    """
    key = new_key(f"instances/{datetime.now(UTC):%Y/%m/%d/%H-%M}/{uuid4().hex}.dcm", tier_of(row.key))
    crcs = BlockCrcs()
    with both.stage() as staged:
        for piece in both.second.open_range(row.key):
            staged.write(piece)
            crcs.add(piece)
        staged.seal()
        if staged.sha256 != row.sha256:
            raise ObjectDamaged(f"the second copy of {row.key} is not what was received", row.key)
        both.publish([(staged, key)])
    try:
        copying.copy_one(both, copying.Received(row.pk, key, row.size, row.sha256))
        switched = _switch(row, key, crcs.packed())
    except ObjectStoreError:
        # What can't be taken away now is an orphan for the sweep.
        with suppress(ObjectStoreError):
            both.delete(key)
        raise
    if not switched:
        both.delete(key)
    return switched


def second_from_first(both: CopiedObjectStore, row: Row) -> None:
    """Bring the object into the second store anew; what lay there is no copy. Raises ``ObjectStoreError``."""
    received = copying.Received(row.pk, row.key, row.size, row.sha256)
    copying.copy_one(both, received)
    copying.copied([received])


def _switch(row: Row, key: str, crcs: bytes) -> bool:
    with transaction.atomic():
        # As Store and Delete do: whoever changes a series waits for the other.
        Series.objects.select_for_update().filter(pk=row.series).first()
        if not Instance.objects.filter(pk=row.pk, object_key=row.key).update(object_key=key, block_crcs=crcs):
            return False
        DeletedObject.objects.update_or_create(
            object_key=row.key,
            defaults={
                "sweep_after": Now() + timedelta(days=settings.PACS.delete_grace_days),
                "deleted_by": "repair",
            },
        )
        copying.copied([copying.Received(row.pk, key, row.size, row.sha256)])
    return True
