"""Packs: objects that hold the thumbnails of many instances of a series, and the rows that say where each lies.

A pack is written once. What comes later goes into packs of its own; when there are many small ones, or one holds the
picture of a deleted instance, they are written anew as one. The object is put before its row is committed, and the old
ones go by the sweep, so that whoever is just reading one comes to the end.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from uuid import uuid4

from django.db import transaction
from django.db.models.functions import Now
from isal import isal_zlib

from archive import damage
from archive.errors import ArchiveUnavailable
from archive.models import DeletedObject, Instance, Series, ThumbnailPack
from archive.object_store import new_key, object_store
from archive.object_store.errors import ObjectDamaged, ObjectMissing, ObjectStoreError
from audit.prepared import PreparedSql

log = logging.getLogger("archive.thumbnails")

# A pack is full with so many pictures, or so many bytes of them.
MOST_PICTURES = 1024
MOST_BYTES = 16 << 20
# So many packs that are less than half full are made one.
_SMALL_PACKS = 8
# Packs that are written anew in one transaction.
_AT_ONCE = 16
_GRACE = timedelta(hours=1)

_LOOK_UP = PreparedSql("""
    SELECT object_key, offsets[n], offsets[n + 1] - offsets[n], substring(crcs FROM 4 * n - 3 FOR 4) FROM (
        SELECT id, object_key, offsets, crcs, array_position(instance_ids, %s::bigint) AS n FROM archive_thumbnailpack
        WHERE series_id = %s AND %s BETWEEN first_instance AND last_instance OFFSET 0) AS pack
    WHERE n IS NOT NULL ORDER BY id DESC LIMIT 1
