"""Which part of an image is shown, how it is turned, and how large (PS3.3 C.10.4, C.10.6; PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom.scopes import scopes

# No picture is scaled up beyond this edge, whatever the viewport: it would cost much and show nothing more.
MAXIMUM_ENLARGED = 2048
# Pixels of a picture that is made larger because its pixels are not square; a larger one shrinks on the other axis.
MAXIMUM_STRETCHED = 1 << 24
# Beyond this an aspect ratio is a mistake, not a detector; below the other it is the rounding of a detector's pitch.
_LONGEST_PIXEL = 16.0
_NEARLY_SQUARE = 0.005

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Placement:
    """A rectangle of the image by its edges in pixels, which may lie outside, as a picture of (width, height).

    It is turned clockwise by ``turns`` quarters, then flipped from left to right.
    """

    left: int
    top: int
    right: int
    bottom: int
    size: Size
    turns: int = 0
    flipped: bool = False

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of what of the rectangle lies in an array of (rows, columns, ...), turned and flipped."""
        part = array[max(0, self.top) : max(0, self.bottom), max(0, self.left) : max(0, self.right)]
        if self.turns:
            part = numpy.rot90(part, -self.turns)
        return part[:, ::-1] if self.flipped else part

    def fill(self, part: NDArray[numpy.uint8], rows: int, columns: int) -> NDArray[numpy.uint8]:
        """What became of ``cut``, scaled to its place in the picture; black where there is no image."""
        if self.left >= 0 and self.top >= 0 and self.right <= columns and self.bottom <= rows:
            return scaled(part, self.size)
        picture = numpy.zeros((self.size[1], self.size[0], *part.shape[2:]), numpy.uint8)
        inside = [(max(0, self.left), max(0, self.top)), (min(columns, self.right), min(rows, self.bottom))]
        corners = self.shown(numpy.array(inside, numpy.float64))
        left, top = (round(float(edge)) for edge in corners.min(axis=0))
        right, bottom = (round(float(edge)) for edge in corners.max(axis=0))
        if part.size and right > left and bottom > top:
            picture[top:bottom, left:right] = scaled(part, (right - left, bottom - top))
        return picture

    def shown(self, points: NDArray[numpy.float64]) -> NDArray[numpy.float64]:
        """(x, y) in the image, 0 at the outer edge of its first pixel, as (x, y) in the picture."""
        corner = numpy.array((self.left, self.top), numpy.float64)
        share = (points - corner) / (self.right - self.left, self.bottom - self.top)
        for _ in range(self.turns):
            share = numpy.stack((1 - share[:, 1], share[:, 0]), axis=1)
        if self.flipped:
            share = numpy.stack((1 - share[:, 0], share[:, 1]), axis=1)
        placed: NDArray[numpy.float64] = share * numpy.array(self.size, numpy.float64)
        return placed


def scaled(part: NDArray[numpy.uint8], size: Size) -> NDArray[numpy.uint8]:
    """An array of 8 bits a sample in (width, height), smoothed."""
    part = numpy.ascontiguousarray(part)
    if (part.shape[1], part.shape[0]) == size:
        return part
    return numpy.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))


def displayed_size(rows: int, columns: int, aspect: float, viewport: Size | None, *, magnified: float = 1.0) -> Size:
    """(width, height) of the image with square pixels (PS3.3 C.7.6.3.1.7), fitted into the viewport.

    ``aspect`` is the height of a pixel over its width; ``magnified`` how many pixels of a picture, that has no
    viewport to fit, one of the image fills.
    """
    width, height = float(columns), float(rows)
    if aspect > 1:
        height *= aspect
    else:
        width /= aspect
    unscaled = min(1.0, math.sqrt(max(rows * columns, MAXIMUM_STRETCHED) / (width * height)))
    enlarged = max(unscaled, MAXIMUM_ENLARGED / max(width, height))
    scale = unscaled if magnified == 1 else min(magnified, enlarged)
    if viewport:
        scale = min(viewport[0] / width, viewport[1] / height, enlarged)
    return max(1, round(width * scale)), max(1, round(height * scale))


def pixel_aspect(header: Dataset, frame_number: int) -> float:
    """Height of a pixel over its width (PS3.3 C.7.6.3.1.7); 1 where the data set says nothing believable.

    PixelAspectRatio is there only where no spacing says the same; where there are both, it is the word on display.
    """
    for scope in scopes(header, frame_number, "PixelMeasuresSequence"):
        for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
            ratio = _ratio_in(scope, keyword)
            if ratio is not None:
                return ratio
    return 1.0


def _ratio_in(scope: Dataset, keyword: str) -> float | None:
    try:
        return ratio_of(scope.get(keyword))
    except Exception:  # noqa: BLE001 - whatever pydicom raises for values that the archive keeps without reading them
        return None


def ratio_of(pair: Any) -> float | None:
    """The first of two numbers over the second; None where they are none, or describe no pixel."""
    try:
        vertical, horizontal = (float(value) for value in pair)
        ratio = vertical / horizontal
    except (TypeError, ValueError, ArithmeticError):
        return None
    if abs(ratio - 1) <= _NEARLY_SQUARE:
        return 1.0
    return ratio if 1 / _LONGEST_PIXEL <= ratio <= _LONGEST_PIXEL else None
