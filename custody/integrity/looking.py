"""A look at one object, in each store that should have it: what is wrong is filed, and repaired where that can be.

Whoever comes from a reader (``archive.damage``) and the scrub take the same look.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from archive import copying, outbox
from archive.errors import ArchiveUnavailable
from archive.locate import locate_many
from archive.models import DeletedObject, Instance, Representation, SecondCopy, ThumbnailPack
from archive.object_store import object_store
from archive.object_store.errors import ObjectRecalling, ObjectStoreError
from archive.object_store.key_service import KeyDestroyed, KeyUnavailable
from archive.object_store.marks import HOT, tier_of
from archive.object_store.port import ObjectStore
from archive.outbox import Wish
from archive.representations import forget
from custody.integrity import findings, repairing
from custody.integrity.examining import Examined, Row, disagreement, examine, rows
from custody.integrity.models import Kind

log = logging.getLogger("custody.integrity")

_OF_COPY: Mapping[str, str] = MappingProxyType(
    {
        Kind.MISSING: Kind.COPY_MISSING,
        Kind.TRUNCATED: Kind.COPY_TRUNCATED,
        Kind.ALTERED: Kind.COPY_ALTERED,
        Kind.UNREADABLE: Kind.COPY_UNREADABLE,
    }
)
_OF_FIRST = tuple(str(kind) for kind in _OF_COPY)
_OF_SECOND = tuple(str(kind) for kind in _OF_COPY.values())

NOT_HERE: Final = "to be recalled first, or erased"
TIER_AWAY: Final = "its tier is away"


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at one instance saw: kinds of what is wrong, those of them that were repaired, bytes read.

    ``skipped`` says why it was not looked at, "" if it was.
    """

    row: Row
    wrong: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    bytes: int = 0
    skipped: str = ""


def look_at(subject: str) -> None:
    """The task: somebody came upon damage under this key. Raises ``ArchiveUnavailable``."""
    found = rows("WHERE i.object_key = %s", [subject])
    for row in found:
        look(row, repair=settings.PACS.scrub.repair)
    if not found:
        _make_again(subject)
    findings.alert()


def look(row: Row, *, change: bool = True, repair: bool = True) -> Looked:
    """Read the object of an instance in both stores. Without ``change`` nothing is written down, and none repaired.

    Raises ``ArchiveUnavailable`` where a store can't be reached.
    """
    both = copying.second_store()
    first_store = both.first if both is not None else object_store()
    try:
        first = examine(first_store, row.key, row.size, row.sha256)
        differs = disagreement(first_store, row) if not first.kind else ""
    except ObjectStoreError as error:
        return Looked(row, skipped=_not_now(first_store, row.key, error))
    try:
        second = examine(both.second, row.key, row.size, row.sha256) if both is not None else None
    except KeyDestroyed:
        return Looked(row, skipped=NOT_HERE)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the second store can't be reached now; the scrub goes on later") from error
    read = row.size * (1 if second is None else 2)
    if (first.kind or differs) and not _is_still(row):
        return Looked(row, bytes=read)
    wrong = [kind for kind in (first.kind, Kind.DISAGREES.value if differs else "") if kind]
    uncopied = second is not None and second.kind == Kind.MISSING and not _was_copied(row)
    if second is not None and second.kind and not uncopied:
        wrong.append(_OF_COPY[second.kind])
    if not change:
        return Looked(row, tuple(wrong), bytes=read)
    if not first.kind:
        _settle_first(row, first)
    if second is not None and not second.kind:
        findings.settle_gone(row, _OF_SECOND)
    if uncopied and not first.kind:
        outbox.wish([Wish(outbox.COPY_SERIES, str(row.series))])
    repaired = _filed(row, wrong, first, second, differs, repair=repair)
    return Looked(row, tuple(wrong), repaired, read)


