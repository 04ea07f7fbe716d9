"""A part of the source image that a viewport shows (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dicom.windowing import RenderingError


class OutsideImage(RenderingError):
    """Nothing of a region lies in the image: the picture could be drawn, but not this part of it."""


@dataclass(frozen=True, slots=True)
class Region:
    """Top-left corner and size in pixels of the source image; a size of ``None`` reaches to the edge.

    A negative width or height flips the picture; the sign of ``x`` and ``y`` does not count.
    """

    x: float = 0.0
    y: float = 0.0
    width: float | None = None
    height: float | None = None

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """The part of an array of (rows, columns, ...) that lies in the image. Raises OutsideImage."""
        down, across = (
            _span(start, size, length)
            for start, size, length in zip((self.y, self.x), (self.height, self.width), array.shape[:2], strict=True)
        )
        return array[down, across]


def _span(start: float, size: float | None, length: int) -> slice:
    first = math.floor(abs(start))
    end = length if size is None else min(length, math.ceil(abs(start) + abs(size)))
    if first >= end:
        raise OutsideImage(f"viewport: the region lies outside an image of {length} pixels on that side")
    if size is not None and size < 0:
        return slice(end - 1, first - 1 if first else None, -1)
    return slice(first, end)
