"""Graphics and text over a picture (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicom.colour import Colour

Points = NDArray[numpy.float64]  # (n, 2): x and y
Picture = NDArray[numpy.uint8]
# Points in PIXEL units (False) or DISPLAY units (True) to where they are in the picture.
Place = Callable[[Points, bool], Points]

WHITE: Colour = (255, 255, 255)
# Points of a curve for each that it goes through, and of an ellipse.
_BETWEEN, _ROUND = 16, 180
_SMALLEST_TEXT, _LARGEST_TEXT = 9, 200
# Pixels
_AT_ONCE = 1 << 16
# Beyond this far outside of a picture a point is as good as any other.
_FAR = 32_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Graphic:
    """A Graphic Object: ``kind`` is POINT, POLYLINE, INTERPOLATED, CIRCLE or ELLIPSE."""

    kind: str
    points: Points
    display: bool = False
    filled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A Text Object: in a box of two corners, or beside an anchor point, or both with a line between them."""

    text: str
    box: Points | None = None
    box_display: bool = False
    justification: str = "LEFT"
    anchor: Points | None = None
    anchor_display: bool = False
    anchor_visible: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GraphicLayer:
    """What is drawn in one colour, after the layers of a lower order."""

    name: str
    order: int = 0
    colour: Colour = WHITE
    graphics: tuple[Graphic, ...] = ()
    texts: tuple[Text, ...] = ()