def _not_now(store: ObjectStore, key: str, error: ObjectStoreError) -> str:
    """Why one object can't be looked at, while others can; raises ``ArchiveUnavailable`` where they can't either."""
    if isinstance(error, ObjectRecalling | KeyDestroyed):
        return NOT_HERE
    try:
        if tier_of(key) != HOT and not isinstance(error, KeyUnavailable):
            store.check()
            log.warning("the %s tier is away: %s is not looked at", tier_of(key), key)
            return TIER_AWAY
    except ObjectStoreError:
        pass
    raise ArchiveUnavailable("an object store can't be reached now; the scrub goes on later") from error


def _filed(
    row: Row, wrong: list[str], first: Examined, second: Examined | None, differs: str, *, repair: bool
) -> tuple[str, ...]:
    """File what is wrong and repair what can be; the kinds of that."""
    details = {Kind.DISAGREES.value: differs, first.kind: first.detail}
    if second is not None and second.kind:
        details[_OF_COPY[second.kind]] = second.detail
    filed = {kind: findings.file(kind, row.key, row, details.get(kind, "")) for kind in wrong}
    both = copying.second_store()
    if not repair or both is None or second is None:
        return ()
    done: list[str] = []
    try:
        if first.kind and not second.kind and repairing.first_from_second(both, row):
            done.append(first.kind)
        elif second.kind and not first.kind and _OF_COPY[second.kind] in filed:
            repairing.second_from_first(both, row)
            done.append(_OF_COPY[second.kind])
    except ObjectStoreError as error:
        log.warning("%s could not be repaired now: %s", row.key, error)
    for kind in done:
        findings.repaired(filed[kind], "repaired from the other store")
    return tuple(done)


def _settle_first(row: Row, first: Examined) -> None:
    findings.settle_gone(row, _OF_FIRST)
    if row.crcs != first.crcs:
        Instance.objects.filter(pk=row.pk, object_key=row.key).update(block_crcs=first.crcs)


def _is_still(row: Row) -> bool:
    """Whether the instance still has the object: it may have been deleted, or moved, while it was read."""
    return Instance.objects.filter(pk=row.pk, object_key=row.key).exists()


def _was_copied(row: Row) -> bool:
    return SecondCopy.objects.filter(pk=row.pk, object_key=row.key).exists()


def look_at_representation(pk: int, *, change: bool = True) -> bool:
    """Whether a representation is no longer what was written; it goes then, and is made again.

    Raises ``ArchiveUnavailable``.
    """
    row = Representation.objects.filter(pk=pk).first()
    if row is None:
        return False
    try:
        examined = examine(object_store(), row.object_key, row.object_size, bytes(row.object_sha256))
    except KeyDestroyed:
        examined = Examined(Kind.ALTERED, "its key was destroyed")
    except ObjectStoreError as error:
        return not _not_now(object_store(), row.object_key, error)
    if change and not examined.kind and row.block_crcs is None:
        Representation.objects.filter(pk=pk).update(block_crcs=examined.crcs)
    if change and examined.kind:
        log.warning("a representation is %s, and is made again: %s", examined.kind, row.object_key)
        for held in (held for instance in locate_many([row.instance_id]) for held in instance.held):
            if held.pk == pk:
                forget(held, row.instance.series_id)
    return bool(examined.kind)


def _make_again(key: str) -> None:
    """What is derived goes, if it is damaged, and is made again."""
    for pk in Representation.objects.filter(object_key=key).values_list("pk", flat=True):
        look_at_representation(pk)
    for pack in ThumbnailPack.objects.filter(object_key=key):
        log.warning("thumbnails are damaged, and are made again: %s", key)
        with transaction.atomic():
            if ThumbnailPack.objects.filter(pk=pack.pk).delete()[0]:
                DeletedObject.objects.get_or_create(
                    object_key=key, defaults={"sweep_after": Now(), "deleted_by": "derived"}
                )
                outbox.wish([Wish(outbox.SERIES_THUMBNAIL, str(pack.series_id))])
