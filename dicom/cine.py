"""When each frame of a multi-frame image is shown (PS3.3 C.7.6.5), and an animated GIF made frame by frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from struct import pack

import numpy
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom.errors import DicomError
from dicom.picture_header import Wanted
from dicom.windowing import RenderingError

CINE: Wanted = {
    0x00082144: None,  # RecommendedDisplayFrameRate
    0x00180040: None,  # CineRate
    0x00181063: None,  # FrameTime
    0x00181065: None,  # FrameTimeVector
}
_USUAL_MILLISECONDS = 100.0
_LONGEST_MILLISECONDS = 10_000.0
# Browsers take shorter ones for a mistake and show each frame for a tenth of a second
SHORTEST_CENTISECONDS = 2

# Levels of grey in the palette of a frame in colour, and how far apart its channels are in a grey
_GREYS = 128
_NEARLY_GREY = 8

_LOOP_FOR_EVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
TRAILER = b"\x3b"


def frame_starts(header: Dataset, count: int) -> list[float]:
    """When each of `count` frames begins, in milliseconds, and last when the last one ends.

    By the rate at which frames should be shown, else by the times between them, else ten a second.
    """
    for keyword in ("RecommendedDisplayFrameRate", "CineRate"):
        rate = _number(header, keyword)
        if rate:
            return _steady(1000 / rate, count)
    increments = _increments(header)
    if len(increments) == count and count > 1:
        starts = numpy.concatenate([[0.0], numpy.cumsum(increments[1:])])
        return [*starts.tolist(), float(starts[-1]) * count / (count - 1)]
    return _steady(_number(header, "FrameTime") or _USUAL_MILLISECONDS, count)


def played(starts: Sequence[float], most: int) -> list[tuple[int, int]]:
    """Frames, from 1, and how long each is shown, in hundredths of a second; times as `frame_starts` gives them.

    Frames that would be shown too shortly, or are more than `most`, are left out, evenly, so that motion keeps its
    speed.
    """
    whole = max(starts[-1] - starts[0], 1.0)
    gap = max(SHORTEST_CENTISECONDS * 10, whole / most)
    kept = [0]
    for at in range(1, len(starts) - 1):
        # half a millisecond for what was rounded
        if starts[at] - starts[kept[-1]] >= gap - 0.5 and len(kept) < most:
            kept.append(at)
    ends = [round(starts[at] / 10) for at in (*kept[1:], len(starts) - 1)]
    begins = [round(starts[at] / 10) for at in kept]
    delays = [max(SHORTEST_CENTISECONDS, end - begin) for begin, end in zip(begins, ends, strict=True)]
    return [(at + 1, min(delay, 0xFFFF)) for at, delay in zip(kept, delays, strict=True)]


def gif_opening(first: bytes) -> bytes:
    """What stands before the frames of an animated GIF whose first one is `first`; it plays for ever."""
    return b"GIF89a" + first[13:17] + b"\x70\x00\x00" + _LOOP_FOR_EVER


def gif_frame(picture: NDArray[numpy.uint8], centiseconds: int) -> bytes:
    """One frame of an animated GIF with colours of its own: `picture` is (rows, columns) grey or with 3 of RGB."""
    image = Image.fromarray(numpy.ascontiguousarray(picture)) if picture.ndim == 2 else _in_256_colours(picture)
    encoded = io.BytesIO()
    try:
        image.save(encoded, format="GIF", interlace=0)
    except (ValueError, OSError, MemoryError) as failure:
        raise RenderingError(f"the picture cannot be encoded: {type(failure).__name__}") from failure
    data = encoded.getvalue()
    # header and logical screen descriptor, the colours, then extensions up to the image
    size = data[10] & 7
    colours = data[13 : 13 + 3 * (2 << size)]
    at = 13 + len(colours)
    while data[at] == 0x21:
        at += 2
        while data[at]:
            at += 1 + data[at]
        at += 1
    control = b"\x21\xf9\x04\x04" + pack("<H", centiseconds) + b"\x00\x00"
    return control + data[at : at + 9] + bytes([0x80 | size]) + colours + data[at + 10 : -1]


def _in_256_colours(picture: NDArray[numpy.uint8]) -> Image.Image:
    """An RGB picture with a palette of many greys, which most of an ultrasound is, and the rest for its colours.

    One look at each pixel: the best 256 colours would take a hundred times as long.
    """
    highest, lowest = picture.max(axis=2), picture.min(axis=2)
    grey = highest - lowest <= _NEARLY_GREY
    colourful = numpy.where(grey[:, :, None], numpy.uint8(0), picture)
    coloured = Image.fromarray(colourful).quantize(256 - _GREYS, Image.Quantize.FASTOCTREE)
    colours = bytes(coloured.getpalette() or ())[: 3 * (256 - _GREYS)].ljust(3 * (256 - _GREYS), b"\0")
    middle = (highest.astype(numpy.uint16) + lowest + 1) // 2
    shades = (256 - _GREYS + (middle * (_GREYS - 1) + 127) // 255).astype(numpy.uint8)
    image = Image.fromarray(numpy.where(grey, shades, numpy.asarray(coloured)))
    image.putpalette(colours + bytes(each for n in range(_GREYS) for each in [n * 255 // (_GREYS - 1)] * 3))
    return image


def _steady(milliseconds: float, count: int) -> list[float]:
    milliseconds = min(max(milliseconds, 0.01), _LONGEST_MILLISECONDS)
    return [at * milliseconds for at in range(count + 1)]


def _number(header: Dataset, keyword: str) -> float | None:
    try:
        value = float(header.get(keyword))
    except (DicomError, TypeError, ValueError, ArithmeticError):
        return None
    return value if 0 < value < float("inf") else None


def _increments(header: Dataset) -> list[float]:
    try:
        values = [float(each) for each in header.get("FrameTimeVector") or ()]
    except (TypeError, ValueError, ArithmeticError):
        return []
    return values if all(0 <= each <= _LONGEST_MILLISECONDS for each in values) else []
