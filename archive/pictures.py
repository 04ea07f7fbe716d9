"""Pictures of what is stored: rendered frames (PS3.18 10.4.1.1.3, 8.3.5)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from django.conf import settings
from pydicom.dataset import Dataset

from archive.codec_processes import away
from archive.decoding import decoding
from archive.drawings import drawing_of, is_drawn, reason_for_none
from archive.errors import ArchiveError, InvalidQuery, NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located
from archive.presentation import PresentationReference, presentation_state
from dicom.annotation import annotated
from dicom.codecs import DecodedFrame
from dicom.errors import DicomError
from dicom.fitting import fitted
from dicom.icc import colour_managed, profile_in
from dicom.overlays import OverlayPlane, in_unused_bits, overlay_planes, whole_cells
from dicom.presentation_states import PresentationState, UnusablePresentationState
from dicom.region import OutsideImage, Region
from dicom.rendering import Picture, Window, encode_picture, picture_of

log = logging.getLogger("archive.pictures")
Name = TypeVar("Name")
# A large image takes minutes and gigabytes in these, and is given up before.
_SLOW = frozenset(("image/webp", "image/avif"))


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a picture is drawn (PS3.18 8.3.5): ``viewport`` is (width, height) in pixels, ``quality`` 1 to 100.

    Of the image only ``region`` is shown, or what ``presentation`` says. ``annotation`` names what is written over it
    (``dicom.annotation.KEYWORDS``), without the attributes ``withheld``; ``icc_profile`` is a choice of ``dicom.icc``.
    """

    media_type: str = "image/jpeg"
    window: Window | None = None
    viewport: tuple[int, int] | None = None
    region: Region | None = None
    quality: int = 90
    presentation: PresentationReference | None = None
    annotation: tuple[str, ...] = ()
    withheld: frozenset[str] = frozenset()
    icc_profile: str = ""


def render(instance: Located, number: int | None, rendering: Rendering) -> bytes:
    """One frame as a picture, by default the middle one (PS3.18 10.4.1.1.4 leaves the choice to the server).

    What is no image is drawn as ``archive.drawings`` says, without what is withheld. Raises ``NotRenderable``
    for what has no picture, ``NotFound`` for a missing frame, ``InvalidQuery`` for a region that lies outside it.
    """
    if is_drawn(instance):
        return _otherwise(instance, number, rendering)
    frames = _frames(instance)
    return draw(frames, (frames.count + 1) // 2 if number is None else number, rendering)


def render_frames(instance: Located, numbers: Sequence[int], rendering: Rendering) -> Iterator[tuple[int, bytes]]:
    """Each of these frames as a picture, drawn when its turn comes; one that can't be drawn is left out.

    Raises as ``render`` does: ``NotFound`` at once, anything else at the end if there was no picture at all.
    """
    if is_drawn(instance):
        # the last one tells whether all are there
        last = max(numbers)
        kept = {last: _otherwise(instance, last, rendering)}
        return drawn((n, partial(_kept_or_drawn, kept, instance, n, rendering)) for n in numbers)
    frames = _frames(instance)
    missing = next((number for number in numbers if not 1 <= number <= frames.count), None)
    if missing is not None:
        raise NotFound(f"the instance has {frames.count} frames, there is no frame {missing}")
    return drawn((number, partial(draw, frames, number, rendering)) for number in numbers)


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
        raise NotRenderable(reason_for_none(instance)) from error


def _otherwise(instance: Located, number: int | None, rendering: Rendering) -> bytes:
    """A picture of what is no image. Raises as ``render`` does."""
    with _drawing(instance):
        picture = drawing_of(instance, rendering.withheld).draw(number, rendering.viewport)
        picture = fitted(picture, rendering.viewport, rendering.region)
        return _encoded(picture, rendering)


def _kept_or_drawn(kept: dict[int, bytes], instance: Located, number: int, rendering: Rendering) -> bytes:
    return kept.pop(number, None) or _otherwise(instance, number, rendering)


def draw(frames: Frames, number: int, rendering: Rendering) -> bytes:
    """Frame ``number`` as a picture. Raises as ``render`` does."""
    with _drawing(frames.instance):
        picture, profile = picture_of_frame(frames, number, rendering)
        return _encoded(picture, rendering, profile)


def _encoded(picture: Picture, rendering: Rendering, profile: bytes = b"") -> bytes:
    if rendering.media_type in _SLOW:
        return away(encode_picture, picture, rendering.media_type, rendering.quality, icc_profile=profile)
    return encode_picture(picture, rendering.media_type, rendering.quality, icc_profile=profile)


def picture_of_frame(frames: Frames, number: int, rendering: Rendering) -> tuple[Picture, bytes]:
    """Frame ``number`` before it is encoded, and the ICC profile of its file, if any. Raises as ``render`` does."""
    most = settings.PACS.limits.picture_header_bytes
    if frames.instance.header_length > most:
        raise NotRenderable(f"a header of more than {most} bytes is not read for a picture")
    with _drawing(frames.instance):
        frame = frames.decode(number)
        header = frames.picture_header(number)
        state = presentation_state(frames, number, rendering.presentation) if rendering.presentation else None
        planes = _planes(frames, number, header, state)
        picture = _picture(frame, header, rendering, planes, state)
        if rendering.annotation:
            picture = annotated(picture, frames.annotation_header(number), rendering.annotation, rendering.withheld)
        if rendering.icc_profile not in ("", "no"):
            described = state.applied_to(header) if state else header
            return away(colour_managed, picture, profile_in(described), rendering.icc_profile)
        return picture, b""


def _picture(
    frame: DecodedFrame,
    header: Dataset,
    rendering: Rendering,
    planes: tuple[OverlayPlane, ...],
    state: PresentationState | None,
) -> Picture:
    if state is None:
        return picture_of(
            frame, header, window=rendering.window, viewport=rendering.viewport, region=rendering.region, planes=planes
        )
    # The graphics and the area of a state may need more time and memory than this process has to spare.
    return away(
        picture_of,
        frame,
        header,
        window=rendering.window,
        viewport=rendering.viewport,
        planes=planes,
        presentation=state,
    )


def _planes(frames: Frames, number: int, header: Dataset, state: PresentationState | None) -> tuple[OverlayPlane, ...]:
    """The overlays over a frame: of the data set, or those of them and its own that a presentation state activates."""
    cells = None
    if in_unused_bits(header):
        cells = replace(frames, pixels=whole_cells(frames.pixels)).decode(number).array
    return state.planes(header, number, cells) if state else overlay_planes(header, number, cells)


@contextmanager
def _drawing(instance: Located) -> Iterator[None]:
    """A place to decode and draw in; what goes wrong in it as the archive's own errors."""
    try:
        with decoding():
            yield
    except ArchiveError:
        raise
    except (OutsideImage, UnusablePresentationState) as error:
        raise InvalidQuery(str(error)) from error
    except DicomError as error:
        raise NotRenderable(str(error)) from error
    except Exception as error:  # whatever pydicom raises for values that the archive keeps without reading them
        log.warning("no picture of instance %s: %s", instance.sop_instance_uid, type(error).__name__)
        raise NotRenderable("the header can't be read for a picture") from error