def veiled(picture: Picture, mask: NDArray[numpy.uint8], colour: Colour) -> Picture:
    """The picture with a colour over it, as dense as ``mask`` says: 0 not at all, 255 nothing else is seen."""
    picture = _able_to_show(picture, colour)
    shade = numpy.array(colour if picture.ndim == 3 else colour[0], numpy.float32)
    veiled_ = numpy.empty_like(picture)
    # a few rows at a time: fractions of all pixels of a mammogram would need hundreds of megabytes
    rows = max(1, _AT_ONCE // max(1, picture.shape[1]))
    for row in range(0, picture.shape[0], rows):
        part = picture[row : row + rows]
        share = mask[row : row + rows].astype(numpy.float32) / 255
        if picture.ndim == 3:
            share = share[..., None]
        veiled_[row : row + rows] = numpy.rint(part + (shade - part) * share)
    return veiled_


def with_layer(picture: Picture, layer: GraphicLayer, place: Place) -> Picture:
    """The picture with the graphics and texts of one layer drawn over it."""
    if not (layer.graphics or layer.texts):
        return picture
    picture = _able_to_show(picture, layer.colour)
    image = Image.fromarray(numpy.ascontiguousarray(picture))
    pen = _Pen(image, layer.colour)
    for graphic in layer.graphics:
        points = _near(place(graphic.points, graphic.display))
        if len(points):
            _KINDS[graphic.kind](pen, points, graphic.filled)
    for text in layer.texts:
        pen.text(text, place)
    return numpy.asarray(image)


def with_lines(picture: Picture, corners: Mapping[str, Sequence[str]]) -> Picture:
    """The picture with lines of text in its ``top`` or ``bottom`` left corner, white with a black edge."""
    image = Image.fromarray(numpy.ascontiguousarray(picture))
    pen = _Pen(image, WHITE)
    for corner, lines in corners.items():
        if lines:
            pen.corner("\n".join(lines), bottom=corner == "bottom")
    return numpy.asarray(image)


class _Pen:
    def __init__(self, image: Image.Image, colour: Colour) -> None:
        self._image, self._draw = image, ImageDraw.Draw(image)
        self._draw.fontmode = "L"
        self.width = max(1, round(min(image.size) / 512))
        grey = image.mode == "L"
        self._ink: Any = colour[0] if grey else colour
        # the edge of letters, so that they can be read over anything
        edge = 0 if sum(colour) > 3 * 127 else 255
        self._edge: Any = edge if grey else (edge, edge, edge)

    def point(self, points: Points, _: bool) -> None:
        radius = self.width + 1
        for x, y in points.tolist():
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=self._ink)

    def polyline(self, points: Points, filled: bool) -> None:
        line = [(x, y) for x, y in points.tolist()]
        if filled and len(line) > 2:
            self._draw.polygon(line, fill=self._ink)
        self._draw.line(line, fill=self._ink, width=self.width)

    def interpolated(self, points: Points, filled: bool) -> None:
        self.polyline(_curve(points), filled)

    def circle(self, points: Points, filled: bool) -> None:
        """Its center, and a point on it."""
        if len(points) >= 2:
            across = points[1] - points[0]
            self.polyline(_ellipse(points[0], across, numpy.array((-across[1], across[0]))), filled)

    def ellipse(self, points: Points, filled: bool) -> None:
        """The ends of its major axis, and of its minor axis."""
        if len(points) >= 4:
            center = points[:4].mean(axis=0)
            self.polyline(_ellipse(center, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2), filled)

    def text(self, text: Text, place: Place) -> None:
        box = None if text.box is None else _near(place(text.box, text.box_display))
        anchor = None if text.anchor is None else _near(place(text.anchor, text.anchor_display))[0]
        if box is not None:
            low, high = box.min(axis=0), box.max(axis=0)
            if anchor is not None and text.anchor_visible:
                self._draw.line([tuple(anchor), tuple(anchor.clip(low, high))], fill=self._ink, width=self.width)
            self._in_box(text, low, high - low)
        elif anchor is not None:
            if text.anchor_visible:
                self.point(anchor[None, :], False)
            self._write(text.text, (float(anchor[0]) + 4, float(anchor[1]) + 2), self._size())

    def corner(self, text: str, *, bottom: bool) -> None:
        size = max(_SMALLEST_TEXT, min(self._image.size) // 40)
        margin = size // 2
        height = self._measured(text, size)[1] if bottom else 0
        self._write(text, (margin, self._image.height - height - margin if bottom else margin), size)

    def _in_box(self, text: Text, corner: Points, extent: Points) -> None:
        """As large as the box allows, but legible: text may reach beyond its box (C.10.5.1.1)."""
        size = max(_SMALLEST_TEXT, min(_LARGEST_TEXT, math.ceil(float(extent[1]))))
        while size > _SMALLEST_TEXT:
            width, height = self._measured(text.text, size)
            if width <= extent[0] and height <= extent[1]:
                break
            size = max(_SMALLEST_TEXT, min(size - 1, round(size * 0.85)))
        spare = float(extent[0]) - self._measured(text.text, size)[0]
        shift = {"RIGHT": spare, "CENTER": spare / 2}.get(text.justification, 0.0)
        self._write(text.text, (float(corner[0]) + shift, float(corner[1])), size)

    def _size(self) -> int:
        return max(_SMALLEST_TEXT + 2, min(self._image.size) // 36)

    def _measured(self, text: str, size: int) -> tuple[float, float]:
        left, _, right, bottom = self._draw.multiline_textbbox(
            (0, 0), text, font=_font(size), stroke_width=_edge_of(size)
        )
        return right - left, bottom

    def _write(self, text: str, at: tuple[float, float], size: int) -> None:
        self._draw.multiline_text(
            at, text, fill=self._ink, font=_font(size), stroke_width=_edge_of(size), stroke_fill=self._edge
        )


_KINDS: Mapping[str, Callable[[_Pen, Points, bool], None]] = {
    "POINT": _Pen.point,
    "POLYLINE": _Pen.polyline,
    "INTERPOLATED": _Pen.interpolated,
    "CIRCLE": _Pen.circle,
    "ELLIPSE": _Pen.ellipse,
}
KINDS = frozenset(_KINDS)


def _edge_of(size: int) -> int:
    return max(1, size // 14)


@lru_cache(maxsize=32)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _near(points: Points) -> Points:
    return numpy.nan_to_num(points, posinf=_FAR, neginf=-_FAR).clip(-_FAR, _FAR)


def _able_to_show(picture: Picture, colour: Colour) -> Picture:
    if picture.ndim == 3 or len(set(colour)) == 1:
        return picture
    return numpy.repeat(picture[..., None], 3, axis=-1)


def _ellipse(center: Points, one: Points, other: Points) -> Points:
    angle = numpy.linspace(0, 2 * math.pi, _ROUND + 1)[:, None]
    around: Points = center + numpy.cos(angle) * one + numpy.sin(angle) * other
    return around


def _curve(points: Points) -> Points:
    """A smooth line through all points (Catmull-Rom), closed where the last point is the first."""
    if len(points) < 3:
        return points
    closed = bool((points[0] == points[-1]).all())
    before = points[-2] if closed else 2 * points[0] - points[1]
    behind = points[1] if closed else 2 * points[-1] - points[-2]
    p = numpy.vstack((before, points, behind))
    t = (numpy.arange(_BETWEEN) / _BETWEEN)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return numpy.vstack((curve.reshape(-1, 2), points[-1:]))
