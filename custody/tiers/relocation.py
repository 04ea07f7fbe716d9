"""An object is written anew under another key, and the row points there from one moment to the next.

The new object is durable and was read back before the row changes; the old one is the sweep's from then on, after the
grace period of a deletion, so that a database that is restored from before still finds it. Whatever is broken off at
any moment leaves the old object with its row, and at the most a new one without, which the sweep takes for an orphan.
"""

import hashlib
import logging
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from archive import copying
from archive.models import DeletedObject, Instance
from archive.object_store import new_key, object_store, recalled
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectRecalling, ObjectStoreError
from archive.object_store.key_service import KeyDestroyed
from archive.object_store.marks import HOT, tier_of, unmarked
from archive.object_store.port import Staged
from custody.tiers.holders import Kept

log = logging.getLogger("custody.tiers")

# What stands before the date in the keys of the archive, and what after its name.
_NAME: Final = re.compile(r"^(?P<beginning>.*?/)\d{4}/.*?(?P<ending>\.[^/]*)$")


class Moved(StrEnum):
    """What became of one object."""

    MOVED = "moved"
    CHANGED = "changed meanwhile"
    MISSING = "missing"
    DAMAGED = "damaged"
    ERASED = "erased: its key is destroyed"
    RECALLING = "on its way back from its tier"


def relocate(kept: Kept, tier: str) -> Moved:
    """Write the object anew into ``tier``, under the seal of today, and switch its row.

    One that is not what its row says is left where it is. Raises ``ObjectStoreError`` for what is not its own fault.
    """
    key = new_key(_fresh(kept.key), tier)
    try:
        size, digest = _copied(kept, key)
    except ObjectRecalling:
        return Moved.RECALLING
    except ObjectMissing:
        return _wrong(kept, Moved.MISSING)
    except ObjectDamaged:
        return _wrong(kept, Moved.DAMAGED)
    except KeyDestroyed:
        return Moved.ERASED
    if _switch(kept, key, size, digest):
        return Moved.MOVED
    object_store().delete(key)
    return Moved.CHANGED


def _fresh(key: str) -> str:
    found = _NAME.match(unmarked(key))
    beginning, ending = (found["beginning"], found["ending"]) if found else ("instances/", ".dcm")
    return f"{beginning}{datetime.now(UTC):%Y/%m/%d/%H-%M}/{uuid4().hex}{ending}"


def _copied(kept: Kept, key: str) -> tuple[int, bytes]:
    """Size and SHA-256 of the new object, which is the old one. ObjectDamaged where it is not what its row says."""
    with object_store().stage() as staged:
        for piece in recalled(kept.key).open_range(kept.key):
            staged.write(piece)
        staged.seal()
        size, digest = staged.size, staged.sha256
        if kept.sha256 is not None and (size, digest) != (kept.size, kept.sha256):
            raise ObjectDamaged(f"{kept.key} is not what was received", kept.key)
        object_store().publish([(staged, key)])
        try:
            if kept.holder.model is Instance and _gives_nothing_back(key):
                _copy(staged, key)
            _verify(key, digest)
        except ObjectStoreError:
            with suppress(ObjectStoreError):
                object_store().delete(key)
            raise
    return size, digest


def _gives_nothing_back(key: str) -> bool:
    tier = tier_of(key)
    return tier != HOT and getattr(settings.PACS.tiers, tier).recall


def _copy(staged: Staged, key: str) -> None:
    """Into the second store now: the one under the key of before goes with that, and no task could read this one."""
    both = copying.second_store()
    if both is not None:
        both.publish_copy(staged, key)


def _verify(key: str, digest: bytes) -> None:
    found = hashlib.sha256()
    try:
        for piece in recalled(key).open_range(key):
            found.update(piece)
    except ObjectRecalling:
        # A deep archive gives nothing back at once; it has confirmed the checksum of what it took.
        return
    if found.digest() != digest:
        raise ObjectDamaged(f"{key} is not what was just written", key)


def _switch(kept: Kept, key: str, size: int, digest: bytes) -> bool:
    """Whether the row is that of the new object now: not where it is gone, or has another object by now."""
    grace = timedelta(days=settings.PACS.delete_grace_days)
    with transaction.atomic():
        rows = kept.holder.model._default_manager.filter(pk=kept.pk, object_key=kept.key)
        if not rows.update(object_key=key):
            return False
        DeletedObject.objects.update_or_create(
            object_key=kept.key,
            defaults={"sha256": digest, "size": size, "sweep_after": Now() + grace, "deleted_by": "moved"},
        )
        if kept.holder.model is Instance:
            copying.wish_copy(kept.pk)
        # A sweep may have found the new one before its row, and noted it.
        DeletedObject.objects.filter(object_key=key).delete()
    return True


def _wrong(kept: Kept, what: Moved) -> Moved:
    log.error("a stored object is %s, and is not moved: %s", what, kept.key)
    return what
