"""Segments, their colours, and which frames lie in which plane (PS3.3 C.8.20)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from dicom.json_items import Item, first, items, numbers, text, whole
from dicom.windowing import RenderingError

MAXIMUM_SEGMENTS = 1 << 16
# Native frames of a few bits may be millions, and each takes time and memory here
MAXIMUM_FRAMES = 1 << 18
# Frames that are laid over each other in the picture of an instance
MAXIMUM_LAYERS = 64

_SHARED, _PER_FRAME = "52009229", "52009230"
# Distinct on black, for segments without a colour of their own
_COLOURS = (
    (230, 80, 70),
    (90, 180, 90),
    (80, 130, 230),
    (235, 200, 70),
    (200, 100, 210),
    (80, 200, 210),
    (240, 150, 70),
    (170, 200, 90),
    (230, 140, 180),
    (150, 140, 230),
    (190, 160, 120),
    (120, 200, 160),
)
# From CIE XYZ under D50 to linear sRGB, the whites adapted to each other by Bradford's method
_FROM_XYZ = numpy.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)
_WHITE = numpy.array([0.9642, 1.0, 0.8249])
_EPSILON = 6 / 29


@dataclass(frozen=True, slots=True)
class Segmentation:
    """`kind` is BINARY, FRACTIONAL or LABELMAP; `full` the value of a sample that is wholly inside.

    `segments[n]` is what frame n + 1 is of, 0 where it does not say (label maps); `planes[n]` names its plane.
    """

    kind: str
    full: int
    colours: Mapping[int, tuple[int, int, int]]
    segments: Sequence[int]
    planes: Sequence[tuple[float, ...]]

    def representative(self) -> list[int]:
        """The frames of the plane with the most segments, the middle one of those; in order of their segments."""
        by_plane: dict[tuple[float, ...], list[int]] = defaultdict(list)
        for number, plane in enumerate(self.planes, 1):
            by_plane[plane].append(number)
        most = max(len(frames) for frames in by_plane.values())
        fullest = sorted(plane for plane, frames in by_plane.items() if len(frames) == most)
        frames = by_plane[fullest[len(fullest) // 2]]
        return sorted(frames, key=lambda number: self.segments[number - 1])[:MAXIMUM_LAYERS]


def read_segmentation(document: Item, frame_count: int) -> Segmentation:
    """What the data set says of the segments of `frame_count` frames. Raises RenderingError."""
    kind = text(document, "00620001")
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise RenderingError("the segmentation is not binary, fractional or a label map")
    if frame_count > MAXIMUM_FRAMES:
        raise RenderingError(f"a segmentation of more than {MAXIMUM_FRAMES} frames is not drawn")
    described = items(document, "00620002")[:MAXIMUM_SEGMENTS]
    colours = {}
    for at, segment in enumerate(described):
        number = whole(segment, "00620004", at + 1)
        colours[number] = _colour(segment) or own_colour(number)
    shared, groups = first(document, _SHARED), items(document, _PER_FRAME)[:frame_count]
    segments, planes = [], []
    for at in range(frame_count):
        group = groups[at] if at < len(groups) else {}
        segments.append(whole(_of(group, shared, "0062000A"), "0062000B"))
        plane = _of(group, shared, "00209113")
        slide = _of(group, shared, "0048021A")
        place = numbers(plane, "00200032") or [float(whole(slide, tag)) for tag in ("0048021E", "0048021F") if slide]
        # to a hundredth of a millimetre; frames that do not say where they are have a plane each
        planes.append(tuple(round(each, 2) for each in place[:3]) or (0.0, 0.0, 0.0, float(at)))
    full = whole(document, "0062000E", 255) if kind == "FRACTIONAL" else 1
    return Segmentation(kind, max(1, full), colours, segments, planes)


def own_colour(number: int) -> tuple[int, int, int]:
    """A colour for a segment that names none."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


def _of(group: Item, shared: Item, tag: str) -> Item:
    return first(group, tag) or first(shared, tag)


def _colour(segment: Item) -> tuple[int, int, int] | None:
    """RecommendedDisplayCIELabValue (PS3.3 C.10.7.1.1), else RecommendedDisplayGrayscaleValue."""
    lab = numbers(segment, "0062000D")
    if lab and len(lab) == 3:
        red, green, blue = cielab_to_srgb(lab)
        return red, green, blue
    grey = numbers(segment, "0062000C")
    if grey:
        level = int(min(max(grey[0], 0), 0xFFFF)) >> 8
        return level, level, level
    return None


def cielab_to_srgb(encoded: Sequence[float]) -> tuple[int, int, int]:
    """PCS values of 16 bits (L* of 0 to 100, a* and b* of -128 to 127) as sRGB."""
    scaled = numpy.clip(numpy.array(encoded, dtype=numpy.float64), 0, 0xFFFF) / 0xFFFF
    light, a, b = scaled[0] * 100, scaled[1] * 255 - 128, scaled[2] * 255 - 128
    y = (light + 16) / 116
    curve = numpy.array([y + a / 500, y, y - b / 200])
    xyz = _WHITE * numpy.where(curve > _EPSILON, curve**3, 3 * _EPSILON**2 * (curve - 4 / 29))
    linear = numpy.clip(_FROM_XYZ @ xyz, 0, 1)
    gamma = numpy.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(float(each) * 255) for each in gamma)
    return red, green, blue


def lay_over(picture: NDArray[numpy.uint8], frame: NDArray[numpy.generic], colour: Sequence[int], full: int) -> None:
    """Put a segment over `picture`, (rows, columns, 3) RGB, in place: opaque where `frame` reaches `full`."""
    if frame.ndim != 2 or frame.shape != picture.shape[:2]:
        raise RenderingError("the frame of a segmentation has one sample a pixel")
    inside = frame > 0  # type: ignore[operator]
    if full == 1:
        picture[inside] = colour
        return
    part = numpy.minimum(frame[inside].astype(numpy.float32) / full, 1)[:, None]
    picture[inside] = picture[inside] * (1 - part) + numpy.array(colour, numpy.float32) * part


def label_map(frame: NDArray[numpy.generic], colours: Mapping[int, tuple[int, int, int]]) -> NDArray[numpy.uint8]:
    """A frame whose samples are segment numbers, as (rows, columns, 3) RGB; 0 and what is no segment is black."""
    if frame.ndim != 2 or frame.dtype.kind not in "ui" or frame.dtype.itemsize > 2:
        raise RenderingError("the frame of a label map has one sample of 8 or 16 bits a pixel")
    table = numpy.zeros((1 << (8 * frame.dtype.itemsize), 3), numpy.uint8)
    for number, colour in colours.items():
        if 0 < number < len(table):
            table[number] = colour
    unsigned = frame.view(numpy.dtype(f"u{frame.dtype.itemsize}"))
    picture: NDArray[numpy.uint8] = table[unsigned]
    return picture
