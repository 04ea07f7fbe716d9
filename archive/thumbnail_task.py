"""The task that keeps the thumbnails of a series, and the findings about it, up to date: a little at a time.

A turn lasts seconds, however many slices there are: what it has drawn is kept, and the rest is wished for again. What
is prepared already is never drawn twice, so that a turn that was broken off costs what it had in hand.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from django.db.models import F
from django.db.models.lookups import IsNull

from archive import outbox, quality, thumbnail_packs
from archive.examining import examine, rank
from archive.locate import Located, locate_many
from archive.models import Instance, Series
from archive.outbox import Wish
from dicom.quality_codes import VERSION, Finding

TURN_SECONDS = 10.0
_LOCATED_AT_ONCE = 64


def prepare_thumbnails(subject: str) -> None:
    """The task: a turn of work on the series with this primary key. Raises ``ArchiveUnavailable``."""
    if not prepare(int(subject), time.monotonic() + TURN_SECONDS):
        outbox.wish([Wish(outbox.SERIES_THUMBNAIL, subject)])


def prepare(series: int, until: float) -> bool:
    """Draw and check what is not yet, up to the time ``until`` of ``time.monotonic``; whether nothing is left to do.

    At least one instance gets its turn. Raises ``ArchiveUnavailable``.
    """
    rows = _in_order(series)
    done = thumbnail_packs.prepared(series, VERSION)
    missing = _middle_first([pk for pk, _ in rows if pk not in done], rows)
    for pictures, found in _batches(missing, until):
        if not thumbnail_packs.write(series, pictures, VERSION, partial(quality.write, found)):
            return True
        done.update((pk, bool(picture)) for pk, picture in pictures.items())
    _choose(series, _in_order(series) if missing else rows, done)
    more = thumbnail_packs.tidy(series)
    return not more and all(pk in done for pk in missing)


def middle_of(series: int) -> int | None:
    """The instance that stands for the series with this primary key while none is chosen. One or two queries."""
    rows = Instance.objects.filter(series=series)
    for candidates in (rows.filter(frame_table__isnull=False), rows):
        half = candidates.count() // 2
        for pk in candidates.order_by("instance_number", "id").values_list("pk", flat=True)[half : half + 1]:
            return int(pk)
    return None


def middle(rows: Sequence[tuple[int, bool]]) -> int | None:
    """The instance that stands for those of ``rows``: the middle one, of those that have frames if any has."""
    candidates = [pk for pk, has_frames in rows if has_frames] or [pk for pk, _ in rows]
    return candidates[len(candidates) // 2] if candidates else None


def _in_order(series: int) -> list[tuple[int, bool]]:
    """Primary key, and whether there are frames, of each instance in instance order."""
    rows = Instance.objects.filter(series=series).order_by("instance_number", "id")
    return list(rows.annotate(has_frames=IsNull(F("frame_table"), False)).values_list("pk", "has_frames"))


def _middle_first(missing: list[int], rows: Sequence[tuple[int, bool]]) -> list[int]:
    first = middle(rows)
    return sorted(missing, key=lambda pk: pk != first)


def _batches(missing: Sequence[int], until: float) -> Iterator[tuple[dict[int, bytes], dict[int, Sequence[Finding]]]]:
    """Packs of pictures and the findings about the same instances, until the time is over."""
    pictures: dict[int, bytes] = {}
    found: dict[int, Sequence[Finding]] = {}
    for instance in _located(missing):
        # Of native frames one in a turn is looked at as it lies: the same device wrote them all.
        examined = examine(instance, thoroughly=not pictures)
        if examined is None:
            continue
        pictures[instance.pk], found[instance.pk] = examined.picture, examined.findings
        if thumbnail_packs.is_full(pictures):
            yield pictures, found
            pictures, found = {}, {}
        if time.monotonic() >= until:
            break
    if pictures:
        yield pictures, found


def _located(missing: Sequence[int]) -> Iterator[Located]:
    for start in range(0, len(missing), _LOCATED_AT_ONCE):
        yield from locate_many(missing[start : start + _LOCATED_AT_ONCE])


def _choose(series: int, rows: Sequence[tuple[int, bool]], done: Mapping[int, bool]) -> None:
    """Write down whose picture stands for the series: the one nearest to the middle that has one."""
    possible = [(pk, has_frames) for pk, has_frames in rows if done.get(pk, True)]
    wanted = middle(possible)
    places = {pk: place for place, (pk, _) in enumerate(possible)}
    drawn = {pk for pk in places if done.get(pk)}
    drawn = {pk for pk, has_frames in possible if has_frames} & drawn or drawn
    chosen = min(drawn, key=lambda pk: (abs(places[pk] - places[wanted or pk]), pk), default=None)
    row = Series.objects.filter(pk=series).values_list("thumbnail_instance", "modality").first()
    if row is None or row[0] == chosen:
        return
    located = locate_many([chosen]) if chosen is not None else []
    if chosen is not None and not located:
        return
    ranked = rank(located[0], row[1]) if located else 0
    Series.objects.filter(pk=series).update(thumbnail_instance=chosen, thumbnail_rank=ranked)
