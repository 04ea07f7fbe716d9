"""Multi-frame images as moving pictures: an animated GIF that is made, and leaves, frame by frame (PS3.18 8.7.4)."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from django.conf import settings

from archive.drawings import is_drawn
from archive.errors import InvalidQuery, NotFound, NotRenderable
from archive.frames import Frames, frames_of
from archive.locate import Located
from archive.pictures import Rendering, drawn, picture_of_frame
from dicom.cine import CINE, TRAILER, frame_starts, gif_frame, gif_opening, played
from dicom.errors import DicomError
from dicom.picture_header import read_picture_header

MEDIA_TYPE = "image/gif"
# Native frames of a few bits may be millions; each has a time of its own
_MOST_FRAMES = 1 << 18


def moves(instance: Located) -> bool:
    """Whether there is more than one frame to be played."""
    return not is_drawn(instance) and instance.pixels is not None and instance.pixels.number_of_frames > 1


def cine(instance: Located, numbers: Sequence[int] | None, rendering: Rendering) -> Iterator[bytes]:
    """The pieces of the moving picture of all frames, or of ``numbers`` in their order; the first is in hand.

    Frames follow each other as fast as the data set says; one that can't be drawn is left out. Without ``numbers``
    more than ``PACS_LIMITS__CINE_FRAMES`` are thinned out; with more pixels than ``PACS_LIMITS__CINE_PIXELS`` the
    picture is smaller. Raises ``NotFound`` for a missing frame, ``InvalidQuery`` for too many, ``NotRenderable``.
    """
    limits = settings.PACS.limits
    try:
        frames = frames_of(instance)
    except NotFound as error:
        raise NotRenderable("the instance has no pixel data to draw") from error
    if frames.count > _MOST_FRAMES:
        raise NotRenderable(f"more than {_MOST_FRAMES} frames are not shown as a moving picture")
    starts = _starts(frames)
    if numbers is None:
        shown = played(starts, limits.cine_frames)
    else:
        _check(numbers, frames.count)
        step = (starts[-1] - starts[0]) / frames.count
        delay = played([0.0, step], 1)[0][1]
        shown = [(number, delay) for number in numbers]
    rendering = replace(rendering, viewport=_viewport(frames, rendering, limits.cine_pixels // len(shown)))
    blocks = drawn((number, partial(_block, frames, number, delay, rendering)) for number, delay in shown)
    first = next(blocks)[1]
    return chain((gif_opening(first) + first,), (block for _, block in blocks), (TRAILER,))


def _block(frames: Frames, number: int, delay: int, rendering: Rendering) -> bytes:
    return gif_frame(picture_of_frame(frames, number, rendering)[0], delay)


def _starts(frames: Frames) -> list[float]:
    source = frames.inflated or frames.instance.header
    try:
        return frame_starts(read_picture_header(source, frames.instance.transfer_syntax, 1, CINE), frames.count)
    except DicomError as error:
        raise NotRenderable(str(error)) from error


def _check(numbers: Sequence[int], count: int) -> None:
    most = settings.PACS.limits.cine_frames
    if len(numbers) > most:
        raise InvalidQuery(f"at most {most} frames are shown as one moving picture")
    missing = next((number for number in numbers if not 1 <= number <= count), None)
    if missing is not None:
        raise NotFound(f"the instance has {count} frames, there is no frame {missing}")


def _viewport(frames: Frames, rendering: Rendering, pixels: int) -> tuple[int, int] | None:
    """What was asked for, or less where a frame would have more than ``pixels``."""
    width, height = rendering.viewport or (frames.pixels.columns, frames.pixels.rows)
    if width * height <= pixels:
        return rendering.viewport
    scale = math.sqrt(pixels / (width * height))
    return max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
