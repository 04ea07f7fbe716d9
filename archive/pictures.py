"""Pictures of what is stored: rendered frames and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from uuid import uuid4

from django.conf import settings

from archive.decoding import decoding
from archive.errors import ArchiveError, ArchiveUnavailable, InvalidQuery, NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located, locate_by_pk
from archive.models import Instance, Series
from archive.object_store import object_store
from archive.object_store.errors import ObjectStoreError
from archive.payload import Payload, in_memory, stored
from dicom.errors import DicomError
from dicom.region import OutsideImage, Region
from dicom.rendering import Window, render_frame

log = logging.getLogger("archive.pictures")
Name = TypeVar("Name")

THUMBNAIL_EDGE = 256
THUMBNAIL_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a picture is drawn (PS3.18 8.3.5): ``viewport`` is (width, height) in pixels, ``quality`` 1 to 100.

    Of the image only ``region`` is shown.
    """

    media_type: str = "image/jpeg"
    window: Window | None = None
    viewport: tuple[int, int] | None = None
    region: Region | None = None
    quality: int = 90


def render(instance: Located, number: int | None, rendering: Rendering) -> bytes:
    """One frame as a picture, by default the middle one (PS3.18 10.4.1.1.4 leaves the choice to the server).

    Raises ``NotRenderable`` for what has no picture, ``NotFound`` for a missing frame, ``InvalidQuery`` for a region
    that lies outside it.
    """
    frames = _frames(instance)
    return _draw(frames, (frames.count + 1) // 2 if number is None else number, rendering)


def render_frames(instance: Located, numbers: Sequence[int], rendering: Rendering) -> Iterator[tuple[int, bytes]]:
    """Each of these frames as a picture, drawn when its turn comes; one that can't be drawn is left out.

    Raises as ``render`` does: ``NotFound`` at once, anything else at the end if there was no picture at all.
    """
    frames = _frames(instance)
    missing = next((number for number in numbers if not 1 <= number <= frames.count), None)
    if missing is not None:
        raise NotFound(f"the instance has {frames.count} frames, there is no frame {missing}")
    return drawn((number, partial(_draw, frames, number, rendering)) for number in numbers)


def drawn(pictures: Iterable[tuple[Name, Callable[[], bytes]]]) -> Iterator[tuple[Name, bytes]]:
    """The pictures that can be drawn, one after the other; raises what the last one raised if none could."""
    failure: ArchiveError | None = NotRenderable("nothing that is asked for has a picture")
    for name, draw in pictures:
        try:
            yield name, draw()
            failure = None
        except (NotRenderable, InvalidQuery) as error:
            failure = failure and error
    if failure:
        raise failure


def _frames(instance: Located) -> Frames:
    try:
        return frames_of(instance)
    except NotFound as error:
        raise NotRenderable("the instance has no pixel data to draw") from error


def _draw(frames: Frames, number: int, rendering: Rendering) -> bytes:
    most = settings.PACS.limits.picture_header_bytes
    if frames.instance.header_length > most:
        raise NotRenderable(f"a header of more than {most} bytes is not read for a picture")
    try:
        with decoding():
            return render_frame(
                frames.decode(number),
                frames.picture_header(number),
                window=rendering.window,
                viewport=rendering.viewport,
                region=rendering.region,
                quality=rendering.quality,
                media_type=rendering.media_type,
            )
    except ArchiveError:
        raise
    except OutsideImage as error:
        raise InvalidQuery(str(error)) from error
    except DicomError as error:
        raise NotRenderable(str(error)) from error
    except Exception as error:  # whatever pydicom raises for values that the archive keeps without reading them
        log.warning("no picture of instance %s: %s", frames.instance.sop_instance_uid, type(error).__name__)
        raise NotRenderable("the header can't be read for a picture") from error


def instance_thumbnail(instance: Located, number: int | None = None) -> bytes:
    """A small JPEG of frame ``number`` of one instance, by default of the one that stands for it."""
    rendering = Rendering(viewport=(THUMBNAIL_EDGE, THUMBNAIL_EDGE), quality=THUMBNAIL_QUALITY)
    return render(instance, number, rendering)


def series_thumbnail(series: Series) -> Payload:
    """The JPEG thumbnail of a series: the one a worker prepared, else made on the spot."""
    if series.thumbnail_key:
        try:
            size = object_store().size(series.thumbnail_key)
            return stored(series.thumbnail_key, 0, size)
        except ObjectStoreError:
            log.warning("a prepared thumbnail is missing: %s", series.thumbnail_key)
    return in_memory(_series_picture(series))


def study_thumbnail(series: list[Series]) -> Payload:
    """The JPEG thumbnail of a study: that of its first series that has a picture. Raises ``NotRenderable``."""
    pictured = set(
        Instance.objects.filter(series__in=series, frame_table__isnull=False)
        .order_by()
        .values_list("series_id", flat=True)
        .distinct()
    )
    for candidate in sorted(series, key=lambda e: not e.thumbnail_key):
        if candidate.pk not in pictured:
            continue
        try:
            return series_thumbnail(candidate)
        except NotRenderable:
            continue
    raise NotRenderable("the study has no pixel data to draw")


def prepare_thumbnail(subject: str) -> None:
    """The task: draw the thumbnail of the series with this primary key and keep it as an object."""
    series = Series.objects.filter(pk=int(subject)).first()
    if series is None:
        return
    try:
        picture = _series_picture(series)
    except NotRenderable:
        return
    key = f"derived/thumbnails/{datetime.now(UTC):%Y/%m/%d}/{uuid4().hex}.jpg"
    try:
        object_store().put(key, picture)
        Series.objects.filter(pk=series.pk).update(thumbnail_key=key)
        if series.thumbnail_key:
            object_store().delete(series.thumbnail_key)
    except ObjectStoreError as error:
        raise ArchiveUnavailable("the thumbnail can't be kept now") from error


def _series_picture(series: Series) -> bytes:
    """The picture of the middle instance that has frames."""
    pictured = Instance.objects.filter(series=series, frame_table__isnull=False)
    count = pictured.count()
    if not count:
        raise NotRenderable("the series has no pixel data to draw")
    middle = pictured.order_by("instance_number", "id").values_list("pk", flat=True)[count // 2]
    return instance_thumbnail(locate_by_pk(middle))
