"""A part of the source image that a viewport shows (PS3.18 8.3.5.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dicom.placement import Placement
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

    def of(self, rows: int, columns: int) -> Placement:
        """The part of an image of this size that lies in it, one pixel for one. Raises OutsideImage."""
        top, bottom = _span(self.y, self.height, rows)
        left, right = _span(self.x, self.width, columns)
        across, down = (self.width or 1) < 0, (self.height or 1) < 0
        # upside down is turned by half, and flipped
        return Placement(
            left, top, right, bottom, (right - left, bottom - top), turns=2 if down else 0, flipped=across != down
        )


def _span(start: float, size: float | None, length: int) -> tuple[int, int]:
    first = math.floor(abs(start))
    end = length if size is None else min(length, math.ceil(abs(start) + abs(size)))
    if first >= end:
        raise OutsideImage(f"viewport: the region lies outside an image of {length} pixels on that side")
    return first, end