""")


@dataclass(frozen=True, slots=True)
class Packed:
    """Where the thumbnail of an instance lies; no ``length`` if the instance has no picture."""

    object_key: str
    offset: int
    length: int
    crc: bytes | None = None  # four bytes, if it is known


def look_up(series: int, instance: int) -> Packed | None:
    """The thumbnail of the instance with this primary key; ``None`` if none was prepared. One query."""
    row = _LOOK_UP.row((instance, series, instance))
    return Packed(*row) if row else None


def read(packed: Packed) -> bytes | None:
    """Its bytes; ``None`` if the pack is lost, damaged, or has been written anew meanwhile: it is drawn then.

    Raises ``ArchiveUnavailable``.
    """
    try:
        picture = object_store().read_range(packed.object_key, packed.offset, packed.length)
        if packed.crc is not None and _crc(picture) != bytes(packed.crc):
            raise ObjectDamaged("a picture is not what was drawn", packed.object_key)
        return picture
    except (ObjectMissing, ObjectDamaged) as error:
        damage.note(packed.object_key, error)
        return None
    except ObjectStoreError as error:
        raise ArchiveUnavailable("a thumbnail can't be read now") from error


def prepared(series: int, version: int) -> dict[int, bool]:
    """Of each instance that is prepared, and checked by ``version``, whether it has a picture."""
    rows = ThumbnailPack.objects.filter(series=series, checked__gte=version).order_by("id")
    found: dict[int, bool] = {}
    for ids, offsets in rows.values_list("instance_ids", "offsets"):
        found.update((pk, offsets[n + 1] > offsets[n]) for n, pk in enumerate(ids))
    return found


def write(series: int, pictures: Mapping[int, bytes], version: int, beside: Callable[[], None]) -> bool:
    """Keep ``pictures`` (empty for none) by the primary keys of their instances; ``False`` if the series is gone.

    ``beside`` is called inside the transaction, while no Store or Delete can touch the series. Raises
    ``ArchiveUnavailable``.
    """
    key = _put(pictures)
    with transaction.atomic():
        kept = _locked(series)
        if kept:
            _row(series, key, pictures, version).save()
            beside()
    if not kept:
        _remove(key)
    return kept


def tidy(series: int) -> bool:
    """Write packs anew that hold what is gone, or are many and small; whether there may be more to do.

    Raises ``ArchiveUnavailable``.
    """
    rows = list(ThumbnailPack.objects.filter(series=series).order_by("id"))
    live = set(Instance.objects.filter(series=series).values_list("pk", flat=True)) if rows else set()
    newest = {pk: row.pk for row in rows for pk in row.instance_ids if pk in live}
    small = [row for row in rows if len(row.instance_ids) * 2 < MOST_PICTURES and row.offsets[-1] * 2 < MOST_BYTES]
    many = {row.pk for row in small} if len(small) >= _SMALL_PACKS else set()
    stale = [row for row in rows if row.pk in many or any(newest.get(pk) != row.pk for pk in row.instance_ids)]
    for version in sorted({row.checked for row in stale[:_AT_ONCE]}):
        _rewrite(series, [row for row in stale[:_AT_ONCE] if row.checked == version], newest, version)
    return len(stale) > _AT_ONCE


def _rewrite(series: int, old: Sequence[ThumbnailPack], newest: Mapping[int, int], version: int) -> None:
    chunks: list[dict[int, bytes]] = [{}]
    for row in old:
        for pk, picture in _pictures(row).items():
            if newest.get(pk) != row.pk:
                continue
            if is_full(chunks[-1]):
                chunks.append({})
            chunks[-1][pk] = picture
    new = [(_put(chunk), chunk) for chunk in chunks if chunk]
    gone = [row.object_key for row in old]
    with transaction.atomic():
        held = ThumbnailPack.objects.filter(pk__in=[row.pk for row in old])
        # Somebody else may have been here meanwhile.
        won = _locked(series) and held.count() == len(old)
        if won:
            held.delete()
            for key, chunk in new:
                _row(series, key, chunk, version).save()
            _give_up(gone)
    if not won:
        for key, _ in new:
            _remove(key)


def is_full(pictures: Mapping[int, bytes]) -> bool:
    """Whether a pack of these takes no more."""
    return len(pictures) >= MOST_PICTURES or sum(map(len, pictures.values())) >= MOST_BYTES


def _pictures(row: ThumbnailPack) -> dict[int, bytes]:
    """What a pack holds; nothing if it is lost, so that its pictures are made again."""
    data = read(Packed(row.object_key, 0, row.offsets[-1])) if row.offsets[-1] else b""
    if data is None:
        return {}
    found = {pk: data[row.offsets[n] : row.offsets[n + 1]] for n, pk in enumerate(row.instance_ids)}
    if row.crcs is not None and b"".join(map(_crc, found.values())) != bytes(row.crcs):
        damage.note(row.object_key, ObjectDamaged("a picture is not what was drawn", row.object_key))
        return {}
    return found


def _row(series: int, key: str, pictures: Mapping[int, bytes], version: int) -> ThumbnailPack:
    ids = sorted(pictures)
    return ThumbnailPack(
        series_id=series,
        object_key=key,
        instance_ids=ids,
        offsets=list(accumulate((len(pictures[pk]) for pk in ids), initial=0)),
        crcs=b"".join(_crc(pictures[pk]) for pk in ids),
        first_instance=ids[0],
        last_instance=ids[-1],
        checked=version,
    )


def _crc(picture: bytes) -> bytes:
    return isal_zlib.crc32(picture).to_bytes(4, "big")


def _locked(series: int) -> bool:
    return Series.objects.select_for_update().filter(pk=series).exists()


def _put(pictures: Mapping[int, bytes]) -> str:
    try:
        key = new_key(f"derived/thumbnails/{datetime.now(UTC):%Y/%m/%d}/{uuid4().hex}.jpgs")
        object_store().put(key, b"".join(pictures[pk] for pk in sorted(pictures)))
    except ObjectStoreError as error:
        raise ArchiveUnavailable("thumbnails can't be kept now") from error
    return key


def _give_up(keys: Iterable[str]) -> None:
    DeletedObject.objects.bulk_create(
        [DeletedObject(object_key=key, sweep_after=Now() + _GRACE, deleted_by="derived") for key in keys],
        ignore_conflicts=True,
    )


def _remove(key: str) -> None:
    try:
        object_store().delete(key)
    except ObjectStoreError:
        log.warning("thumbnails that nobody needs could not be removed: %s", key)
