"""Small pictures that stand for a study, a series, an instance or a frame (PS3.18 10.4.1.1.4).

Those of instances lie in packs that a worker wrote (``archive.thumbnail_task``): a look-up and a byte range. What is
not there yet, other frames and other sizes are drawn on the spot and kept for a while in the cache of the process.

Invalidation of the cache: none is needed. An entry is known by the key of the object, which is written once and never
again, the frame and the size. Whether somebody may have it is asked before, each time: what was deleted or isn't
granted is not found, and so never looked up here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

from django.db.models import Exists, OuterRef

from archive import thumbnail_packs
from archive.examining import NO_IMAGE, THUMBNAIL, THUMBNAIL_EDGE
from archive.frame_cache import FrameCache
from archive.locate import Located, LocatedSeries, locate_many
from archive.models import Instance, Series
from archive.pictures import render
from archive.thumbnail_task import middle_of

# Pixels a side of the largest that is asked for by ``viewport``.
LARGEST_EDGE = 1024
# Grows when thumbnails are drawn in another way, so that clients fetch them again.
DRAWN = 1
_CACHE_BYTES = 16 << 20
# Series without a prepared picture that are tried until one can be drawn.
_TRIED = 5


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The small picture of frame ``number`` of ``instance``, by default its middle one, that fits into ``edges``."""

    instance: Located
    number: int | None = None
    edges: tuple[int, int] = (THUMBNAIL_EDGE, THUMBNAIL_EDGE)

    def read(self) -> bytes:
        """The JPEG: prepared, kept, or drawn now. Raises ``NotRenderable``, ``NotFound``, ``ArchiveUnavailable``."""
        pixels = self.instance.pixels
        only = self.number is None or (self.number == 1 and pixels is not None and pixels.number_of_frames == 1)
        if only and self.edges == (THUMBNAIL_EDGE, THUMBNAIL_EDGE):
            packed = thumbnail_packs.look_up(self.instance.series_pk, self.instance.pk)
            picture = thumbnail_packs.read(packed) if packed and packed.length else None
            if picture:
                return picture
        return _kept().get((self.instance.object_key, self.number, self.edges), self._drawn)

    def _drawn(self) -> bytes:
        return render(self.instance, self.number, replace(THUMBNAIL, viewport=self.edges))


def of_series(series: Sequence[LocatedSeries]) -> Iterator[Located]:
    """The instances whose picture may stand for these series, the best first; nothing where nothing can.

    Images go before localizers, these before reports, otherwise series in their order. The number of queries does not
    grow with that of the series.
    """
    ready = [(s.thumbnail_rank, s.thumbnail_instance) for s in series if s.thumbnail_instance is not None]
    ready.sort(key=lambda each: each[0])
    images = [pk for rank, pk in ready if rank < NO_IMAGE]
    others = [pk for rank, pk in ready if rank >= NO_IMAGE]
    yield from locate_many(images[:1])
    unready = _with_frames_first([s.pk for s in series if s.thumbnail_instance is None])
    for pk in islice(unready, _TRIED):
        chosen = middle_of(pk)
        if chosen is not None:
            yield from locate_many([chosen])
    yield from locate_many([*images[1:], *others][:_TRIED])


def _with_frames_first(series: Sequence[int]) -> list[int]:
    if not series:
        return []
    pictured = Exists(Instance.objects.filter(series=OuterRef("pk"), frame_table__isnull=False))
    with_frames = set(Series.objects.filter(pictured, pk__in=series).values_list("pk", flat=True))
    return sorted(series, key=lambda pk: pk not in with_frames)


@cache
def _kept() -> FrameCache:
    return FrameCache(_CACHE_BYTES)
